"""A table for a new device from about ten measured networks, starting from known devices.

The models of the known devices are mixed, with weights from 0: whole models, or their four
parts (matrix products, depthwise convolutions, elementwise work, weights and calls), which
devices differ in; with or without an offset and a cost per operator. Each network is left
out once to see how wrong such a combination is, and the average of all combinations is
taken, in which the better ones weigh more: to choose a single one by ten networks is
mostly luck.
"""

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.latency.correction import Correction
from supernet.latency.fit_operators import with_work_model
from supernet.latency.held_out import HeldOut
from supernet.latency.model import ModelError, OperatorModel
from supernet.latency.solve import nonnegative_least_squares
from supernet.latency.table import LatencyTable
from supernet.latency.whole_networks import check_measured
from supernet.space import Genes, OperatorSum, Space, operators_of

__all__ = ["FEWEST_FOR_TRANSFER", "transfer"]

Values = npt.NDArray[np.float64]

FEWEST_FOR_TRANSFER = 4
_PARTS: Mapping[str, tuple[str, ...]] = {
    "matrix products": ("matmul", "matmul_pixels", "window"),
    "depthwise": ("taps", "taps_rows", "depthwise_io"),
    "elementwise": ("relu", "gate", "gate_far", "squeeze", "add", "mean", "far_io"),
    "weights and calls": (
        "matmul_weights",
        "project_weights",
        "matmul_calls",
        "squeeze_weights",
        "linear_weights",
    ),
}
_MIXED = "mixed from: "
_POWER = 4.0  # of the errors by which combinations weigh less


@dataclass(frozen=True, eq=False, slots=True)
class _Combination:
    """Models to be mixed, and their sums for the networks."""

    models: tuple[OperatorModel, ...]
    sums: Values
    """Shape ``(N, models)``."""
    extra: int
    """1: with an offset; 2: with a cost per operator as well."""

    @property
    def size(self) -> int:
        """Weights to be found."""
        return len(self.models) + self.extra

    def columns(self, counts: Values) -> Values:
        """Shape ``(N, models + extra)``."""
        extras = np.stack([np.ones_like(counts), counts], axis=1)[:, : self.extra]
        return np.hstack([self.sums, extras])


def transfer(
    space: Space,
    genes: Genes,
    measured_ms: Values,
    *,
    known: Sequence[LatencyTable],
    target: str,
    device: Mapping[str, str],
    batch: int = 1,
) -> LatencyTable:
    """A table from a few networks and the tables of other devices.

    Its held-out error is that of each network predicted from the others.

    Args:
        space: of the networks.
        genes: shape ``(N, G)``, four at least; ten are good.
        measured_ms: their latencies, shape ``(N,)``.
        known: tables of other devices; those that do not know the space are passed over.
        target: name of the table.
        device: what is known of it.
        batch: images at a time.

    Raises:
        ConfigError: fewer than four networks, not a latency for each, one that is none, or no
            table knows the space.
    """
    check_measured(genes, measured_ms)
    if len(genes) < FEWEST_FOR_TRANSFER:
        raise ConfigError(
            f"to start from known tables needs at least {FEWEST_FOR_TRANSFER} networks, "
            f"found {len(genes)}"
        )
    found = _average(_mixtures(space, genes, measured_ms, known))
    return LatencyTable(
        target=target,
        device={**device, "made_at": _now()},
        batch=batch,
        protocol={"statistic": "whole networks, as given"},
        rows={},
        correction=Correction(
            intercept_ms=found.offset_ms,
            per_operator_ms=found.per_operator_ms,
            networks=len(genes),
            mean_ms=float(np.mean(measured_ms)),
        ),
        held_out=HeldOut(
            predicted_ms=tuple(np.maximum(found.predicted_ms, 1e-6).tolist()),
            measured_ms=tuple(measured_ms.tolist()),
            space=space.name,
            space_hash=space.hash,
        ),
        model=replace(found.model, networks=len(genes), operators=0, error=ModelError()),
    )


