"""Finalists of a search are measured before the winner is named."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from supernet.latency import LatencyTable, backend_of, measure_drift_corrected
from supernet.predict import AccuracyPredictor, FittedPredictor, learn_more
from supernet.progress import Progress
from supernet.runs import Run
from supernet.search import MeasuredRecord, Problem, SearchResult, latency_name
from supernet.search.finalists import Columns, Learn, measure_finalists, ranked
from supernet.search.objective import Values
from supernet.space import Body, Genes, Space, decode, operators
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.quantisation_loss import Int8Predictor
from supernet.workflow.request import SearchRequest

__all__ = ["Confirmed", "confirm", "pairs_of"]


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

    def told(self, targets: Iterable[str], *, of_features: bool = False) -> dict[str, float]:
        """As in a ``subnet.json``: ``latency_ms`` is of the first of the search's targets.

        Args:
            targets: of the search.
            of_features: whether latencies are those of backbones.
        """
        key = "features_latency_ms" if of_features else "latency_ms"
        names = {
            latency_name(target): f"{key}@{target}" if number else key
            for number, target in enumerate(targets)
        }
        return {names.get(name, name): value for name, value in self.measured.items()}


def confirm(
    run: Run,
    request: SearchRequest,
    problem: Problem,
    result: SearchResult,
    tables: Mapping[str, LatencyTable],
    predictor: AccuracyPredictor | None,
    progress: Progress,
) -> tuple[Confirmed, ...]:
    """Measure the subnets that are expected to be best within the limits; the winner first.

    Who breaks a limit comes last. How they are chosen: `measure_finalists`.

    Args:
        run: that holds the weights.
        request: how many finalists.
        problem: with the limits.
        result: of the search.
        tables: of the targets.
        predictor: of the search, which learns from each round where it can.
        progress: told about every measurement.
    """
    with Accuracies(
        run,
        request.measuring,
        progress,
        images=request.images,
        precision=request.precision,
    ) as accuracies:
        index, measured = measure_finalists(
            problem,
            result,
            request.confirm or 0,
            lambda genes: accuracies.measure(genes)[0],
            partial(_latencies, problem.domain.space, tables, request.body, progress),
            learn=_learning(accuracies, predictor, request.seed),
            known=_known(accuracies, result, predictor),
        )
    columns = {name: column[index] for name, column in result.columns.items()} | measured
    broken = problem.violation(columns)
    return tuple(
        Confirmed(
            index=int(index[row]),
            measured={name: float(values[row]) for name, values in measured.items()},
            within=bool(broken[row] <= 0),
        )
        for row in ranked(problem, columns)
    )


def pairs_of(predictor: AccuracyPredictor | None) -> Genes | None:
    """The subnets that a predictor learned from, ``(N, G)``; None where it does not tell."""
    base = predictor.base if isinstance(predictor, Int8Predictor) else predictor
    return base.pairs.genes if isinstance(base, FittedPredictor) else None


def _learning(
    accuracies: Accuracies, predictor: AccuracyPredictor | None, seed: int
) -> Learn | None:
    """How a predictor learns from finalists; None for one that was imported whole."""
    lost = predictor.lost_points if isinstance(predictor, Int8Predictor) else None
    base = predictor.base if isinstance(predictor, Int8Predictor) else predictor
    if not isinstance(base, FittedPredictor):
        return None

    def learn(genes: Genes) -> Callable[[Genes], Values]:
        top1, loss = accuracies.measure(genes)
        if lost is None:
            return learn_more(base, genes, top1, loss, seed=seed).mean
        more = learn_more(base, genes, np.clip(top1 + lost(genes), 0, 100), seed=seed)
        return lambda others: more.mean(others) - lost(others)

    return learn


def _known(
    accuracies: Accuracies, result: SearchResult, predictor: AccuracyPredictor | None
) -> Values | None:
    """Accuracies that were measured for the predictor, NaN elsewhere, ``(N,)``."""
    pairs = pairs_of(predictor)
    if pairs is None:
        return None
    measured = {row.tobytes() for row in pairs}
    rows = [row for row, genes in enumerate(result.genes) if genes.tobytes() in measured]
    known = np.full(len(result), np.nan)
    known[rows] = accuracies.known(result.genes[rows])
    return known


def _latencies(
    space: Space,
    tables: Mapping[str, LatencyTable],
    body: Body,
    progress: Progress,
    genes: Genes,
) -> Columns:
    """Latency on every target that is here; of the backbone where the maps of one are asked for."""
    found: Columns = {}
    subnets = decode(space, genes)
    models = [body.of(subnet, operators(space, subnet)) for subnet in subnets]
    for target, table in tables.items():
        if backend_of(table) is not None:
            what = f"finalists on {target}"
            ms = measure_drift_corrected(table, space, models, progress=progress, what=what)
            found[latency_name(target)] = ms
    return found
