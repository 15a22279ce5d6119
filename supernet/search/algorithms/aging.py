"""Regularised evolution: the oldest dies, not the worst (Real et al., arXiv:1802.01548)."""

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Values
from supernet.search.weighing import drawn_weights, weighed
from supernet.space import Genes

__all__ = ["AgingEvolution"]

_TRIES = 16  # mutants of which the first within the limits is taken


class AgingEvolution:
    """Mutates one gene of the best of a few members; children take the place of the oldest.

    It weighs the first objective, under the limits; for a front, all of them, by other random
    weights for each child.

    Args:
        start: of the search.
        population: members; a quarter of the budget at most.
        sample: members drawn, of which the best has a child.
    """

    def __init__(self, start: Start, *, population: int = 64, sample: int = 16) -> None:
        self._start, self._problem, self._sample = start, start.problem, sample
        self._most = max(2, min(population, start.budget // 4))
        self._genes: Genes = start.genes[:0]  # the oldest first
        self._losses = np.zeros((0, len(self._problem.objectives)))
        self._violation = np.zeros(0)
        first = self._start.spread(self._most)
        self._queue = np.concatenate([start.genes, first])

    def ask(self, count: int) -> Candidates:
        """Subnets of all sizes to begin with, then children."""
        if len(self._queue) or not len(self._genes):
            asked, self._queue = self._queue[:count], self._queue[count:]
            return Candidates(asked if len(asked) else self._start.spread(count))
        return Candidates(self._children(min(count, self._most)))

    def tell(self, evaluated: Evaluated) -> None:
        """The newest join, the oldest die."""
        losses = self._problem.losses(evaluated.columns)
        self._genes = np.concatenate([self._genes, evaluated.genes])[-self._most :]
        self._losses = np.concatenate([self._losses, losses])[-self._most :]
        self._violation = np.concatenate([self._violation, evaluated.violation])[-self._most :]

    def _children(self, count: int) -> Genes:
        domain, rng = self._problem.domain, self._start.rng
        if not len(domain.moves):
            return self._genes[:0]
        drawn = rng.integers(0, len(self._genes), size=(count, self._sample))
        worth = np.take_along_axis(self._worth(count), drawn, axis=1)
        parents = drawn[np.arange(count), worth.argmin(axis=1)]
        rows = np.repeat(self._genes[parents], _TRIES, axis=0)
        moves = domain.moves[rng.integers(0, len(domain.moves), size=len(rows))]
        mutants = domain.apply(rows, moves[:, None])
        good = self._problem.allows(mutants) & (mutants != rows).any(axis=1)
        good &= self._start.archive.find(mutants) < 0
        good = good.reshape(count, _TRIES)
        found: Genes = mutants[good.argmax(axis=1) + _TRIES * np.arange(count)]
        none = ~good.any(axis=1)  # all of them are known already, or break a limit
        found[none] = self._start.spread(int(none.sum()))
        return found

    def _worth(self, count: int) -> Values:
        """Of the members for each child, the less the better, ``(count, members)``."""
        if self._problem.wants_front:
            weights = drawn_weights(count, self._losses.shape[1], self._start.rng)
            return weighed(self._losses, weights, self._losses)
        rank = np.empty(len(self._genes))
        rank[np.lexsort((self._losses[:, 0], self._violation))] = np.arange(len(rank))
        return np.broadcast_to(rank, (count, len(rank)))
