"""Asynchronous successive halving (ASHA; Li et al. 2020, arXiv:1810.05934, algorithm 2)."""

from supernet.search.algorithms.climbing import REDUCTION, Climbing, Step
from supernet.search.contract import Start

__all__ = ["ASHA"]


class ASHA(Climbing):
    """A subnet climbs as soon as it is among the best third of its rung; else a new one begins.

    It waits for nobody, so it keeps any number of workers busy. Several objectives without a
    limit are weighed by fronts (as in MO-ASHA, arXiv:2106.12639).

    Args:
        start: of the search.
        reduction: of so many subnets at a rung one climbs.
    """

    def __init__(self, start: Start, *, reduction: int = REDUCTION) -> None:
        super().__init__(start)
        self._reduction = reduction
        self._climbed: list[set[bytes]] = [set() for _ in range(self._whole)]

    def _next(self) -> Step | None:
        for rung in reversed(range(self._whole)):
            ranked = self._ranked(rung)
            for key in ranked[: len(ranked) // self._reduction]:
                if key not in self._climbed[rung]:
                    self._climbed[rung].add(key)
                    return self._row(key), rung + 1
        genes = self._new()
        return (genes, 0) if len(genes) else None
