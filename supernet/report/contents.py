"""What a report is made of: plain values, checked when they are made.

Accuracies are in percent (0 to 100), latencies in milliseconds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supernet.errors import ConfigError
from supernet.space.operators import Operator

__all__ = [
    "Curve",
    "FrontPoint",
    "NetworkRow",
    "OperatorRow",
    "Quality",
    "QualityPoint",
    "Report",
    "Scatter",
]

_MAX_SIZE = 1e12


def _unusable(where: str, value: float) -> list[str]:
    if math.isfinite(value) and abs(value) <= _MAX_SIZE:
        return []
    return [f"{where}: must be finite and at most {_MAX_SIZE:g} in size, found {value}"]


def _unusable_in(where: str, values: Sequence[float]) -> list[str]:
    return [line for i, value in enumerate(values) for line in _unusable(f"{where}[{i}]", value)]


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError(problems, hint="leave out what was not measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Pairs of measured and predicted values of the same networks."""

    measured: tuple[float, ...]
    """What was measured; milliseconds for a latency, percent for an accuracy."""
    predicted: tuple[float, ...]
    """What was predicted for the same networks, in the same unit and order."""
    labels: tuple[str, ...] = ()
    """Text shown on hover, one per pair; empty for none."""
    caption: str
    """Such as ``n = 120, 5-fold, Kendall tau 0.71, RMSE 0.52 points``."""

    def __post_init__(self) -> None:
        problems = _unusable_in("Scatter.measured", self.measured)
        problems += _unusable_in("Scatter.predicted", self.predicted)
        if len(self.measured) != len(self.predicted):
            lengths = f"{len(self.measured)} and {len(self.predicted)}"
            problems.append(f"Scatter.predicted: must be as long as measured, found {lengths}")
        if self.labels and len(self.labels) != len(self.measured):
            lengths = f"{len(self.labels)} for {len(self.measured)} pairs"
            problems.append(f"Scatter.labels: must be empty or one per pair, found {lengths}")
        _raise(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line over epochs."""

    name: str
    """Shown in the legend."""
    x: tuple[float, ...]
    """Epochs, ascending."""
    y: tuple[float, ...]
    """One value per epoch; all curves of a plot share the unit."""

    def __post_init__(self) -> None:
        where = f"Curve {self.name!r}"
        problems = _unusable_in(f"{where}: x", self.x) + _unusable_in(f"{where}: y", self.y)
        if len(self.x) != len(self.y):
            problems.append(
                f"{where}: y: must be as long as x, found {len(self.y)} and {len(self.x)}"
            )
        _raise(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One subnet in the plot of accuracy against latency."""

    latency_ms: float
    """Measured or predicted latency."""
    top1: float
    """Measured or predicted top-1 accuracy in percent."""
    label: str
    """The architecture as text, shown on hover."""
    name: str = ""
    """Written beside the marker of a measured subnet; a short label when empty."""

    def __post_init__(self) -> None:
        _raise(
            _unusable("FrontPoint.latency_ms", self.latency_ms)
            + _unusable("FrontPoint.top1", self.top1)
        )

    @property
    def title(self) -> str:
        """Its name, or its label where it has none."""
        return self.name or self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One network of the headline table."""

    name: str
    """Such as ``largest``."""
    top1: float
    """Measured top-1 accuracy in percent."""
    latency_ms: float
    """Measured latency of the whole network."""
    macs: int
    """Multiply-adds for one image."""
    params: int
    """Learned values."""
    note: str = ""
    """A remark under the name, such as ``trained alone, 30 epochs``."""

    def __post_init__(self) -> None:
        where = f"NetworkRow {self.name!r}"
        problems = _unusable(f"{where}: latency_ms", self.latency_ms)
        if not 0 <= self.top1 <= 100:
            problems.append(f"{where}: top1: must be a percentage, found {self.top1}")
        for name, value in (
            ("latency_ms", self.latency_ms),
            ("macs", self.macs),
            ("params", self.params),
        ):
            if value < 0:
                problems.append(f"{where}: {name}: must not be negative, found {value}")
        _raise(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    """One operator of the drawn network."""

    slot: str
    """Where it stands, such as ``stage2.block1``; the part before the dot is the group."""
    operator: Operator
    """What stands there."""
    latency_ms: float
    """Its latency in the table."""

    def __post_init__(self) -> None:
        problems = _unusable(f"OperatorRow {self.slot!r}: latency_ms", self.latency_ms)
        if self.latency_ms < 0:
            problems.append(f"OperatorRow {self.slot!r}: latency_ms: must not be negative")
        _raise(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPoint:
    """One subnet in the plot of accuracy against multiply-adds."""

    name: str
    """Such as ``largest`` or ``random 3``; ``largest`` and ``smallest`` are drawn large."""
    macs: int
    """Multiply-adds for one image."""
    top1: float
    """Accuracy with the shared weights, in percent."""
    alone: float | None = None
    """Accuracy of the same network trained alone, in percent; None where it was not."""
    label: str
    """The architecture as text, shown on hover."""

    def __post_init__(self) -> None:
        problems = []
        for name, value in (("top1", self.top1), ("alone", self.alone)):
            if value is not None and not 0 <= value <= 100:
                problems.append(
                    f"QualityPoint {self.name!r}: {name}: must be a percentage, found {value}"
                )
        if not 0 <= self.macs <= _MAX_SIZE:
            problems.append(f"QualityPoint {self.name!r}: macs: must not be negative")
        _raise(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good the subnets of a supernet are, as they are and against training alone."""

    points: tuple[QualityPoint, ...]
    """The subnets."""
    caption: str
    """What they were measured on, and the correlations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a report shows; sections without data are left out."""

    title: str
    """The heading, such as ``MobileNetV3 on Fashion-MNIST``."""
    subtitle: str
    """One line under the heading."""
    facts: Mapping[str, str]
    """What a reader needs to repeat it: device, runtime, versions, date, seed, command."""
    networks: tuple[NetworkRow, ...]
    """The headline table; differences are against its first row."""
    training: tuple[Curve, ...] = ()
    """Losses over epochs."""
    validation: tuple[Curve, ...] = ()
    """Top-1 accuracies in percent over epochs, such as of smallest and largest."""
    predictor: Scatter | None = None
    """The accuracy predictor on subnets held out from its fit, in percent."""
    latency: Scatter | None = None
    """Sums of the latency table against whole networks, in milliseconds."""
    quality: Quality | None = None
    """Real accuracies of subnets of all sizes."""
    searched: tuple[FrontPoint, ...] = ()
    """Subnets the search evaluated, in order; at most 500 of them are drawn."""
    random: tuple[FrontPoint, ...] = ()
    """Random subnets as a baseline; at most 250 of them are drawn."""
    front: tuple[FrontPoint, ...] = ()
    """The predicted Pareto front."""
    measured_front: tuple[FrontPoint, ...] = ()
    """Subnets that were really measured, drawn large and with their names."""
    limit_ms: float | None = None
    """Latency limit of the search, drawn as a vertical line."""
    architecture: tuple[OperatorRow, ...] = ()
    """Operators of the found subnet, in network order."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Other results as a table, such as ``{"ONNX Runtime against torch": "1.2e-06"}``."""
    found: str = "found"
    """Name of the network the search chose: starred in the plot, marked in the table."""

    def __post_init__(self) -> None:
        if self.limit_ms is not None:
            problems = _unusable("Report.limit_ms", self.limit_ms)
            if self.limit_ms <= 0:
                problems.append(f"Report.limit_ms: must be above 0, found {self.limit_ms}")
            _raise(problems)

    def is_found(self, name: str) -> bool:
        """Whether `name` is that of the network the search chose."""
        return name.casefold() == self.found.casefold()
