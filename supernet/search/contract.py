"""What an algorithm is: it is asked for subnets and told what they are worth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from supernet.search.objective import Values
from supernet.search.problem import Problem
from supernet.space import Genes

if TYPE_CHECKING:
    from supernet.search.archive import Archive

__all__ = ["Algorithm", "Candidates", "Evaluated", "Factory", "Start"]

_DRAWN = 64  # random subnets for each that is wanted


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Subnets that an algorithm wants to know more about."""

    genes: Genes
    """Canonical rows of the domain, shape ``(N, G)``; none where it has nothing to ask."""
    fidelity: Values | None = None
    """Share of a whole measurement that each is worth, above 0 to 1; all of it if None."""


@dataclass(frozen=True, eq=False, slots=True)
class Evaluated:
    """What is known of subnets."""

    genes: Genes
    """Shape ``(N, G)``."""
    columns: Mapping[str, Values]
    """Every figure of the problem by name, each of shape ``(N,)``; NaN where it failed, or
    was not measured since a limit is broken."""
    violation: Values
    """Sum of the shares by which limits are broken; 0 where all are met; shape ``(N,)``."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Start:
    """What every algorithm begins with."""

    problem: Problem
    rng: np.random.Generator
    """The only source of its random choices."""
    budget: int
    """Subnets that will be scored in all."""
    genes: Genes
    """Subnets to begin with, such as the cheapest and largest; shape ``(N, G)``."""
    archive: "Archive"
    """Everything that was scored; whoever tells an algorithm has put it there before."""

    def spread(self, count: int) -> Genes:
        """Subnets of all sizes that are not known, within the limits where some are found."""
        genes = self.problem.domain.sample_spread(_DRAWN * count, self.rng)
        good = (self.archive.find(genes) < 0) & self.problem.allows(genes)
        return genes[np.argsort(~good, kind="stable")][:count]


class Algorithm(Protocol):
    """Chooses subnets; only the driver calls it. Knows no torch, no files, no progress."""

    def ask(self, count: int) -> Candidates:
        """Up to about `count` subnets to score next; none to end the search."""

    def tell(self, evaluated: Evaluated) -> None:
        """Take note of scored subnets: those asked for or others, in any order, also twice."""


Factory = Callable[[Start], Algorithm]

Index = npt.NDArray[np.int64]