def _mixtures(
    space: Space, genes: Genes, measured_ms: Values, known: Sequence[LatencyTable]
) -> "list[_Mixture]":
    """All combinations that so few networks can tell, of models that can be averaged."""
    counts = OperatorSum(space, lambda operator: 1.0)(genes)
    mixtures = [
        _mixture(candidate, counts, measured_ms)
        for candidate in _combinations(space, genes, known)
        if candidate.size <= len(genes) - 2
    ]
    if not mixtures:
        raise ConfigError(
            f"none of the tables {', '.join(table.target for table in known) or '(none)'} "
            f"knows all operators of space {space.name!r}",
            hint="give others by --from",
        )
    # models of two kinds have no average: the kind of the best combination is taken
    kind = min(mixtures, key=lambda mixture: mixture.error).model.terms
    return [mixture for mixture in mixtures if mixture.model.terms == kind]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _combinations(
    space: Space, genes: Genes, known: Sequence[LatencyTable]
) -> Iterator[_Combination]:
    """Each model, all of a kind, and the parts of each and of all, with nothing to two extras."""
    operators = operators_of(space)
    models = [_model(table) for table in known]
    models = [model for model in models if all(map(model.knows, operators))]
    work = [model for model in models if model.terms == "work"]
    choices = [model for model in models if model.terms == "choices"]
    parts = [tuple(_parts(model)) for model in work]
    groups: list[tuple[OperatorModel, ...]] = [(model,) for model in models]
    groups += [tuple(group) for group in (work, choices) if len(group) > 1]
    groups += [*parts, *([tuple(itertools.chain(*parts))] if len(parts) > 1 else [])]
    for group in groups:
        sums = np.stack([OperatorSum(space, model.ms)(genes) for model in group], axis=1)
        for extra in (0, 1, 2):
            yield _Combination(group, sums, extra)


def _model(table: LatencyTable) -> OperatorModel:
    """The table's model; one that is fitted to its rows where it has none."""
    if table.rows and not table.model.coefficients:
        return with_work_model(table).model
    return table.model


def _parts(model: OperatorModel) -> Iterator[OperatorModel]:
    """The model of each part of the work; the others are 0 there."""
    for names in _PARTS.values():
        own = {n: c if n in names else 0.0 for n, c in model.coefficients.items()}
        yield replace(model, coefficients=own)


@dataclass(frozen=True, eq=False, slots=True)
class _Mixture:
    """A combination with its weights, and how wrong it is."""

    model: OperatorModel
    offset_ms: float
    per_operator_ms: float
    predicted_ms: Values
    """Each network from the others, shape ``(N,)``."""
    error: float
    """Mean absolute relative error of these."""


def _mixture(candidate: _Combination, counts: Values, measured_ms: Values) -> _Mixture:
    columns = candidate.columns(counts)
    weights = _fit(columns, measured_ms)
    predicted = np.empty(len(measured_ms))
    for index in range(len(predicted)):
        rest = np.arange(len(predicted)) != index
        predicted[index] = columns[index] @ _fit(columns[rest], measured_ms[rest])
    size = len(candidate.models)
    offset, per_operator = [*weights[size:].tolist(), 0.0, 0.0][:2]
    return _Mixture(
        model=_sum(candidate.models, weights[:size].tolist()),
        offset_ms=offset,
        per_operator_ms=per_operator,
        predicted_ms=predicted,
        error=float(np.abs(predicted / measured_ms - 1).mean()),
    )


def _fit(columns: Values, measured_ms: Values) -> Values:
    return nonnegative_least_squares(columns / measured_ms[:, None], np.ones(len(measured_ms)))


def _average(mixtures: Sequence[_Mixture]) -> _Mixture:
    """One mixture in which those with smaller errors weigh more."""
    errors = np.array([mixture.error for mixture in mixtures])
    shares = (errors.min() + 1e-6) ** _POWER / (errors + 1e-6) ** _POWER
    shares /= shares.sum()
    predicted = np.sum([s * m.predicted_ms for s, m in zip(shares, mixtures)], axis=0)
    return _Mixture(
        model=_sum([mixture.model for mixture in mixtures], shares.tolist()),
        offset_ms=float(shares @ [mixture.offset_ms for mixture in mixtures]),
        per_operator_ms=float(shares @ [mixture.per_operator_ms for mixture in mixtures]),
        predicted_ms=predicted,
        error=float(shares @ errors),
    )


def _sum(models: Sequence[OperatorModel], weights: Sequence[float]) -> OperatorModel:
    """One model whose prices are the weighted sums of those of `models`."""
    names = dict.fromkeys(name for model in models for name in model.coefficients)
    used = [(model, weight) for model, weight in zip(models, weights) if weight > 0]
    coefficients = {
        name: sum(weight * model.coefficients.get(name, 0.0) for model, weight in used)
        for name in names
    }
    sources = dict.fromkeys(
        source for model in models for source in model.source.removeprefix(_MIXED).split("; ")
    )
    return replace(
        models[0],
        coefficients=coefficients,
        source=_MIXED + "; ".join(sources),
        **_seen([model for model, _ in used] or models),
    )


def _seen(models: Sequence[OperatorModel]) -> dict[str, Any]:
    """What any of the models was fitted to, in no order of theirs; borrowed is what none knows."""
    kinds: dict[str, tuple[float, float]] = {}
    for model in models:
        for kind, (least, most) in model.kinds.items():
            low, high = kinds.get(kind, (least, most))
            kinds[kind] = min(low, least), max(high, most)
    borrowed = set.intersection(*(set(model.borrowed) for model in models))
    return {
        "kinds": dict(sorted(kinds.items())),
        "activations": tuple(sorted({a for model in models for a in model.activations})),
        "borrowed": tuple(sorted(borrowed)),
    }
