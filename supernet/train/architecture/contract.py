"""What a method of searching by gradient is: it draws subnets and learns from their scores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from supernet.space import Genes
from supernet.train.architecture.expected import ExpectedLatency
from supernet.train.architecture.policy import Policy, Values
from supernet.train.search_phase import SearchPhase

__all__ = ["Method", "MethodFactory", "Scorer", "Scores"]


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """What subnets are worth on the images of one step, with the shared weights."""

    losses: Values
    """Mean cross-entropy in nats, shape ``(N,)``."""
    top1: Values
    """Accuracy, 0 to 1, shape ``(N,)``."""


Scorer: TypeAlias = Callable[[Genes], Scores]
"""Scores of canonical subnets ``(N, G)``, all on the same images."""


class Method(Protocol):
    """Learns a policy; called by `ArchitectureStep` only, in every process alike.

    Knows no network, no images, no files. `share` is how much of the phase is done, 0 to 1;
    everything random comes from `rng`, which is a function of the seed and the step.
    """

    @property
    def policy(self) -> Policy:
        """What is learned."""

    def paths(self, count: int, share: float, rng: np.random.Generator) -> Genes:
        """Canonical subnets ``(count, G)`` for the weights to learn from."""

    def learn(self, score: Scorer, share: float, rng: np.random.Generator) -> None:
        """One update of the policy; called after the warm-up only."""

    def state(self) -> dict[str, Any]:
        """All that is needed to go on, of tensors and plain values."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


MethodFactory: TypeAlias = Callable[[Policy, ExpectedLatency, SearchPhase], Method]
