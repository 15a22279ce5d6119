"""What the rungs of a ladder measured, and how well each foretells the next."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from supernet.metrics import kendall_tau
from supernet.search.objective import Values
from supernet.search.problem import Problem
from supernet.search.result import SearchResult

__all__ = ["Climb", "climbs_of"]

_ENOUGH = 10  # subnets, to say something of an order
_CHANCE = 0.2  # Kendall tau


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """One rung of a search that climbed a ladder."""

    name: str
    """Of its column in the result, such as ``top1@500``; of the whole measurement ``top1``."""
    subnets: int
    """That have a value there."""
    climbed: int = 0
    """Of them, those with a value on the next rung, too."""
    kendall: float | None = None
    """Rank correlation with the next rung over those; None where they are fewer than ten, or
    all alike."""

    @property
    def poor(self) -> bool:
        """Whether the order of this rung is hardly that of the next one, and not by chance."""
        if self.kendall is None:
            return False
        n = self.climbed
        error = np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))  # of tau where nothing is related
        return bool(self.kendall + error < _CHANCE)


def climbs_of(problem: Problem, result: SearchResult) -> tuple[Climb, ...]:
    """The rungs of a search, the cheapest first, the whole measurement last.

    Subnets that climbed are alike in accuracy, so their rank correlation is lower than that
    over all subnets would be.

    Args:
        problem: with its ladder; without one there are no rungs.
        result: what was found.
    """
    if not problem.ladder:
        return ()
    names = [*(rung.name for rung in problem.ladder), problem.objectives[0].name]
    values = [result.columns[name] for name in names]
    climbs = [_climb(name, own, after) for name, (own, after) in zip(names, pairwise(values))]
    return (*climbs, Climb(name=names[-1], subnets=int(np.isfinite(values[-1]).sum())))


def _climb(name: str, own: Values, after: Values) -> Climb:
    both = np.isfinite(own) & np.isfinite(after)
    climbed = int(both.sum())
    told = climbed >= _ENOUGH and np.ptp(own[both]) > 0 and np.ptp(after[both]) > 0
    return Climb(
        name=name,
        subnets=int(np.isfinite(own).sum()),
        climbed=climbed,
        kendall=kendall_tau(own[both], after[both]) if told else None,
    )
