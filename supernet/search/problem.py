"""What is searched for: a domain, objectives and limits, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.search.ladder import Rung, check_ladder
from supernet.search.objective import Cost, Objective, Values
from supernet.space import WHOLE, Body, Domain, Genes

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Problem:
    """Objectives over a domain, under limits."""

    domain: Domain
    """What may be chosen; a fixed choice is a gene with one allowed choice."""
    objectives: tuple[Objective, ...]
    """Axes of the front; the first decides which subnet is the best."""
    others: tuple[Objective, ...] = ()
    """Figures that are reported or limited and do not shape the front."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """By the name of an objective: the most that is allowed, of one that is maximised the
    least."""
    ladder: tuple[Rung, ...] = ()
    """Cheaper measurements of the first objective, the cheapest first, for algorithms that
    choose which subnets earn a whole one."""
    body: Body = WHOLE
    """Which operators of a subnet its costs are of."""

    def __post_init__(self) -> None:
        names = [objective.name for objective in self.columns]
        problems = [f"objectives: {n!r} is given twice" for n in {*names} if names.count(n) > 1]
        if not self.objectives:
            problems.append("objectives: at least one is needed")
        elif self.ladder and not self.objectives[0].measured:
            problems.append(f"ladder: {self.objectives[0].name} is not measured")
        problems += check_ladder(self.ladder)
        for name, limit in self.limits.items():
            if name not in names:
                problems.append(f"limits: unknown objective {name[:60]!r}; {nearest(name, names)}")
                continue
            try:
                usable = 0 < limit < np.inf
            except TypeError:
                usable = False
            if not usable:
                problems.append(f"limits: {name}: must be above 0 and finite, found {limit!r}")
        if problems:
            raise ConfigError(problems)

    @property
    def columns(self) -> tuple[Objective, ...]:
        """All figures that a result holds of a subnet."""
        return self.objectives + self.others + self.ladder

    def column(self, name: str) -> Objective:
        """The objective of this name.

        Raises:
            ConfigError: there is none.
        """
        for objective in self.columns:
            if objective.name == name:
                return objective
        names = [objective.name for objective in self.columns]
        raise ConfigError(f"unknown objective {name[:60]!r}; {nearest(name, names)}")

    @property
    def measures(self) -> bool:
        """Whether a figure is measured, which takes long."""
        return any(objective.measured for objective in self.columns)

    @property
    def wants_front(self) -> bool:
        """Whether all objectives count alike: there are several, and nothing is limited."""
        return len(self.objectives) > 1 and not self.limits

    def costs(self) -> Values:
        """Whole measurements that each rung counts as, the last one 1; shape ``(R + 1,)``."""
        return np.array([*(rung.cost for rung in self.ladder), 1.0])

    @property
    def limited_costs(self) -> tuple[tuple[Cost, float], ...]:
        """Limits on costs: those that are known before anything is measured."""
        found = [(self.column(name), limit) for name, limit in self.limits.items()]
        return tuple((of, limit) for of, limit in found if isinstance(of, Cost))

    def allows(self, genes: Genes) -> npt.NDArray[np.bool_]:
        """Which subnets keep the limits as far as it costs no measurement, shape ``(N,)``."""
        found: npt.NDArray[np.bool_] = self.violation(self.cheap(genes), len(genes)) <= 0
        return found

    def cheap(self, genes: Genes) -> dict[str, Values]:
        """The figures that need no measurement, by name, each of shape ``(N,)``."""
        return {o.name: o(genes) for o in self.columns if not o.measured}

    def violation(self, columns: Mapping[str, Values], count: int = 0) -> Values:
        """How far limits are broken, as a sum of shares; 0 where all are met, ``(N,)``.

        Limits on figures that are not in `columns`, or NaN there, do not count.

        Args:
            columns: figures by name, each of shape ``(N,)``.
            count: N, where there may be no column.
        """
        broken = np.zeros(len(next(iter(columns.values()), range(count))))
        for name, limit in self.limits.items():
            if name in columns:
                share = columns[name] / limit - 1
                share = -share if self.column(name).maximise else share
                broken += np.fmax(share, 0.0)  # of NaN: 0
        return broken

    def losses(self, columns: Mapping[str, Values]) -> Values:
        """The objectives, all to be minimised, shape ``(N, M)``; NaN becomes infinite."""
        signed = [-columns[o.name] if o.maximise else columns[o.name] for o in self.objectives]
        found: Values = np.nan_to_num(np.stack(signed, axis=1), nan=np.inf, posinf=np.inf)
        return found
