"""Local search with restarts: strong on spaces of networks (White et al., arXiv:2005.02960)."""

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.pareto import pareto_front
from supernet.search.weighing import drawn_weights, weighed
from supernet.space import Genes

__all__ = ["HillClimbing"]


class HillClimbing:
    """Goes to the first better neighbour, in random order; restarts where there is none.

    Neighbours differ in one gene. It weighs the first objective, under the limits. For a front
    each step starts at the best subnet so far by other random weights of all objectives.

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
        if self._problem.wants_front:
            return Candidates(self._around_front(count))
        if self._moved:
            self._moved, self._queue = False, self._neighbours(self._current)
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

    def _around_front(self, count: int) -> Genes:
        """An unknown neighbour of the best by each of `count` weights; random ones for the rest."""
        losses = self._archive.losses
        front = pareto_front(losses)
        weights = drawn_weights(count, losses.shape[1], self._start.rng)
        order = weighed(losses[front], weights, losses).argsort(axis=1, kind="stable")
        unknown: dict[int, list[Genes]] = {}
        found = []
        for best_first in order.tolist():
            for place in best_first:
                if place not in unknown:
                    rows = self._neighbours(self._archive.genes[front[[place]]])
                    unknown[place] = list(rows)
                if unknown[place]:
                    found.append(unknown[place].pop())
                    break
        rest = self._start.spread(count - len(found))
        return np.concatenate([np.array(found, dtype=rest.dtype).reshape(-1, rest.shape[1]), rest])

    def _neighbours(self, current: Genes) -> Genes:
        genes = self._problem.domain.neighbours(current)
        genes = genes[self._problem.allows(genes) & (self._archive.find(genes) < 0)]
        return self._start.rng.permutation(genes)
