"""Hyperband: successive halving with several beginnings (Li et al. 2018, arXiv:1603.06560)."""

import math
from collections.abc import Iterator
from itertools import cycle

from supernet.search.algorithms.climbing import REDUCTION, Climbing, Step
from supernet.search.contract import Start

__all__ = ["Hyperband"]


class Hyperband(Climbing):
    """Brackets in turn: many subnets from the lowest rung on, down to few measured whole.

    In each bracket the best third of a rung climbs when all of it is there (algorithm 1 of
    the paper). So it is safe where a low rung misleads, and slower where none does.

    Args:
        start: of the search.
        reduction: of so many subnets at a rung one climbs.
    """

    def __init__(self, start: Start, *, reduction: int = REDUCTION) -> None:
        super().__init__(start)
        self._reduction = reduction
        self._brackets: Iterator[int] = cycle(range(self._whole + 1))
        self._rung = self._whole
        self._members: list[bytes] = []
        self._new_ones = 0
        self._queue: list[bytes] = []

    def _next(self) -> Step | None:
        if not self._new_ones and not self._queue:
            if self._away:
                return None
            self._climb()
        if self._new_ones:
            self._new_ones -= 1
            genes = self._new()
            if not len(genes):
                return None
            self._members.append(genes[0].tobytes())
        else:
            genes = self._row(self._queue.pop(0))
        return genes, self._rung

    def _climb(self) -> None:
        """The best of a rung that is whole go on; after the last rung a new bracket begins."""
        if self._rung < self._whole:
            ranked = self._ranked(self._rung, self._members)
            self._members = ranked[: max(1, len(self._members) // self._reduction)]
            self._queue, self._rung = list(self._members), self._rung + 1
        if not self._queue:
            self._rung, self._members = next(self._brackets), []
            rungs = self._whole - self._rung  # to climb
            self._new_ones = math.ceil((self._whole + 1) / (rungs + 1) * self._reduction**rungs)
