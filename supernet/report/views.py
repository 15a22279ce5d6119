"""What the page shows of one search: plain values, checked when they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supernet.report._checks import raise_problems, unusable_in
from supernet.space.operator import Operator

__all__ = ["MACS", "CellView", "FrontPoint", "OperatorRow", "PlotAxis", "Scatter", "SearchView"]

MACS = "MACs"
"""The cost of operators where no latency is known."""


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
        problems = unusable_in("Scatter.measured", self.measured)
        problems += unusable_in("Scatter.predicted", self.predicted)
        if len(self.measured) != len(self.predicted):
            lengths = f"{len(self.measured)} and {len(self.predicted)}"
            problems.append(f"Scatter.predicted: must be as long as measured, found {lengths}")
        if self.labels and len(self.labels) != len(self.measured):
            lengths = f"{len(self.labels)} for {len(self.measured)} pairs"
            problems.append(f"Scatter.labels: must be empty or one per pair, found {lengths}")
        raise_problems(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotAxis:
    """One figure of every subnet."""

    name: str
    """Such as ``latency@mobile_cpu``."""
    label: str
    """Written at the axis, such as ``latency on mobile_cpu``."""
    unit: str = ""
    """Such as ``ms`` or ``M``; of the values divided by `divisor`."""
    divisor: float = 1.0
    """What values are divided by to be written."""
    maximise: bool = False
    limit: float | None = None
    """Drawn as a line: the most that is allowed, of one that is maximised the least."""

    def __post_init__(self) -> None:
        limits = [] if self.limit is None else [self.limit]
        raise_problems(unusable_in(f"PlotAxis {self.name!r}: limit", limits))

    @property
    def title(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One of the cells that a network repeats."""

    kind: str
    """``normal`` or ``reduction``."""
    inputs: tuple[tuple[str, str], ...]
    """The two states that each node reads."""
    operations: tuple[tuple[str, str], ...]
    """What each does with them."""
    output: tuple[str, ...]
    """The states that are joined."""
    published: str = ""
    """Name under which both cells were published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    """One operator of a drawn network."""

    slot: str
    """Where it stands, such as ``stage2.block1``."""
    group: str
    """The stage, or the part outside of stages."""
    operator: Operator
    """What stands there."""
    costs: tuple[float, ...]
    """Its latency in milliseconds on each target, or its MACs where no latency is known; in
    the order of `SearchView.costs`."""

    def __post_init__(self) -> None:
        problems = unusable_in(f"OperatorRow {self.slot!r}: costs", self.costs)
        if not self.costs or min(self.costs) < 0:
            problems.append(f"OperatorRow {self.slot!r}: costs: at least one, none negative")
        raise_problems(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """One subnet in the plots of a search."""

    values: tuple[float | None, ...]
    """One a figure, in the order of the axes; None where it is not known."""
    label: str
    """The architecture as text, shown on hover."""
    name: str = ""
    """Written beside the marker of a measured subnet; a short label when empty."""
    number: int = 0
    """Position on the front, from 1, by which a command names the subnet; 0 for a chosen one
    that is not on the front, such as the best by measurement."""
    operators: tuple[OperatorRow, ...] = ()
    """In network order; drawn when the point is clicked."""
    cells: tuple["CellView", ...] = ()
    """The cells of a network of cells."""

    def __post_init__(self) -> None:
        known = [value for value in self.values if value is not None]
        raise_problems(unusable_in("FrontPoint.values", known))

    @property
    def title(self) -> str:
        """Its name, or its label where it has none."""
        return self.name or self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    """Everything that is shown of one search."""

    name: str
    """The tab, and how a command names it."""
    subtitle: str = ""
    """What was searched for."""
    axes: tuple[PlotAxis, ...]
    """The first goes up, each of the others has a plot of its own."""
    searched: tuple[tuple[float, ...], ...] = ()
    """Scored subnets in order, one value an axis; at most 500 are drawn."""
    scored: int = 0
    """How many were scored in all."""
    front: tuple[FrontPoint, ...] = ()
    """The predicted Pareto front, the cheapest first."""
    chosen: int | None = None
    """The chosen one, as an index into `front`."""
    random: tuple[FrontPoint, ...] = ()
    """Random subnets as a baseline; at most 250 are drawn."""
    measured: tuple[FrontPoint, ...] = ()
    """Subnets that were really measured, drawn large and with their names."""
    found: str = "found"
    """Name of the measured one that the search chose."""
    costs: tuple[str, ...] = ("latency",)
    """What the operators' costs are: a latency in milliseconds on each target, or `MACS`."""
    commands: str = ""
    """What takes a subnet out of the search; ``{pick}`` stands for ``--pick`` with its
    number and a space, and for nothing where it has none."""
    predictor: Scatter | None = None
    """The accuracy predictor on subnets held out from its fit, in percent."""
    latencies: Mapping[str, Scatter] = field(default_factory=dict)
    """By target: the latency table against whole networks, in milliseconds."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What a reader needs to repeat it: request, device, runtime, seconds."""

    def __post_init__(self) -> None:
        where, width = f"SearchView {self.name!r}", len(self.axes)
        problems = [] if width > 1 else [f"{where}: axes: at least two are needed"]
        points: Sequence[Sequence[float | None]] = [
            *self.searched,
            *(point.values for point in (*self.front, *self.random, *self.measured)),
        ]
        if any(len(values) != width for values in points):
            problems.append(f"{where}: every point needs {width} values, one an axis")
        drawn = (row for point in self.front for row in point.operators)
        if any(len(row.costs) != len(self.costs) for row in drawn):
            problems.append(f"{where}: every operator needs {len(self.costs)} costs")
        if self.chosen is not None and not 0 <= self.chosen < len(self.front):
            problems.append(f"{where}: chosen: must be from 0 and below {len(self.front)}")
        problems += unusable_in(f"{where}: searched", [v for row in self.searched for v in row])
        raise_problems(problems)
