"""What a search found, as one value: saved, loaded, shown, plotted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from supernet.errors import ConfigError, InfeasibleError
from supernet.search.contract import Evaluated
from supernet.search.objective import Values
from supernet.search.pareto import Index, pareto_front
from supernet.search.problem import Problem
from supernet.space import Genes, Space, Subnet, decode

__all__ = ["Axis", "ProblemRecord", "SearchResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One figure of a result."""

    name: str
    """Such as ``latency@mobile_cpu``."""
    unit: str
    maximise: bool
    objective: bool
    """Whether it is an axis of the front."""
    limit: float | None = None
    """The most that is allowed, of one that is maximised the least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRecord:
    """What was searched for, without what predicts it."""

    space: Space
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Narrowed dimensions by name, with the values that were left."""
    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, problem: Problem) -> "ProblemRecord":
        """The record of a problem."""
        axes = tuple(
            Axis(
                name=o.name,
                unit=o.unit,
                maximise=o.maximise,
                objective=o in problem.objectives,
                limit=problem.limits.get(o.name),
            )
            for o in problem.columns
        )
        return cls(space=problem.domain.space, fixed=problem.domain.as_dict(), axes=axes)

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
    """Every scored subnet with its figures, and the front among them."""

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
    bound: float | None = None
    """No subnet of the domain within the limits is predicted better in the first objective
    than this, where that was proven."""

    @classmethod
    def of(cls, problem: Problem, scored: Evaluated, **known: Any) -> "SearchResult":
        """The result of a search.

        Raises:
            InfeasibleError: nothing that was scored meets the limits.
        """
        feasible = np.flatnonzero(scored.violation <= 0)
        losses = problem.losses(scored.columns)
        front = feasible[pareto_front(losses[feasible])]
        if not len(front):
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

    def __len__(self) -> int:
        return len(self.genes)

    def best(self, objective: str | None = None) -> int:
        """Index of the best subnet of the front in one objective; the first if None."""
        axes = self.problem.axes
        axis = self.problem.axis(objective) if objective else axes[0]
        values = self.columns[axis.name][self.front]
        return int(self.front[np.argmax(values if axis.maximise else -values)])

    def subnet(self, index: int | None = None) -> Subnet:
        """A scored subnet as a value; the best when no index is given."""
        chosen = self.best() if index is None else index
        return decode(self.problem.space, self.genes[[chosen]])[0]

    def figures(self, index: int) -> dict[str, float]:
        """The figures of a scored subnet, those that are known."""
        found = {name: float(values[index]) for name, values in self.columns.items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}
