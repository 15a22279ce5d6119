"""Latency tables: what was measured for one target, and what it predicts.

The latency of a network is predicted as the sum of its operators' times, corrected
by a straight line that was fitted to a few whole networks; other whole networks,
which had no part in the fit, tell the error.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from supernet.errors import ConfigError
from supernet.files import read_as, write_document
from supernet.latency.correction import Correction
from supernet.latency.estimate import SizeEstimator
from supernet.latency.held_out import HeldOut
from supernet.latency.interval import Counts, Prediction, Values, with_interval
from supernet.latency.model import OperatorModel
from supernet.latency.words import check_target
from supernet.space import (
    WHOLE,
    Body,
    CostTable,
    Domain,
    Genes,
    Operator,
    OperatorSum,
    Space,
    list_spaces,
    minimum,
    operator_costs,
    operators_of,
)

__all__ = ["LatencyPredictor", "LatencyTable", "Origin", "Row", "how_to_measure"]

_VERSION = 2  # 2: `model`

Origin = Literal["measured", "interpolated", "fitted"]
"""Where an operator's time comes from; the first that there is counts."""
ORIGINS: tuple[Origin, ...] = ("measured", "interpolated", "fitted")

_RADIX = 1024.0  # more than the operators of any network


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured operator."""

    operator: Operator
    ms: float
    """The protocol's statistic, in milliseconds."""
    spread_ms: float
    """How far measurements lie from `ms`: the median distance, in milliseconds."""

    def __post_init__(self) -> None:
        for name in ("ms", "spread_ms"):
            if not 0 <= getattr(self, name) < 1e7:
                raise ConfigError(f"{name}: must be from 0 to 1e7, found {getattr(self, name)}")


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
    correction: Correction = field(default_factory=Correction)
    held_out: HeldOut = field(default_factory=HeldOut)
    model: OperatorModel = field(default_factory=OperatorModel)
    """Prices the operators that were not measured at any size."""
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    """By name of a space: fitted to its networks only. Small networks and large ones do
    not follow one line. `correction` is for all other spaces."""

    @property
    def spaces(self) -> tuple[str, ...]:
        """Names of the spaces that it was built for, as far as it says."""
        return tuple(self.corrections) or ((self.held_out.space,) if self.held_out.space else ())

    @cached_property
    def _estimator(self) -> SizeEstimator:
        times = {operator: row.ms for operator, row in self.rows.items()}
        return SizeEstimator(times, self.model)

    def origin(self, operator: Operator) -> Origin | None:
        """Where the time of an operator comes from; None where it is not known."""
        if operator in self.rows:
            return "measured"
        if self._estimator.knows(operator):
            return "interpolated"
        return "fitted" if self.model.knows(operator) else None

    def row_ms(self, operator: Operator) -> float:
        """Time of one operator: measured, else by its times at other sizes, else by the model.

        `benchmarks/latency_models.py` measures that order.

        Raises:
            KeyError: none of these knows it.
        """
        row = self.rows.get(operator)
        if row is not None:
            return row.ms
        if self._estimator.knows(operator):
            return self._estimator.ms(operator)
        if not self.model.knows(operator):
            raise KeyError(operator.key)
        return self.model.ms(operator)

    def is_beyond(self, operator: Operator) -> bool:
        """Whether its size is none that was measured, nor lies between two that were."""
        return operator not in self.rows and not self._estimator.reaches(operator)

    def is_unlike(self, operator: Operator) -> bool:
        """Whether the model prices it and was fitted to nothing like it."""
        return self.origin(operator) == "fitted" and self.model.extrapolates(operator)

    def missing(self, space: Space, body: Body = WHOLE) -> list[Operator]:
        """Operators of `space` that have no row, though some may be estimated."""
        return [operator for operator in operators_of(space, body) if operator not in self.rows]

    def unknown(self, space: Space, body: Body = WHOLE) -> list[Operator]:
        """Operators of `space` that have no row and cannot be estimated."""
        return [o for o in self.missing(space, body) if self.origin(o) is None]

    def predictor(self, space: Space, body: Body = WHOLE) -> "LatencyPredictor":
        """Prepared predictions for one space: prepare once, predict often.

        Args:
            space: of the subnets.
            body: which operators count.

        Raises:
            ConfigError: operators of the space have no row, no rows at two other sizes,
                and no price by the model.
        """
        where = f"{body} of space {space.name!r}" if body.features else f"space {space.name!r}"
        self.check_known(self.unknown(space, body), where, how_to_measure(space, body))
        return LatencyPredictor(self, space, body)

    def predict_ms(self, space: Space, genes: Genes, body: Body = WHOLE) -> Prediction:
        """Latencies of a population ``(N, G)`` in milliseconds, with their interval.

        Args:
            space: of the subnets.
            genes: the population.
            body: as of `predictor`.

        Raises:
            ConfigError: operators of the space have no row.
        """
        return self.predictor(space, body).predict(genes)

    def check_known(self, unknown: Sequence[Operator], where: str, how: str = "") -> None:
        """Refuse operators whose time is not known.

        Raises:
            ConfigError: there are some; names the first.
        """
        if unknown:
            raise ConfigError(
                f"target {self.target!r} has no row for {len(unknown)} operators of {where}, "
                f"the first is {unknown[0].key!r}",
                hint=how or "measure them: supernet search --target this_machine does so by itself",
            )

    def correction_of(self, space_name: str, *, whole: bool = True) -> Correction:
        """The correction of a space: its own, if networks of it were measured.

        Args:
            space_name: of the networks.
            whole: of whole networks; else of parts, such as backbones.
        """
        found = self.corrections.get(space_name, self.correction)
        return found if whole else found.of_parts()

    def operator_ms(
        self, operators: Sequence[Operator], space_name: str = "", *, whole: bool = True
    ) -> Values:
        """Share of each operator in a network's corrected latency, shape ``(len,)``."""
        correction = self.correction_of(space_name, whole=whole)
        alone = np.array([self.row_ms(operator) for operator in operators])
        params = np.array([float(operator.params) for operator in operators])
        counts = np.array([float(len(alone))])
        total = correction.apply(alone.sum(keepdims=True), counts, params.sum())
        by_weights = correction.per_mparam_ms * params / 1e6
        own = np.maximum(correction.slope * alone + by_weights, 0.1 * alone)
        shares: Values = own * (total / max(own.sum(), 1e-12))
        return shares

    def line_ms(self, operator: Operator, space_name: str = "", *, whole: bool = True) -> float:
        """See `LatencyPredictor.line_ms`."""
        correction = self.correction_of(space_name, whole=whole)
        own_ms = correction.slope * self.row_ms(operator) + correction.per_operator_ms
        return own_ms + correction.per_mparam_ms * operator.params / 1e6

    def save(self, path: Path) -> None:
        """Write the table as JSON, whole or not at all."""
        own = self.corrections
        body = {
            "target": self.target,
            "device": dict(self.device),
            "precision": self.precision,
            "threads": self.threads,
            "batch": self.batch,
            "protocol": dict(self.protocol),
            "correction": asdict(self.correction),
            **({"corrections": {k: asdict(c) for k, c in own.items()}} if own else {}),
            "held_out": asdict(self.held_out),
            "model": asdict(self.model),
            "rows": [_compact(row) for row in self.rows.values()],
        }
        write_document(path, "latency_table", _VERSION, body, lines="rows")

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
    model: OperatorModel = field(default_factory=OperatorModel)
    corrections: dict[str, Correction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_target(self.target)
        if self.threads < 1 or self.batch < 1:
            raise ConfigError(f"threads, batch: at least 1, found {self.threads}, {self.batch}")
        for operator, count in Counter(row.operator for row in self.rows).most_common(1):
            if count > 1:  # which of them counts, nobody knows
                raise ConfigError(f"rows: {operator.key!r} is there {count} times")


def _compact(row: Row) -> dict[str, Any]:
    """A row without what an operator has by default."""
    operator = {
        item.name: value
        for item in fields(Operator)
        if (value := getattr(row.operator, item.name)) != item.default
    }
    return {"operator": operator, "ms": row.ms, "spread_ms": row.spread_ms}


class LatencyPredictor:
    """Latencies of populations of one space, from one table.

    Args:
        table: of the target.
        space: of the subnets.
        body: which operators count.
    """

    def __init__(self, table: LatencyTable, space: Space, body: Body = WHOLE) -> None:
        self.space = space
        self._table = table
        self._body = body
        self._sum = self._summed(table.row_ms)
        self._count = self._summed(lambda operator: 1.0)
        self._params = self._summed(lambda operator: float(operator.params))
        self._whole = not body.features
        self._correction = table.correction_of(space.name, whole=self._whole)

    def _summed(self, value: Callable[[Operator], float]) -> OperatorSum:
        return OperatorSum(self.space, value, self._body)

    def ms(self, genes: Genes) -> Values:
        """Latencies of a population ``(N, G)``, shape ``(N,)``."""
        return self._corrected(genes, self._sum(genes))

    def _corrected(self, genes: Genes, sums: Values) -> Values:
        correction = self._correction
        params = self._params(genes) if correction.per_mparam_ms else 0.0
        counts = self._count(genes) if correction.per_operator_ms else 0.0
        return correction.apply(sums, counts, params)

    @cached_property
    def _origins(self) -> OperatorSum:
        """Counts of the three origins, as digits."""
        table = self._table

        def digits(operator: Operator) -> float:
            origin = table.origin(operator)
            assert origin is not None  # or the predictor was not made
            return _RADIX ** ORIGINS.index(origin)

        return self._summed(digits)

    @cached_property
    def _fitted(self) -> OperatorSum:
        """What the model prices, in milliseconds."""
        table = self._table
        return self._summed(lambda o: table.row_ms(o) if table.origin(o) == "fitted" else 0.0)

    @cached_property
    def _any_unlike(self) -> bool:
        return any(
            self._table.is_unlike(operator) for operator in operators_of(self.space, self._body)
        )

    @cached_property
    def _unlike(self) -> OperatorSum:
        """What the model prices though it saw nothing like it, in milliseconds."""
        table = self._table
        return self._summed(lambda o: table.row_ms(o) if table.is_unlike(o) else 0.0)

    def line_ms(self, operator: Operator) -> float:
        """What an operator adds to a latency by the correction's line.

        The sum over a subnet and `intercept_ms` is its latency, or less where the
        correction's floor overrules the line (see `Correction.apply`).
        """
        return self._table.line_ms(operator, self.space.name, whole=self._whole)

    def costs(self) -> list[CostTable]:
        """`line_ms` of all operators, a table a slot."""
        return operator_costs(self.space, self.line_ms, self._body)

    @property
    def intercept_ms(self) -> float:
        """What every subnet takes beside its operators."""
        return self._correction.intercept_ms

    def fastest(self, domain: Domain | None = None) -> Genes:
        """The subnet of the least predicted latency, shape ``(1, G)``.

        No subnet is faster: the correction's line is a sum over operators too. Only
        where its floor overrules it that is not proven, and the better of the ends of the
        line and of the floor is taken.
        """
        domain = domain or Domain.of(self.space)
        by_line = minimum(domain, self.costs())
        by_floor = minimum(domain, operator_costs(self.space, self._table.row_ms, self._body))
        ends = np.concatenate([by_line, by_floor])
        best = int(self.ms(ends).argmin())
        found: Genes = ends[best : best + 1]
        return found

    def predict(self, genes: Genes) -> Prediction:
        """Latencies with their interval, and where the operators' times come from."""
        sums = self._sum(genes)
        counts = _digits(self._origins(genes))
        fitted, unlike = np.zeros(len(sums)), np.zeros(len(sums))
        if counts[2].any():
            fitted = (
                self._fitted(genes) / np.maximum(sums, 1e-12) if self._table.rows else fitted + 1
            )
            if self._any_unlike:
                unlike = self._unlike(genes) / np.maximum(sums, 1e-12)
        return with_interval(self._table, self._corrected(genes, sums), fitted, counts, unlike)


def how_to_measure(space: Space, body: Body) -> str:
    """How operators at the size of a backbone's images are measured; empty for other sizes."""
    if body.size is None:
        return ""
    sizes = ",".join(map(str, sorted(set(body.size))))
    name = space.name if space.name in list_spaces() else "FILE.yaml"
    command = f"supernet latency measure --space {name} --resolutions {sizes} --name NAME"
    return f"measure them: {command}, then search with --target NAME"


def _digits(numbers: Values) -> list[Counts]:
    """The three digits of numbers of radix 1024, the lowest first."""
    whole = numbers.astype(np.int64)
    return [whole >> shift & 1023 for shift in (0, 10, 20)]
