"""What a search weighs: accuracy and costs of whole populations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.arguments import checked, numbers, told
from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.latency import LatencyPredictor
from supernet.space import (
    WHOLE,
    Body,
    CostTable,
    Domain,
    Genes,
    Operator,
    OperatorMax,
    OperatorSum,
    Precision,
    Space,
    file_bytes,
    minimum,
    operator_costs,
    peak_bytes,
)

__all__ = [
    "COSTS",
    "ROUNDING",
    "Accuracy",
    "Cost",
    "Objective",
    "Values",
    "checked_values",
    "cost_of",
    "file_size",
    "latency",
    "latency_name",
    "macs",
    "params",
    "peak_memory",
]

Values: TypeAlias = npt.NDArray[np.float64]

ROUNDING = 1e-9
"""Percentage points that one accuracy may differ by when its sums are in another order."""


class Objective(Protocol):
    """One figure of every subnet; called by the driver, for whole populations."""

    @property
    def name(self) -> str:
        """Such as ``top1``, ``macs`` or ``latency@mobile_cpu``."""

    @property
    def unit(self) -> str:
        """Such as ``%`` or ``ms``."""

    @property
    def target(self) -> str:
        """The device whose latency it is; empty of everything else."""

    @property
    def maximise(self) -> bool:
        """Whether more is better."""

    @property
    def measured(self) -> bool:
        """Whether each value costs a measurement.

        It is then asked for subnets within all other limits only.
        """

    def __call__(self, genes: Genes) -> Values:
        """Values of a canonical population ``(N, G)``, shape ``(N,)``; NaN where it failed."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Accuracy:
    """Top-1 accuracy in percent, predicted or measured."""

    function: Callable[[Genes], Values]
    """Percent for a population ``(N, G)``, shape ``(N,)``."""
    measured: bool = False
    name: str = "top1"
    unit: str = "%"
    target: str = ""
    maximise: bool = True

    def __call__(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        return checked_values(self.name, self.function(genes), len(genes))


def checked_values(name: str, given: object, count: int) -> Values:
    """What a function of the user gave for a population, as numbers.

    Args:
        name: of the function, for the message.
        given: what it gave.
        count: of subnets.

    Raises:
        ConfigError: no numbers, or not one for each subnet.
    """
    found: Values = checked({name: given}, {name: numbers})[name]
    if found.shape != (count,):
        raise ConfigError(
            f"{name}: must give one number for each of {count} subnets, shape ({count},), "
            f"found {told(given)} of shape {found.shape}",
            hint="genes are (N, G): one row for each subnet",
        )
    return found


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Cost:
    """A figure that is known without a measurement, the less the better.

    It is bounded from below by tables over few genes each, whose sum (`peak`: largest
    entry) can be minimised exactly: so extremes and limits are answered before a search.
    """

    name: str
    unit: str
    function: Callable[[Genes], Values]
    tables: Sequence[CostTable]
    offset: float = 0.0
    """Added to the sum of the tables."""
    peak: bool = False
    """Whether the cost is the largest entry of the tables, not their sum."""
    target: str = ""
    maximise: bool = False
    measured: bool = False

    def __call__(self, genes: Genes) -> Values:
        """In `unit`, shape ``(N,)``."""
        return self.function(genes)

    def lowest(self, domain: Domain, bans: Sequence[CostTable] = ()) -> Genes:
        """The subnet of the least cost in a domain, shape ``(1, G)``.

        Args:
            domain: to choose from.
            bans: tables that forbid combinations by infinite costs.
        """
        if not self.peak:
            return minimum(domain, [*self.tables, *bans])
        levels = np.unique(np.concatenate([costs.ravel() for _, costs in self.tables]))
        low, high = 0, len(levels) - 1
        while low < high:  # the least level that some subnet keeps
            middle = (low + high) // 2
            tables = [*self.bans(float(levels[middle])), *bans]
            if total(minimum(domain, tables), tables)[0] == 0:
                high = middle
            else:
                low = middle + 1
        return minimum(domain, [*self.bans(float(levels[low])), *bans])

    def bans(self, limit: float) -> list[CostTable]:
        """Tables that forbid what breaks a limit by itself; of a peak, all of it."""
        if not self.peak:
            return []
        return [(columns, np.where(costs > limit, np.inf, 0.0)) for columns, costs in self.tables]


def total(genes: Genes, tables: Sequence[CostTable]) -> Values:
    """Sums of tables over a population, shape ``(N,)``."""
    sums = np.zeros(len(genes))
    for columns, costs in tables:
        sums += costs[tuple(genes[:, column] for column in columns)]
    return sums


def _cost(
    space: Space,
    name: str,
    unit: str,
    value: Callable[[Operator], float],
    body: Body,
    *,
    peak: bool = False,
) -> Cost:
    return Cost(
        name=name,
        unit=unit,
        function=(OperatorMax if peak else OperatorSum)(space, value, body),
        tables=operator_costs(space, value, body),
        peak=peak,
    )


def macs(space: Space, body: Body = WHOLE) -> Cost:
    """Multiply-adds for one image.

    Args:
        space: of the subnets.
        body: which operators count, as of all costs.
    """
    return _cost(space, "macs", "", lambda operator: operator.macs, body)


def params(space: Space, body: Body = WHOLE) -> Cost:
    """Learned values."""
    return _cost(space, "params", "", lambda operator: operator.params, body)


def file_size(space: Space, body: Body = WHOLE, *, precision: Precision = "fp32") -> Cost:
    """Bytes of the exported file, hardly ever too few; see `file_bytes`."""
    name = "file_size" if precision == "fp32" else f"file_size@{precision}"
    return _cost(space, name, "bytes", lambda operator: file_bytes(operator, precision), body)


def peak_memory(space: Space, body: Body = WHOLE, *, precision: Precision = "fp32") -> Cost:
    """Bytes of the largest sum of live tensors of the exported graph; see `peak_bytes`.

    Raises:
        ConfigError: the space has cells, whose tensors live on beside those of an operator.
    """
    if space.cells is not None:
        raise ConfigError(
            f"peak_memory: not known for space {space.name!r}: in a network of cells it is no "
            "largest peak of an operator",
            hint="limit macs, params, file_size or a latency; `supernet eval` tells the peak",
        )
    name = "peak_memory" if precision == "fp32" else f"peak_memory@{precision}"
    width = 4 if precision == "fp32" else 1
    return _cost(
        space, name, "bytes", lambda operator: peak_bytes(operator, width), body, peak=True
    )


def latency_name(target: str) -> str:
    """What the latency on a target is called among the figures of a result."""
    return f"latency@{target}"


def latency(target: str, predictor: LatencyPredictor) -> Cost:
    """Milliseconds on a target, by its latency table."""
    return Cost(
        name=latency_name(target),
        unit="ms",
        target=target,
        function=predictor.ms,
        tables=predictor.costs(),
        offset=predictor.intercept_ms,
    )


COSTS: Mapping[str, Callable[[Space, Body], Cost]] = {
    "macs": macs,
    "params": params,
    "file_size": file_size,
    "file_size@int8": partial(file_size, precision="int8"),
    "peak_memory": peak_memory,
    "peak_memory@int8": partial(peak_memory, precision="int8"),
}
"""Costs that need no target, by name."""


def cost_of(name: str, space: Space, latencies: Collection[str] = (), body: Body = WHOLE) -> Cost:
    """The cost of this name that needs no target.

    Args:
        name: in `COSTS`.
        space: of the subnets.
        latencies: names of the latencies that there are, for the message.
        body: as of `macs`.

    Raises:
        ConfigError: there is none.
    """
    if name not in COSTS:
        raise ConfigError(
            f"unknown cost {name[:60]!r}; {nearest(name, {*COSTS, *latencies})}",
            hint="a latency needs its target: --target NAME",
        )
    return COSTS[name](space, body)
