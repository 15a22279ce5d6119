"""What a report is made of: plain values, checked when they are made.

Accuracies are in percent (0 to 100), latencies in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from supernet.report._checks import MAX_SIZE, raise_problems, unusable, unusable_in
from supernet.report.views import SearchView

__all__ = [
    "ChoiceShares",
    "Curve",
    "NetworkRow",
    "PolicyView",
    "Quality",
    "QualityPoint",
    "Report",
]


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
        problems = unusable_in(f"{where}: x", self.x) + unusable_in(f"{where}: y", self.y)
        if len(self.x) != len(self.y):
            problems.append(
                f"{where}: y: must be as long as x, found {len(self.y)} and {len(self.x)}"
            )
        raise_problems(problems)


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
    """A remark under the name, such as ``trained standalone, 30 epochs``."""
    mean: bool = False
    """Whether these are means over several networks."""

    def __post_init__(self) -> None:
        where = f"NetworkRow {self.name!r}"
        problems = unusable(f"{where}: latency_ms", self.latency_ms)
        if not 0 <= self.top1 <= 100:
            problems.append(f"{where}: top1: must be a percentage, found {self.top1}")
        for name, value in (
            ("latency_ms", self.latency_ms),
            ("macs", self.macs),
            ("params", self.params),
        ):
            if value < 0:
                problems.append(f"{where}: {name}: must not be negative, found {value}")
        raise_problems(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPoint:
    """One subnet in the plot of accuracy against multiply-adds."""

    name: str
    """Such as ``largest`` or ``random 3``; ``largest`` and ``smallest`` are drawn large."""
    macs: int
    """Multiply-adds for one image."""
    top1: float
    """Accuracy with the shared weights, in percent."""
    standalone: float | None = None
    """Accuracy of the same network trained standalone, in percent; None where it was not."""
    label: str
    """The architecture as text, shown on hover."""

    def __post_init__(self) -> None:
        problems = []
        for name, value in (("top1", self.top1), ("standalone", self.standalone)):
            if value is not None and not 0 <= value <= 100:
                problems.append(
                    f"QualityPoint {self.name!r}: {name}: must be a percentage, found {value}"
                )
        if not 0 <= self.macs <= MAX_SIZE:
            problems.append(f"QualityPoint {self.name!r}: macs: must not be negative")
        raise_problems(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good the subnets of a supernet are, as they are and against standalone training."""

    points: tuple[QualityPoint, ...]
    """The subnets."""
    caption: str
    """What they were measured on, and the correlations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceShares:
    """How probable the choices of one gene were, epoch by epoch."""

    name: str
    """Such as ``stage2.block1.kernel``."""
    choices: tuple[str, ...]
    """The choices as text."""
    shares: tuple[tuple[float, ...], ...]
    """One tuple an epoch, with a probability for each choice."""

    def __post_init__(self) -> None:
        where = f"ChoiceShares {self.name!r}"
        problems = [] if self.choices else [f"{where}: choices: at least one is needed"]
        for own in self.shares:
            if len(own) != len(self.choices) or not all(0 <= share <= 1 for share in own):
                problems.append(f"{where}: shares: one from 0 to 1 for each choice, found {own}")
        raise_problems(problems[:1])


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """What a phase that searched learned about the choices."""

    name: str
    """Of the phase."""
    epochs: tuple[float, ...]
    """Ascending; at least one."""
    genes: tuple[ChoiceShares, ...]
    """Each with as many shares as there are epochs."""
    caption: str
    """The method, the limit and the expected latency in the end."""

    def __post_init__(self) -> None:
        count = len(self.epochs)
        wrong = [gene.name for gene in self.genes if len(gene.shares) != count]
        problems = [f"PolicyView {self.name!r}: epochs: at least one is needed"] * (not count)
        problems += [f"PolicyView {self.name!r}: {name}: needs {count} epochs" for name in wrong]
        raise_problems(problems)


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
    policies: tuple[PolicyView, ...] = ()
    """What phases that searched learned, in their order."""
    quality: Quality | None = None
    """Real accuracies of subnets of all sizes."""
    searches: tuple[SearchView, ...] = ()
    """What was searched for, each a tab; the first is shown first."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Other results as a table, such as ``{"ONNX Runtime against torch": "1.2e-06"}``."""
    found: str = "found"
    """Name of the network the search chose: starred in the plot, marked in the table."""

    def is_found(self, name: str) -> bool:
        """Whether `name` is that of the network the search chose."""
        return name.casefold() == self.found.casefold()
