"""Which subnets of a result are measured before the winner is named, and how they end."""

from collections.abc import Callable, Mapping

import numpy as np

from supernet.search.objective import Values
from supernet.search.pareto import Index, pareto_front
from supernet.search.problem import Problem
from supernet.search.result import SearchResult
from supernet.space import Genes

__all__ = ["Columns", "Learn", "Measure", "Top1", "measure_finalists", "ranked"]

Columns = dict[str, Values]
"""Figures by the name of an objective, each of shape ``(N,)``."""
Measure = Callable[[Genes], Columns]
"""Costs of a population ``(N, G)``, by the name of their objective."""
Top1 = Callable[[Genes], Values]
"""The first objective of a population ``(N, G)``, shape ``(N,)``."""
Learn = Callable[[Genes], Top1]
"""From subnets that were measured, ``(N, G)``, to what is then expected of others."""

_KNOWN = 2  # of those that were known before: the best may be slower than predicted


def measure_finalists(
    problem: Problem,
    result: SearchResult,
    count: int,
    top1: Top1,
    costs: Measure,
    *,
    learn: Learn | None = None,
    known: Values | None = None,
) -> tuple[Index, Columns]:
    """Measure the subnets that are expected to be best within the limits, or along the front.

    Without limits the first one is expected to be the best of all, the others lie along the
    front, evenly, and the cheapest end is left out.

    A search finds what its predictors think too good, and then everything that is alike. So
    finalists are chosen one by one, each by what `learn` makes of those before it. Costs are
    measured in two rounds, since that takes a quiet while: for the second half of the finalists
    they count as a part as much above the predicted ones as the first round found, for the last
    one as all of it. With them two are measured whose first objective was `known` to be better
    than that of all finalists, where there are such.

    Args:
        problem: with the limits.
        result: of the search.
        count: finalists; fewer where fewer subnets are predicted within the limits.
        top1: measures the first objective.
        costs: measures what else can be measured.
        learn: from what was measured; expected is what was predicted when not given.
        known: the first objective where it was measured before, NaN elsewhere, ``(N,)``.

    Returns:
        Rows of the finalists in the result, and what was measured of them.
    """
    finalists = _Finalists(problem, result, top1, learn)
    first = count - count // 2
    for number in range(count):
        if number == first:
            finalists.measure(costs)
        part = max(0, number + 1 - first) / max(count - first, 1)
        finalists.add_best(part, number / count)
    if known is not None:
        finalists.add_known(known[finalists.feasible])
    finalists.measure(costs)
    return finalists.feasible[finalists.rows], finalists.measured


class _Finalists:
    """Those that were chosen, and what is expected of the others within the limits.

    Args:
        problem: with the limits.
        result: of the search.
        top1: as of `measure_finalists`.
        learn: as of `measure_finalists`.
    """

    def __init__(
        self, problem: Problem, result: SearchResult, top1: Top1, learn: Learn | None
    ) -> None:
        self._problem, self._top1, self._learn = problem, top1, learn
        self._first = problem.objectives[0].name
        self.feasible = np.flatnonzero(problem.violation(result.columns) <= 0)
        self._genes = result.genes[self.feasible]
        self._predicted = {name: values[self.feasible] for name, values in result.columns.items()}
        self.rows: Index = self.feasible[:0]
        self.measured: Columns = {self._first: np.empty(0)}
        self._ratios: dict[str, float] = {}
        self._priced = 0

    def add_best(self, part: float, place: float) -> None:
        """Choose the one that is expected to be best, and measure its first objective.

        Args:
            part: of what the first round said of costs.
            place: where on the front it is sought if there are no limits, 0 for the best.
        """
        first = self._predicted[self._first]
        if self._learn is not None and len(self.rows):
            first = self._learn(self._genes[self.rows])(self._genes)
        if self._problem.limits:
            self._add(self._ranked(first, part)[:1])
        else:
            self._add(self._on_front(first, part, place))

    def add_known(self, known: Values) -> None:
        """Choose those whose first objective is known to be better than all finalists'."""
        sign = 1.0 if self._problem.objectives[0].maximise else -1.0
        best = max(sign * self.measured[self._first], default=-np.inf)
        order = self._ranked(known, 1.0)
        costs = self._expected(1.0)
        order = order[(sign * known[order] > best) & (self._problem.violation(costs)[order] <= 0)]
        self._add(order[:_KNOWN])

    def measure(self, costs: Measure) -> None:
        """Measure the costs of those of which they are not known."""
        fresh, self._priced = self.rows[self._priced :], len(self.rows)
        if not len(fresh):
            return
        for name, values in costs(self._genes[fresh]).items():
            self.measured[name] = np.append(self.measured.get(name, []), values)
            ratio = float(np.median(self.measured[name] / self._predicted[name][self.rows]))
            worse = min(ratio, 1.0) if self._problem.column(name).maximise else max(ratio, 1.0)
            self._ratios[name] = worse

    def _add(self, rows: Index) -> None:
        self.rows = np.append(self.rows, rows)
        if len(rows):
            own = self._top1(self._genes[rows])
            self.measured[self._first] = np.append(self.measured[self._first], own)

    def _ranked(self, first: Values, part: float) -> Index:
        """Those that were not chosen, from the best to the worst."""
        order = ranked(self._problem, {**self._expected(part), self._first: first})
        left: Index = order[~np.isin(order, self.rows)]
        return left

    def _on_front(self, first: Values, part: float, place: float) -> Index:
        """Of those that were not chosen the one at a place of the front, or none."""
        left = self._ranked(first, part)
        losses = self._problem.losses({**self._expected(part), self._first: first})[left]
        front = pareto_front(losses)
        order = front[np.argsort(losses[front, 0], kind="stable")]
        found: Index = left[order[int(place * len(order))][None]] if len(order) else left[:0]
        return found

    def _expected(self, part: float) -> Columns:
        """Costs of all, a part as much above predicted ones as was measured."""
        costs = {name: values for name, values in self._predicted.items() if name != self._first}
        worse = {name: self._ratios.get(name, 1.0) ** part for name in costs}
        return {name: values * worse[name] for name, values in costs.items()}


def ranked(problem: Problem, columns: Mapping[str, Values]) -> Index:
    """Rows from the best to the worst: by the limits, then by the first objective."""
    order: Index = np.lexsort((problem.losses(columns)[:, 0], problem.violation(columns)))
    return order
