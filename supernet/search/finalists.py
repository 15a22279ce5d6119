"""Which subnets of a result are measured before the winner is named, and how they end."""

from collections.abc import Callable, Mapping

import numpy as np

from supernet.search.objective import Values
from supernet.search.pareto import Index
from supernet.search.problem import Problem
from supernet.search.result import SearchResult
from supernet.space import Genes

__all__ = ["Columns", "measure_finalists", "ranked"]

Columns = dict[str, Values]
"""Figures by the name of an objective, each of shape ``(N,)``."""


def measure_finalists(
    problem: Problem, result: SearchResult, count: int, measure: Callable[[Genes], Columns]
) -> tuple[Index, Columns]:
    """Measure the subnets that are predicted best within the limits, in two rounds.

    A search finds what its predictors think too good. So the first half of the finalists says
    how far measured figures are from predicted ones, and the second half are those that are
    best where all are as far.

    Args:
        problem: with the limits.
        result: of the search.
        count: finalists; fewer where fewer subnets are predicted within the limits.
        measure: figures of a population, by the name of their objective.

    Returns:
        Rows of the finalists in the result, and what was measured of them.
    """
    feasible = np.flatnonzero(problem.violation(result.columns) <= 0)
    predicted = {name: values[feasible] for name, values in result.columns.items()}
    first = ranked(problem, predicted)[: -(-count // 2)]
    measured = measure(result.genes[feasible[first]])
    expected = dict(predicted)
    for name, values in measured.items():
        ratio = float(np.median(values / predicted[name][first]))
        worse = min(ratio, 1.0) if problem.column(name).maximise else max(ratio, 1.0)
        expected[name] = predicted[name] * worse
    order = ranked(problem, expected)
    second = order[~np.isin(order, first)][: count // 2]
    if not len(second):
        return feasible[first], measured
    more = measure(result.genes[feasible[second]])
    both = {name: np.concatenate([values, more[name]]) for name, values in measured.items()}
    return feasible[np.concatenate([first, second])], both


def ranked(problem: Problem, columns: Mapping[str, Values]) -> Index:
    """Rows from the best to the worst: by the limits, then by the first objective."""
    order: Index = np.lexsort((problem.losses(columns)[:, 0], problem.violation(columns)))
    return order
