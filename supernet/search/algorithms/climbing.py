"""What algorithms share that choose which subnets climb the rungs of a ladder."""

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Values
from supernet.search.pareto import crowding, fronts
from supernet.space import Genes

__all__ = ["REDUCTION", "Climbing", "Reserve", "Step"]

_AT_ONCE = 32  # subnets that are drawn together

REDUCTION = 3
"""Of so many subnets at a rung one climbs to the next."""

Step = tuple[Genes, int]
"""A subnet, shape ``(1, G)``, and the rung that it is to be measured at."""


class Reserve:
    """What is left of a budget, of which one whole measurement is kept until it is asked for.

    Args:
        start: of the search.
    """

    def __init__(self, start: Start) -> None:
        self._problem, self._costs = start.problem, start.problem.costs()
        self._left, self._asked = float(start.budget), len(self._costs) == 1

    @property
    def needed(self) -> bool:
        """Whether there is room for nothing but the first whole measurement."""
        return bool(not self._asked and self._left - self._costs[-2] < 1)

    def take(self, genes: Genes, rung: int) -> None:
        """Take off what a subnet ``(1, G)`` costs: nothing where it breaks a limit."""
        self._asked |= rung == len(self._costs) - 1
        if self._problem.allows(genes)[0]:
            self._left -= float(self._costs[rung])


class Climbing:
    """Keeps what is known at each rung; `_next` decides who climbs.

    One whole measurement of the budget is kept for the best, until there was one.

    Args:
        start: of the search.
    """

    def __init__(self, start: Start) -> None:
        self._start, self._problem = start, start.problem
        self._names = [*(rung.name for rung in self._problem.ladder)]
        self._names.append(self._problem.objectives[0].name)
        self._whole = len(self._names) - 1
        self._known: list[dict[bytes, tuple[float, ...]]] = [{} for _ in self._names]
        self._reserve = Reserve(start)
        self._first = start.genes
        self._asked: list[set[bytes]] = [set() for _ in self._names]
        self._begun: set[bytes] = set()
        self._all_begun = False
        self._away: set[bytes] = set()

    def ask(self, count: int) -> Candidates:
        """Subnets and their rungs, as many as asked for unless results are waited for."""
        steps: list[Step] = []
        while len(steps) < count:
            needed = self._reserve.needed
            step = self._last_resort() if needed else self._next() or self._anyway()
            if step is None:
                break
            genes, rung = step
            self._reserve.take(genes, rung)
            for noted in (self._asked[rung], self._begun, self._away):
                noted.add(genes.tobytes())
            steps.append(step)
        if not steps:
            return Candidates(self._start.genes[:0])
        return Candidates(
            np.concatenate([genes for genes, _ in steps]), np.array([rung for _, rung in steps])
        )

    def tell(self, evaluated: Evaluated) -> None:
        """Note the figures at each rung, and who is back, failed ones as well."""
        keys = [row.tobytes() for row in evaluated.genes]
        self._away.difference_update(keys)
        for rung, name in enumerate(self._names):
            losses = self._losses(evaluated, name)
            for key, loss in zip(keys, losses.tolist()):
                if np.isfinite(loss).all():
                    self._known[rung][key] = tuple(loss)

    def _next(self) -> Step | None:
        """The next subnet and its rung; None while there is nothing to ask."""
        raise NotImplementedError

    def _new(self) -> Genes:
        """A subnet to begin with: the given ones, then random ones of all sizes, (1, G).

        None, ``(0, G)``, where no other is found.
        """
        first = self._not_begun(self._first)
        if not len(first):
            first = self._not_begun(self._start.spread(_AT_ONCE))
        self._first, self._all_begun = first[1:], not len(first)
        return first[:1]

    def _not_begun(self, genes: Genes) -> Genes:
        return genes[[row.tobytes() not in self._begun for row in genes]]

    def _ranked(self, rung: int, keys: list[bytes] | None = None) -> list[bytes]:
        """Those that are known at a rung, or some of them, the best first."""
        known = self._known[rung]
        some = list(known) if keys is None else [key for key in keys if key in known]
        if not some:
            return []
        losses = np.array([known[key] for key in some])
        return [some[i] for i in _order(losses).tolist()]

    def _anyway(self) -> Step | None:
        """The best that may still climb, where there is no other subnet to begin with."""
        for rung in reversed(range(self._whole if self._all_begun else 0)):
            for key in self._ranked(rung):
                if key not in self._asked[rung + 1]:
                    return self._row(key), rung + 1
        return None

    def _row(self, key: bytes) -> Genes:
        genes = self._start.genes
        row: Genes = np.frombuffer(key, dtype=genes.dtype).reshape(1, genes.shape[1])
        return row

    def _losses(self, evaluated: Evaluated, name: str) -> Values:
        """Broken limits and the accuracy at a rung; without limits all objectives, ``(N, M)``."""
        first = self._problem.objectives[0]
        columns = {**evaluated.columns, first.name: evaluated.columns[name]}
        losses = self._problem.losses(columns)
        if self._problem.wants_front:
            return np.column_stack([np.zeros(len(losses)), losses])
        return np.stack([evaluated.violation, losses[:, 0]], axis=1)

    def _last_resort(self) -> Step | None:
        """The best of the highest rung, else a new one; None while results are on their way."""
        if self._away:
            return None
        for rung in reversed(range(self._whole)):
            best = self._ranked(rung)
            if best:
                return self._row(best[0]), self._whole
        new = self._new()
        return (new, self._whole) if len(new) else None


def _order(losses: Values) -> np.ndarray:
    """Indices, the best first: the first column decides, then fronts of the others, ``(N,)``."""
    if losses.shape[1] == 2:
        return np.lexsort((losses[:, 1], losses[:, 0]))
    rank = fronts(losses[:, 1:], len(losses))
    return np.lexsort((-crowding(losses[:, 1:], rank), rank, losses[:, 0]))
