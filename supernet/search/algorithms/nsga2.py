"""Multi-objective evolution over whole populations (NSGA-II, Deb et al. 2002)."""

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Values
from supernet.search.pareto import Index, crowding, fronts
from supernet.space import Genes
from supernet.space.layout import layout_of

__all__ = ["NSGA2"]


class NSGA2:
    """Parents are the best so far; each generation crosses and mutates them.

    Subnets that break limits come after all that meet them, the nearest first
    (constrained dominance, Deb 2000).

    Args:
        start: of the search.
        population: parents of a generation.
        mutation: chance of each gene of a mutated child to change.
        by_size: keep the best of each input size apart. The size shifts accuracy and cost
            of all subnets together, so that one size crowds out the others before their
            best blocks are found.
    """

    def __init__(
        self,
        start: Start,
        *,
        population: int = 250,
        mutation: float = 0.1,
        by_size: bool = False,
    ) -> None:
        self._start, self._population, self._mutation = start, population, mutation
        column = layout_of(start.problem.domain.space).resolution.column if by_size else -1
        free = column >= 0 and start.problem.domain.counts[column] > 1
        self._niche = column if free else -1
        self._genes: Genes = start.genes[:0]
        self._losses = np.zeros((0, len(start.problem.objectives)))
        self._violation = np.zeros(0)

    def ask(self, count: int) -> Candidates:
        """Random subnets of all sizes, then children of the best ones."""
        domain, rng = self._start.problem.domain, self._start.rng
        if not len(self._genes):
            spread = domain.sample_spread(max(self._population, count // 2), rng)
            return Candidates(np.concatenate([self._start.genes, spread]))
        half = max(count // 2, 1)
        # two drawn, the better one taken: parents are sorted best first
        first, second = np.minimum(*rng.integers(0, len(self._genes), size=(2, 2, half)))
        mutants = domain.mutate(self._genes[first], self._mutation, rng)
        crossed = domain.crossover(self._genes[first], self._genes[second], rng)
        crossed = domain.mutate(crossed, self._mutation / 4, rng)
        return Candidates(np.concatenate([mutants, crossed]))

    def tell(self, evaluated: Evaluated) -> None:
        """Keep the best of parents and children."""
        genes = np.concatenate([self._genes, evaluated.genes])
        losses = np.concatenate([self._losses, self._start.problem.losses(evaluated.columns)])
        violation = np.concatenate([self._violation, evaluated.violation])
        best = self._survivors(genes, losses, violation)
        self._genes, self._losses = genes[best], losses[best]
        self._violation = violation[best]

    def _survivors(self, genes: Genes, losses: Values, violation: Values) -> Index:
        if self._niche < 0:
            return _best_first(losses, violation, self._population)
        sizes = np.unique(genes[:, self._niche])
        most = max(self._population // len(sizes), 4)
        kept = []
        for size in sizes.tolist():
            own = np.flatnonzero(genes[:, self._niche] == size)
            kept.append(own[_best_first(losses[own], violation[own], most)])
        index = np.concatenate(kept)
        return index[_best_first(losses[index], violation[index], len(index))]


def _best_first(losses: Values, violation: Values, count: int) -> Index:
    """Indices of the `count` best points, best first."""
    feasible = np.flatnonzero(violation <= 0)
    rank = fronts(losses[feasible], count)
    last = np.sort(rank)[:count][-1] if len(rank) else 0
    feasible, rank = feasible[rank <= last], rank[rank <= last]
    distance = crowding(losses[feasible], rank)
    ordered = feasible[np.lexsort((-distance, rank))][:count]
    if len(ordered) < count:
        broken = np.flatnonzero(violation > 0)
        nearest = broken[np.argsort(violation[broken], kind="stable")]
        ordered = np.concatenate([ordered, nearest[: count - len(ordered)]])
    return ordered
