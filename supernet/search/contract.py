"""What an algorithm is: it is asked for subnets and told what they are worth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from supernet.search.objective import Values
from supernet.search.pareto import Index
from supernet.search.problem import Problem
from supernet.space import Genes

if TYPE_CHECKING:
    from supernet.search.archive import Archive

__all__ = ["Algorithm", "Candidates", "Evaluated", "Factory", "Start"]

_DRAWN = 64  # random subnets for each that is wanted
_MIXED = 64  # subnets of which the nearest is taken in place of one that breaks a limit


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Subnets that an algorithm wants to know more about."""

    genes: Genes
    """Canonical rows of the domain, shape ``(N, G)``; none where it has nothing to ask."""
    rung: Index | None = None
    """Of the problem's ladder that each is to be measured at, shape ``(N,)``; after the last
    rung comes the whole measurement, which is meant where None is given."""
    beyond: bool = False
    """Whether those are measured too that break a limit."""
    known: Mapping[str, Values] = field(default_factory=dict)
    """Measured figures that others have found, by name, each of shape ``(N,)``, NaN where there is
    none: these are taken as they are. They cost what a measurement costs."""


@dataclass(frozen=True, eq=False, slots=True)
class Evaluated:
    """What is known of subnets."""

    genes: Genes
    """Shape ``(N, G)``."""
    columns: Mapping[str, Values]
    """Every figure of the problem by name, each of shape ``(N,)``; NaN where it failed, or
    was not measured: since a limit is broken, or at another rung."""
    violation: Values
    """Sum of the shares by which limits are broken; 0 where all are met; shape ``(N,)``."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Start:
    """What every algorithm begins with."""

    problem: Problem
    rng: np.random.Generator
    """The only source of its random choices."""
    budget: int
    """Subnets that will be scored in all; of a ladder, whole measurements or as much work."""
    genes: Genes
    """Subnets to begin with, such as the cheapest and largest; shape ``(N, G)``."""
    given: Genes
    """Those of them that the user named, shape ``(M, G)``."""
    archive: "Archive"
    """Everything that was scored; whoever tells an algorithm has put it there before."""

    def spread(self, count: int) -> Genes:
        """Subnets of all sizes that are not known, within the limits where some are found."""
        genes = self.problem.domain.sample_spread(_DRAWN * count, self.rng)
        good = (self.archive.find(genes) < 0) & self.problem.allows(genes)
        return genes[np.argsort(~good, kind="stable")][:count]

    def near(self, genes: Genes) -> Genes:
        """What keeps the limits, is not known, and shares most genes with a subnet ``(1, G)``.

        It mixes the subnet with known ones that break limits least, and with random ones.
        """
        domain, rng = self.problem.domain, self.rng
        broken = self.archive.violation
        mates = domain.sample(_MIXED, rng)
        if len(broken):
            mates = self.archive.genes[rng.choice(np.flatnonzero(broken == broken.min()), _MIXED)]
        mixed = np.where(rng.random(mates.shape) < rng.random((_MIXED, 1)), mates, genes)
        rows = domain.canonical(np.concatenate([mixed, domain.sample(_MIXED, rng)]))
        good = self.problem.allows(rows) & (self.archive.find(rows) < 0)
        same = (rows == genes).sum(axis=1) + rows.shape[1] * good
        return rows[[int(same.argmax())]]


class Algorithm(Protocol):
    """Chooses subnets; only the driver calls it. Knows no torch, no files, no progress."""

    def ask(self, count: int) -> Candidates:
        """Up to about `count` subnets to score next; none to end the search."""

    def tell(self, evaluated: Evaluated) -> None:
        """Take note of scored subnets: those asked for or others, in any order, also twice."""


Factory = Callable[[Start], Algorithm]
