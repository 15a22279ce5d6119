"""A table for a new device from about ten measured networks, starting from known devices.

The models of the known devices are mixed, with weights from 0: either whole models, or
one model in four parts (matrix products, depthwise convolutions, elementwise work,
weights and calls), which devices differ in. An offset and a cost per operator may be
added. Which of these combinations is taken is decided by leaving each network out once.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.latency.correction import Correction
from supernet.latency.fit_operators import with_work_model
from supernet.latency.model import ModelError, OperatorModel
from supernet.latency.solve import nonnegative_least_squares
from supernet.latency.table import HeldOut, LatencyTable
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
_MARGIN = 0.97  # a combination with more columns must be better by this


@dataclass(frozen=True, eq=False, slots=True)
class _Combination:
    """Models to be mixed, and their sums for the networks."""

    models: tuple[OperatorModel, ...]
    sums: Values
    """Shape ``(N, models)``."""
    extra: int
    """1: with an offset; 2: with a cost per operator as well."""

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
        ConfigError: fewer than four networks, or no table knows the space.
    """
    if len(genes) < FEWEST_FOR_TRANSFER:
        raise ConfigError(
            f"to start from known tables needs at least {FEWEST_FOR_TRANSFER} networks, "
            f"found {len(genes)}"
        )
    counts = OperatorSum(space, lambda operator: 1.0)(genes)
    best: _Combination | None = None
    least, predicted = np.inf, measured_ms
    for candidate in _combinations(space, genes, known):
        columns = candidate.columns(counts)
        if columns.shape[1] > len(genes) // 2:
            continue
        found = _left_out(columns, measured_ms)
        error = float(np.abs(found / measured_ms - 1).mean())
        if best is None or error < least * (_MARGIN if _more(candidate, best) else 1):
            best, least, predicted = candidate, error, found
    if best is None:
        raise ConfigError(
            f"none of the tables {', '.join(table.target for table in known) or '(none)'} "
            f"knows all operators of space {space.name!r}",
            hint="give others by --from",
        )
    weights = _fit(best.columns(counts), measured_ms)
    size = len(best.models)
    offset, per_operator = [*weights[size:].tolist(), 0.0, 0.0][:2]
    return LatencyTable(
        target=target,
        device={**device, "made_at": _now()},
        batch=batch,
        protocol={"statistic": "whole networks, as given"},
        rows={},
        correction=Correction(
            intercept_ms=offset, per_operator_ms=per_operator, networks=len(genes)
        ),
        held_out=HeldOut(
            predicted_ms=tuple(np.maximum(predicted, 1e-6).tolist()),
            measured_ms=tuple(measured_ms.tolist()),
            space=space.name,
            space_hash=space.hash,
        ),
        model=_mixed(best.models, weights[:size].tolist(), len(genes)),
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _more(one: _Combination, other: _Combination) -> bool:
    return len(one.models) + one.extra > len(other.models) + other.extra


def _combinations(
    space: Space, genes: Genes, known: Sequence[LatencyTable]
) -> Iterator[_Combination]:
    """Simple ones first."""
    operators = operators_of(space)
    models = [
        with_work_model(t).model if t.rows and not t.model.coefficients else t.model for t in known
    ]
    models = [model for model in models if all(map(model.knows, operators))]
    sums = [OperatorSum(space, model.ms)(genes) for model in models]
    for extra in (0, 1, 2):
        for model, own in zip(models, sums):
            yield _Combination((model,), own[:, None], extra)
    for terms in ("work", "choices"):
        alike = [i for i, model in enumerate(models) if model.terms == terms]
        if len(alike) > 1:
            for extra in (0, 1, 2):
                every = np.stack([sums[i] for i in alike], axis=1)
                yield _Combination(tuple(models[i] for i in alike), every, extra)
    for model in models:
        if model.terms == "work":
            parts = tuple(_parts(model))
            every = np.stack([OperatorSum(space, part.ms)(genes) for part in parts], axis=1)
            for extra in (0, 1):
                yield _Combination(parts, every, extra)


def _parts(model: OperatorModel) -> Iterator[OperatorModel]:
    """The model of each part of the work; the others are 0 there."""
    for names in _PARTS.values():
        own = {n: c if n in names else 0.0 for n, c in model.coefficients.items()}
        yield replace(model, coefficients=own)


def _fit(columns: Values, measured_ms: Values) -> Values:
    return nonnegative_least_squares(columns / measured_ms[:, None], np.ones(len(measured_ms)))


def _left_out(columns: Values, measured_ms: Values) -> Values:
    """Each network predicted from the others, shape ``(N,)``."""
    found = np.empty(len(measured_ms))
    for index in range(len(found)):
        rest = np.arange(len(found)) != index
        found[index] = columns[index] @ _fit(columns[rest], measured_ms[rest])
    return found


def _mixed(
    models: Sequence[OperatorModel], weights: Sequence[float], networks: int
) -> OperatorModel:
    """One model whose prices are the weighted sums of those of `models`."""
    used = [(model, weight) for model, weight in zip(models, weights) if weight > 0]
    names = {name: None for model, _ in used for name in model.coefficients}
    coefficients = {
        name: sum(weight * model.coefficients.get(name, 0.0) for model, weight in used)
        for name in names
    }
    first = used[0][0] if used else models[0]
    sources = dict.fromkeys(model.source for model, _ in used)
    return replace(
        first,
        coefficients=coefficients or dict.fromkeys(first.coefficients, 0.0),
        source=f"mixed by {networks} networks from: {'; '.join(sources)}",
        networks=networks,
        error=ModelError(),
    )
