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
    how far measured figures are from predicted ones, and each of the second half is the best
    where all are a part as far, the last one where all are as far.

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
    rows = first
    for part in np.arange(1, count // 2 + 1) / (count // 2 or 1):
        order = ranked(problem, _expected(problem, predicted, first, measured, part))
        rows = np.append(rows, order[~np.isin(order, rows)][:1])
    if len(rows) > len(first):
        more = measure(result.genes[feasible[rows[len(first) :]]])
        measured = {name: np.append(values, more[name]) for name, values in measured.items()}
    return feasible[rows], measured


def _expected(
    problem: Problem, predicted: Columns, rows: Index, measured: Columns, part: float
) -> Columns:
    """Figures of all, a part as much worse than predicted as was measured of some rows."""
    expected = dict(predicted)
    for name, values in measured.items():
        ratio = float(np.median(values / predicted[name][rows]))
        worse = min(ratio, 1.0) if problem.column(name).maximise else max(ratio, 1.0)
        expected[name] = predicted[name] * worse**part
    return expected


def ranked(problem: Problem, columns: Mapping[str, Values]) -> Index:
    """Rows from the best to the worst: by the limits, then by the first objective."""
    order: Index = np.lexsort((problem.losses(columns)[:, 0], problem.violation(columns)))
    return order
