"""What a search found, as one value: saved, loaded, shown, plotted."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from supernet.arguments import checked, whole
from supernet.errors import ConfigError, InfeasibleError, MissingPackageError, UnfinishedError
from supernet.search.contract import Evaluated
from supernet.search.objective import ROUNDING, Values
from supernet.search.pareto import Index, pareto_front
from supernet.search.pick import picked
from supernet.search.problem import Problem
from supernet.space import WHOLE, Body, Genes, Space, Subnet, decode
from supernet.units import in_words

if TYPE_CHECKING:
    from supernet.report.plot import FrontPlot

__all__ = ["Axis", "ProblemRecord", "SearchResult"]

_TELLING = 3.0  # points: a bound that is farther away says nothing to a reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One figure of a result."""

    name: str
    """Such as ``latency@mobile_cpu``."""
    target: str = ""
    """The device whose latency it is; empty of everything else."""
    unit: str
    maximise: bool
    objective: bool
    """Whether it is an axis of the front."""
    limit: float | None = None
    """The most that is allowed, of one that is maximised the least."""

    def breaks(self, values: Values) -> npt.NDArray[np.bool_]:
        """Which values break the limit, of the shape of `values`; none where there is none."""
        share = values / (self.limit or np.inf) - 1
        return (-share if self.maximise else share) > 0

    @property
    def short_name(self) -> str:
        """The target of a latency, else the name."""
        return self.target or self.name

    def text(self, value: float) -> str:
        """A value in words, such as ``latency@note10 12.3 ms``."""
        return f"{self.name} {in_words(value, self.unit)}"

    @property
    def bound_text(self) -> str:
        """The limit in words, such as ``<= 12 ms``; empty where there is none."""
        if self.limit is None:
            return ""
        return f"{'>=' if self.maximise else '<='} {in_words(self.limit, self.unit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRecord:
    """What was searched for, without what predicts it."""

    space: Space
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Narrowed dimensions by name, with the values that were left."""
    axes: tuple[Axis, ...]
    body: Body = WHOLE
    """Which operators of a subnet the costs are of."""
    measures: tuple[str, ...] = ()
    """Names of the figures that were measured, also at the rungs of a ladder."""

    @classmethod
    def of(cls, problem: Problem) -> "ProblemRecord":
        """The record of a problem."""
        axes = tuple(
            Axis(
                name=o.name,
                target=o.target,
                unit=o.unit,
                maximise=o.maximise,
                objective=o in problem.objectives,
                limit=problem.limits.get(o.name),
            )
            for o in problem.columns
        )
        domain = problem.domain
        measures = tuple(o.name for o in problem.columns if o.measured)
        return cls(
            space=domain.space,
            fixed=domain.as_dict(),
            axes=axes,
            body=problem.body,
            measures=measures,
        )

    def axis(self, name: str) -> Axis:
        """The figure of this name; ``latency`` is enough where there is one target.

        Raises:
            ConfigError: there is none, or several.
        """
        named = [a for a in self.axes if name in (a.name, a.name.partition("@")[0])]
        exact = [a for a in named if a.name == name]
        if len(exact or named) != 1:
            known = ", ".join(a.name for a in self.axes)
            raise ConfigError(f"{name[:60]!r} names {len(named)} figures; this result has {known}")
        return (exact or named)[0]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SearchResult:
    """Every scored subnet with its figures, and the front among them.

    Example::

        result = run_search(problem)
        print(result)                                # a few lines
        subnet = result.subnet(result.pick("latency<=12"))
        result.to_dataframe(), result.plot("macs")   # the front
    """

    problem: ProblemRecord
    genes: Genes
    """All scored subnets in the order of the search, shape ``(N, G)``."""
    columns: Mapping[str, Values]
    """Figures by name, each of shape ``(N,)``; NaN where it is not known."""
    front: Index
    """Indices of the Pareto front among those within all limits, ordered by the last
    objective, the cheapest first."""
    seconds: float = 0.0
    """Of the search."""
    complete: bool = True
    """False where the time was up before the budget was spent: it can be gone on with."""
    bound: float | None = None
    """No subnet of the domain within the limits is predicted better in the first objective
    than this, where that was proven."""

    @classmethod
    def of(cls, problem: Problem, scored: Evaluated, **known: Any) -> "SearchResult":
        """The result of a search.

        Raises:
            InfeasibleError: nothing that was scored meets the limits.
            UnfinishedError: nothing was measured whole when the time was up.
        """
        feasible = np.flatnonzero(scored.violation <= 0)
        losses = problem.losses(scored.columns)
        front = feasible[pareto_front(losses[feasible])]
        if not len(front):
            if len(feasible) and not known.get("complete", True):
                raise UnfinishedError(
                    f"the time was up before any of {len(feasible)} subnets was measured whole",
                    hint="go on with --resume and more time",
                )
            if len(feasible):
                raise InfeasibleError(
                    f"none of {len(feasible)} subnets within the limits could be measured",
                    hint="look at one by itself: a measurement that fails is NaN",
                )
            nearest = int(scored.violation.argmin())
            raise InfeasibleError(
                f"none of {len(scored.genes)} scored subnets meets all limits; the nearest "
                f"breaks them by {100 * scored.violation[nearest]:.3g} % in sum: "
                f"{decode(problem.domain.space, scored.genes[[nearest]])[0]}",
                hint="raise a limit, or the budget",
            )
        return cls(
            problem=ProblemRecord.of(problem),
            genes=scored.genes,
            columns=dict(scored.columns),
            front=front,
            **known,
        )

    def bounded(self, bound: float | None) -> "SearchResult":
        """The same with a bound; where the best subnet reaches it, to rounding, its figure."""
        if bound is None:
            return replace(self, bound=None)
        best = self._first(self.best())
        return replace(self, bound=bound if bound > best + ROUNDING else best)

    @property
    def proof(self) -> str:
        """What the bound says, in words; nothing where there is none."""
        if self.bound is None:
            return ""
        best, unit = self._first(self.best()), self.problem.axes[0].unit
        above = np.ceil(round(100 * self.bound, 6)) / 100  # never below the bound
        words = f"no subnet within the limits is predicted above {above:.2f} {unit}".rstrip()
        if self.bound <= best + ROUNDING:
            return f"the best there is, {words}"
        return f"{words}; found {best:.2f} {unit}".rstrip()

    @property
    def tells(self) -> bool:
        """Whether the bound is near enough to say something to a reader: within 3 points."""
        return self.bound is not None and self.bound - self._first(self.best()) < _TELLING

    def _first(self, index: int) -> float:
        """The first objective of a scored subnet."""
        return float(self.columns[self.problem.axes[0].name][index])

    def __len__(self) -> int:
        return len(self.genes)

    def __repr__(self) -> str:
        """A few lines: what was searched, and the ends of the front."""
        best, cheapest = self.best(), int(self.front[0])
        words = [f"{len(self)} subnets of space {self.problem.space.name!r} scored"]
        words.append(f"{len(self.front)} on the front, {self.seconds:.3g} s")
        lines = [f"SearchResult: {', '.join(words)}"]
        lines += [f"  best:     {self._words(best)}"]
        lines += [f"  cheapest: {self._words(cheapest)}"] * (cheapest != best)
        limits = [f"{a.name} {a.bound_text}" for a in self.problem.axes if a.limit is not None]
        lines += [f"  limits:   {', '.join(limits)}"] * bool(limits)
        lines += [f"  proven:   {self.proof}"] * bool(self.proof)
        return "\n".join(lines)

    def _words(self, index: int) -> str:
        found = self.figures(index)
        return ", ".join(a.text(found[a.name]) for a in self.problem.axes if a.name in found)

    def _repr_html_(self) -> str:
        """In a notebook: a short table and the front."""
        return self.plot(table=True)._repr_html_()

    def plot(self, cost: str | None = None, *, table: bool = False) -> "FrontPlot":
        """The front as on the report's page; a notebook shows it, ``save`` writes a file.

        Args:
            cost: the figure along the axis to the right; the last objective when not given.
            table: with a few subnets of the front as a table below it.

        Raises:
            ConfigError: no such figure.

        Example::

            result.plot("macs").save(Path("front.html"))
        """
        from supernet.report.plot import front_plot

        return front_plot(self, cost, table=table)

    def to_dataframe(self, *, scored: bool = False) -> Any:
        """The front as a `pandas.DataFrame`, the cheapest first.

        Figures by their names, then ``subnet`` and ``key``; the index is that of the scored
        subnets.

        Args:
            scored: all scored subnets instead, with their figures and ``front`` only.

        Raises:
            MissingPackageError: pandas is not installed.

        Example::

            result.to_dataframe().sort_values("top1").tail(3)
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingPackageError(
                "a data frame needs the package pandas", hint="pip install pandas"
            ) from None
        index = np.arange(len(self)) if scored else self.front
        columns: dict[str, Any] = {name: values[index] for name, values in self.columns.items()}
        if scored:
            columns["front"] = np.isin(index, self.front)
        else:
            subnets = decode(self.problem.space, self.genes[index])
            columns["subnet"] = [str(subnet) for subnet in subnets]
            columns["key"] = [subnet.key for subnet in subnets]
        return pd.DataFrame(columns, index=index)

    @property
    def within_limits(self) -> Index:
        """Indices of the scored subnets that meet all limits with every objective known."""
        kept = np.ones(len(self), dtype=bool)
        for axis in self.problem.axes:
            values = self.columns[axis.name]
            if axis.objective:
                kept &= np.isfinite(values)
            if axis.limit is not None:  # what is not known breaks no limit, as in a search
                kept &= np.isnan(values) | ~axis.breaks(values)
        return np.flatnonzero(kept)

    def pick(self, text: str | int) -> int:
        """Index of the scored subnet that a few characters name.

        Args:
            text: ``"3"`` or ``3`` for the third of the front, the cheapest being the first;
                ``"best"``; ``"latency<=12"`` or ``"latency<=12, macs<=300M"`` for the
                best in the first objective among those within all limits and these.

        Raises:
            ConfigError: not one of these, an unknown figure, or nothing is within.

        Example::

            result.subnet(result.pick("latency<=12"))
        """
        return picked(self, text)

    def best(self, objective: str | None = None) -> int:
        """Index of the best subnet of the front in one objective; the first if None."""
        axes = self.problem.axes
        axis = self.problem.axis(objective) if objective else axes[0]
        values = self.columns[axis.name][self.front]
        return int(self.front[np.argmax(values if axis.maximise else -values)])

    def subnet(self, index: int | None = None) -> Subnet:
        """A scored subnet as a value; the best when no index is given."""
        chosen = self.best() if index is None else self._known(index)
        return decode(self.problem.space, self.genes[[chosen]])[0]

    def figures(self, index: int) -> dict[str, float]:
        """The figures of a scored subnet, those that are known."""
        known = self._known(index)
        found = {name: float(values[known]) for name, values in self.columns.items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def _known(self, index: int) -> int:
        """An index of a scored subnet.

        Raises:
            ConfigError: there is none.
        """
        found: int = checked({"index": index}, {"index": whole(0)})["index"]
        if found >= len(self):
            raise ConfigError(
                f"index: must be below {len(self)}, the subnets scored, found {found}"
            )
        return found
