"""Local search with restarts: strong on spaces of networks (White et al., arXiv:2005.02960)."""

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Genes

__all__ = ["HillClimbing"]


class HillClimbing:
    """Goes to the first better neighbour, in random order; restarts where there is none.

    Neighbours differ in one gene. It weighs the first objective, under the limits.

    Args:
        start: of the search.
        first: subnets of all sizes that are scored first; it climbs from the best of them. A
            quarter of the budget at most.
    """

    def __init__(self, start: Start, *, first: int = 16) -> None:
        self._start, self._problem, self._archive = start, start.problem, start.archive
        spread = self._start.spread(max(1, min(first, start.budget // 4)))
        self._first = np.concatenate([start.genes, spread])
        self._queue: Genes = start.genes[:0]
        self._current: Genes = start.genes[:0]
        self._loss = (np.inf, np.inf)
        self._moved = False

    def ask(self, count: int) -> Candidates:
        """Neighbours of the current subnet that are not known; a random one after the last."""
        if len(self._first):
            asked, self._first = self._first[:count], self._first[count:]
            return Candidates(asked)
        if self._moved:
            self._moved, self._queue = False, self._neighbours()
        if not len(self._queue):
            self._loss, self._queue = (np.inf, np.inf), self._start.spread(1)
        asked, self._queue = self._queue[:count], self._queue[count:]
        return Candidates(asked)

    def tell(self, evaluated: Evaluated) -> None:
        """Go to the best that was told, if it is better than the current one."""
        if not len(evaluated.genes):
            return
        first = self._problem.losses(evaluated.columns)[:, 0]
        best = int(np.lexsort((first, evaluated.violation))[0])
        loss = float(evaluated.violation[best]), float(first[best])
        if loss < self._loss:
            self._loss, self._current = loss, evaluated.genes[[best]].copy()
            self._moved = True

    def _neighbours(self) -> Genes:
        genes = self._problem.domain.neighbours(self._current)
        genes = genes[self._problem.allows(genes) & (self._archive.find(genes) < 0)]
        return self._start.rng.permutation(genes)
