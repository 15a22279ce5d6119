"""Regularised evolution: the oldest dies, not the worst (Real et al., arXiv:1802.01548)."""

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Genes

__all__ = ["AgingEvolution"]

_TRIES = 16  # mutants of which the first within the limits is taken


class AgingEvolution:
    """Mutates one gene of the best of a few members; children take the place of the oldest.

    It weighs the first objective, under the limits.

    Args:
        start: of the search.
        population: members; a quarter of the budget at most.
        sample: members drawn, of which the best has a child.
    """

    def __init__(self, start: Start, *, population: int = 64, sample: int = 16) -> None:
        self._start, self._problem, self._sample = start, start.problem, sample
        self._most = max(2, min(population, start.budget // 4))
        self._genes: Genes = start.genes[:0]  # the oldest first
        self._losses = np.zeros((0, 2))  # broken limits, the first objective
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
        first = self._problem.losses(evaluated.columns)[:, 0]
        losses = np.stack([evaluated.violation, first], axis=1)
        self._genes = np.concatenate([self._genes, evaluated.genes])[-self._most :]
        self._losses = np.concatenate([self._losses, losses])[-self._most :]

    def _children(self, count: int) -> Genes:
        domain, rng = self._problem.domain, self._start.rng
        if not len(domain.moves):
            return self._genes[:0]
        drawn = rng.integers(0, len(self._genes), size=(count, self._sample))
        rank = np.empty(len(self._genes), dtype=np.int64)
        rank[np.lexsort((self._losses[:, 1], self._losses[:, 0]))] = np.arange(len(rank))
        parents = drawn[np.arange(count), rank[drawn].argmin(axis=1)]
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
