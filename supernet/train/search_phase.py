"""What a phase of a recipe says of the architectures that it searches among."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from supernet.errors import ConfigError

__all__ = ["MethodName", "SearchPhase"]

MethodName: TypeAlias = Literal["proxyless", "proxyless_reinforce", "tunas"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPhase:
    """A search by gradient: the phase also learns which choices are the best.

    Its random subnets are then drawn from what is learned, and weights and choices learn
    in turn, each from its own half of the training images.
    """

    method: MethodName
    """How: ``proxyless`` (ProxylessNAS by gradient, arXiv:1812.00332), ``proxyless_reinforce``
    (the same by REINFORCE), ``tunas`` (arXiv:2008.06120)."""
    target: str = ""
    """Name or table (.json) of the device whose latency is limited; given by ``--target``
    where the recipe leaves it open."""
    limit_ms: float = 0.0
    """Latency to be reached, in milliseconds; given by ``--max-latency-ms`` where 0."""
    lr: float
    """Learning rate of the choices (Adam)."""
    weight: float
    """What a latency beside the limit costs, see the method: above 0."""
    samples: int = 4
    """Subnets that are looked at in one step, by ``proxyless`` each with a second path through
    every stage."""
    every: int = 1
    """Steps of the weights for one of the choices."""
    warmup: float = 0.25
    """Share of the phase in which only weights learn: a quarter, as in both papers."""

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.limit_ms < 1e7:
            problems.append(f"limit_ms: must be from 0 to 1e7, found {self.limit_ms:g}")
        for name in ("lr", "weight"):
            if not 0 < getattr(self, name) <= 100:
                found = getattr(self, name)
                problems.append(f"{name}: must be above 0 and at most 100, found {found:g}")
        for name in ("samples", "every"):
            if not 1 <= getattr(self, name) <= 1024:
                problems.append(f"{name}: must be from 1 to 1024, found {getattr(self, name)}")
        if not 0 <= self.warmup < 1:
            problems.append(f"warmup: must be from 0 to below 1, found {self.warmup:g}")
        if problems:
            raise ConfigError(problems)
