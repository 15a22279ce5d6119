"""Latency tables: what was measured for one target, and what it predicts.

The latency of a network is predicted as the sum of its operators' times, corrected
by a straight line that was fitted to a few whole networks; other whole networks,
which had no part in the fit, tell the error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.files import read_as, write_document
from supernet.latency.correction import Correction
from supernet.latency.estimate import SizeEstimator
from supernet.predict import kendall_tau, mean_absolute_percentage_error
from supernet.space import Genes, Operator, OperatorSum, Space, extremes, operators_of

__all__ = ["HeldOut", "LatencyTable", "Prediction", "Row"]

_VERSION = 1

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured operator."""

    operator: Operator
    ms: float
    """The protocol's statistic, in milliseconds."""
    spread_ms: float
    """Median minus minimum of the runs, in milliseconds."""

    def __post_init__(self) -> None:
        for name in ("ms", "spread_ms"):
            if not 0 <= getattr(self, name) < 1e7:
                raise ConfigError(f"{name}: must be from 0 to 1e7, found {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Whole networks that had no part in the table, predicted and measured."""

    predicted_ms: tuple[float, ...] = ()
    measured_ms: tuple[float, ...] = ()
    space: str = ""
    """Name of the space that they are of."""
    space_hash: str = ""
    """Its content hash."""

    def __post_init__(self) -> None:
        predicted, measured = len(self.predicted_ms), len(self.measured_ms)
        if predicted != measured:
            raise ConfigError(f"predicted_ms and measured_ms: {predicted} and {measured} values")
        if not all(0 < value < 1e7 for value in (*self.predicted_ms, *self.measured_ms)):
            raise ConfigError("predicted_ms and measured_ms: must be above 0 and below 1e7")

    @property
    def networks(self) -> int:
        """How many."""
        return len(self.measured_ms)

    @property
    def mape(self) -> float:
        """Mean absolute error in percent."""
        return mean_absolute_percentage_error(*self._arrays)

    @property
    def kendall(self) -> float:
        """Rank correlation."""
        return kendall_tau(*self._arrays)

    def within(self, error: float) -> float:
        """Share of the networks whose relative error is at most `error`."""
        predicted, measured = self._arrays
        return float((np.abs(predicted / measured - 1) <= error).mean())

    def error_quantile(self, share: float) -> float:
        """Relative error that `share` of the networks stay below."""
        predicted, measured = self._arrays
        return float(np.quantile(np.abs(predicted / measured - 1), share))

    @property
    def _arrays(self) -> tuple[Values, Values]:
        return np.array(self.predicted_ms), np.array(self.measured_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Latencies of a population, each array of shape ``(N,)``."""

    ms: Values
    low_ms: Values
    """Nine in ten held-out networks stayed above this."""
    high_ms: Values
    """Nine in ten held-out networks stayed below this."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LatencyTable:
    """Operator times of one target, with their correction and their error."""

    target: str
    """Name by which commands ask for it."""
    device: Mapping[str, str]
    """Processor, runtime and version, operating system, date."""
    precision: str = "fp32"
    threads: int = 1
    batch: int = 1
    protocol: Mapping[str, Any] = field(default_factory=dict)
    """How it was measured."""
    rows: Mapping[Operator, Row]
    correction: Correction = Correction()
    held_out: HeldOut = HeldOut()

    @cached_property
    def _estimator(self) -> SizeEstimator:
        return SizeEstimator({operator: row.ms for operator, row in self.rows.items()})

    def row_ms(self, operator: Operator) -> float:
        """Time of one operator: measured, or estimated from its times at other sizes.

        Raises:
            KeyError: it has no row, and none at two other sizes.
        """
        row = self.rows.get(operator)
        return self._estimator.ms(operator) if row is None else row.ms

    def missing(self, space: Space) -> list[Operator]:
        """Operators of `space` that have no row, though some may be estimated."""
        return [operator for operator in operators_of(space) if operator not in self.rows]

    def unknown(self, space: Space) -> list[Operator]:
        """Operators of `space` that have no row and cannot be estimated."""
        return [o for o in self.missing(space) if not self._estimator.knows(o)]

    def predictor(self, space: Space) -> "LatencyPredictor":
        """Prepared predictions for one space: prepare once, predict often.

        Raises:
            ConfigError: operators of the space have no row, nor rows at two other sizes.
        """
        unknown = self.unknown(space)
        if unknown:
            raise ConfigError(
                f"target {self.target!r} has no row for {len(unknown)} operators of space "
                f"{space.name!r}, the first is {unknown[0].key!r}",
                hint="measure them: supernet search --target this_machine does so by itself",
            )
        return LatencyPredictor(self, space)

    def predict_ms(self, space: Space, genes: Genes) -> Prediction:
        """Latencies of a population ``(N, G)`` in milliseconds, with their interval.

        Raises:
            ConfigError: operators of the space have no row.
        """
        return self.predictor(space).predict(genes)

    def operator_ms(self, operators: Sequence[Operator]) -> Values:
        """Share of each operator in a network's corrected latency, shape ``(len,)``."""
        alone = np.array([self.row_ms(operator) for operator in operators])
        counts = np.array([float(len(alone))])
        params = float(sum(operator.params for operator in operators))
        total = self.correction.apply(alone.sum(keepdims=True), counts, params)
        shares: Values = alone * (total / alone.sum())
        return shares

    def save(self, path: Path) -> None:
        """Write the table as JSON, whole or not at all."""
        body = {
            "target": self.target,
            "device": dict(self.device),
            "precision": self.precision,
            "threads": self.threads,
            "batch": self.batch,
            "protocol": dict(self.protocol),
            "correction": asdict(self.correction),
            "held_out": asdict(self.held_out),
            "rows": [asdict(row) for row in self.rows.values()],
        }
        write_document(path, "latency_table", _VERSION, body)

    @classmethod
    def load(cls, path: Path) -> "LatencyTable":
        """Read a table.

        Raises:
            FileFormatError: not a table.
            ConfigError: values that break rules; all problems at once.
        """
        body = read_as(_Body, path, "latency_table", _VERSION)
        values = {name: getattr(body, name) for name in _Body.__slots__ if name != "rows"}
        return cls(rows={row.operator: row for row in body.rows}, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    target: str
    device: dict[str, str]
    precision: str
    threads: int
    batch: int
    protocol: dict[str, Any]
    correction: Correction
    held_out: HeldOut
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if self.threads < 1 or self.batch < 1:
            raise ConfigError(f"threads, batch: at least 1, found {self.threads}, {self.batch}")


class LatencyPredictor:
    """Latencies of populations of one space, from one table."""

    def __init__(self, table: LatencyTable, space: Space) -> None:
        self.space = space
        self._table = table
        self._sum = OperatorSum(space, table.row_ms)
        self._count = OperatorSum(space, lambda operator: 1.0)
        self._params = OperatorSum(space, lambda operator: float(operator.params))

    def ms(self, genes: Genes) -> Values:
        """Latencies of a population ``(N, G)``, shape ``(N,)``."""
        correction = self._table.correction
        params = self._params(genes) if correction.per_mparam_ms else 0.0
        return correction.apply(self._sum(genes), self._count(genes), params)

    def fastest(self) -> Genes:
        """The subnet of the least predicted latency, shape ``(1, G)``.

        No subnet is faster: the correction's line is a sum over operators too. Only
        where its floor overrules it (see `Correction.apply`) that is not proven, and
        the better of the ends of the line and of the floor is taken.
        """
        table, correction = self._table, self._table.correction

        def line_ms(operator: Operator) -> float:
            own_ms = correction.slope * table.row_ms(operator) + correction.per_operator_ms
            return own_ms + correction.per_mparam_ms * operator.params / 1e6

        by_line, _ = extremes(self.space, line_ms)
        by_floor, _ = extremes(self.space, table.row_ms)
        ends = np.concatenate([by_line, by_floor])
        best = int(self.ms(ends).argmin())
        found: Genes = ends[best : best + 1]
        return found

    def predict(self, genes: Genes) -> Prediction:
        """Latencies with the interval that held-out networks suggest."""
        ms = self.ms(genes)
        held_out = self._table.held_out
        error = held_out.error_quantile(0.9) if held_out.networks else np.nan
        return Prediction(ms=ms, low_ms=ms * (1 - error), high_ms=ms * (1 + error))
