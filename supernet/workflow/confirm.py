"""Finalists of a search are measured before the winner is named."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from supernet.latency import LatencyTable, backend_of, measure_drift_corrected
from supernet.progress import Progress
from supernet.runs import Run
from supernet.search import MeasuredRecord, Problem, SearchResult, latency_name
from supernet.search.pareto import Index
from supernet.space import decode, operators
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.request import SearchRequest

__all__ = ["Confirmed", "confirm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A finalist and what was measured of it."""

    index: int
    """In the result."""
    measured: Mapping[str, float]
    """By name of the figure: top-1 on the hold-out images, latency on targets that are here."""
    within: bool
    """Whether the measured figures meet the limits."""

    @property
    def record(self) -> MeasuredRecord:
        """As it is kept with the result."""
        return MeasuredRecord(index=self.index, figures=self.measured, within=self.within)

    def told(self, targets: Iterable[str]) -> dict[str, float]:
        """As in a ``subnet.json``: ``latency_ms`` is of the first of the search's targets."""
        names = {
            latency_name(target): f"latency_ms@{target}" if number else "latency_ms"
            for number, target in enumerate(targets)
        }
        return {names.get(name, name): value for name, value in self.measured.items()}


def confirm(
    run: Run,
    request: SearchRequest,
    problem: Problem,
    result: SearchResult,
    tables: Mapping[str, LatencyTable],
    progress: Progress,
) -> tuple[Confirmed, ...]:
    """Measure the subnets that are predicted best within the limits; the winner first.

    Those whose measured latency breaks its limit come last.

    Args:
        run: that holds the weights.
        request: how many finalists.
        problem: with the limits.
        result: of the search.
        tables: of the targets.
        progress: told about every measurement.
    """
    index = _finalists(problem, result, request.confirm)
    genes = result.genes[index]
    with Accuracies(
        run, request.device, progress, images=request.images, workers=request.workers
    ) as accuracies:
        top1 = accuracies.measure(genes)[0]
    measured = [{"top1": float(value)} for value in top1]
    within = np.ones(len(index), dtype=bool)
    space = problem.domain.space
    models = [operators(space, subnet) for subnet in decode(space, genes)]
    for target, table in tables.items():
        if backend_of(table) is None:
            continue
        what = f"finalists on {target}"
        ms = measure_drift_corrected(table, space, models, progress=progress, what=what)
        name = latency_name(target)
        within &= ms <= problem.limits.get(name, np.inf)
        for values, value in zip(measured, ms.tolist()):
            values[name] = value
    found = [
        Confirmed(index=int(i), measured=values, within=bool(ok))
        for i, values, ok in zip(index, measured, within)
    ]
    return tuple(sorted(found, key=lambda one: (not one.within, -one.measured["top1"])))


def _finalists(problem: Problem, result: SearchResult, count: int) -> Index:
    """The subnets that are predicted best within the limits."""
    feasible = np.flatnonzero(problem.violation(result.columns) <= 0)
    best = np.argsort(-result.columns["top1"][feasible], kind="stable")[:count]
    found: Index = feasible[best]
    return found
