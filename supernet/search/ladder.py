"""Rungs: cheaper measurements of the accuracy, by which subnets earn a whole one."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from supernet.arguments import called, checked, number, text
from supernet.errors import ConfigError
from supernet.search.objective import Values, checked_values
from supernet.space import Genes

__all__ = ["Rung", "check_ladder"]

LEAST_SHARE = 1e-3
"""What a rung counts at least of the budget, so that one that costs nothing has an end."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Rung:
    """One fidelity of the accuracy below the whole measurement."""

    name: str
    """Of its column in a result, such as ``top1@500``."""
    function: Callable[[Genes], Values]
    """Percent for a population ``(N, G)``, shape ``(N,)``; NaN where it failed."""
    share: float
    """Of the work of a whole measurement, from 0 to 1."""
    measured: bool = True
    """Whether each value costs a measurement; a predictor's do not."""
    unit: str = "%"
    target: str = ""
    maximise: bool = True

    def __post_init__(self) -> None:
        given = {"name": self.name, "function": self.function, "share": self.share}
        checked(given, {"name": text, "function": called, "share": number()})
        if not 0 <= self.share < 1:
            raise ConfigError(
                f"rung {self.name}: must take a share of a whole measurement from 0 to below 1, "
                f"found {self.share:g}"
            )

    @property
    def cost(self) -> float:
        """Whole measurements that it counts as."""
        return max(self.share, LEAST_SHARE)

    def __call__(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        return checked_values(self.name, self.function(genes), len(genes))


def check_ladder(ladder: tuple[Rung, ...]) -> list[str]:
    """What is wrong with a ladder, one line each: rungs must cost more and more."""
    return [
        f"ladder: each rung must cost more than the one before; {after.name} takes "
        f"{after.share:.3g} of a whole measurement, {before.name} before it {before.share:.3g}"
        for before, after in pairwise(ladder)
        if after.share <= before.share
    ]
