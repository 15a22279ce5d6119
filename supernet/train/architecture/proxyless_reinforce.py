"""ProxylessNAS by REINFORCE (arXiv:1812.00332, section 3.3.2)."""

from typing import Any

import numpy as np

from supernet.space import Genes
from supernet.train.architecture.contract import Scorer
from supernet.train.architecture.expected import ExpectedLatency
from supernet.train.architecture.policy import Policy
from supernet.train.architecture.reinforce import Reinforce
from supernet.train.search_phase import SearchPhase

__all__ = ["ProxylessReinforce"]


class ProxylessReinforce:
    """The reward is ``accuracy * (limit / latency) ** weight``, as MnasNet's.

    Paths of both kinds are drawn from the policy. The baseline is nearly the mean of the
    same update's rewards, as in the released code (it keeps a hundredth).

    Args:
        policy: what is learned.
        latency: of subnets.
        settings: of the phase.
    """

    def __init__(self, policy: Policy, latency: ExpectedLatency, settings: SearchPhase) -> None:
        self.policy = policy
        self._latency, self._settings = latency, settings
        self._reinforce = Reinforce(policy, betas=(0.0, 0.999), keep=0.01)

    def paths(self, count: int, share: float, rng: np.random.Generator) -> Genes:  # noqa: ARG002  # the same at all times
        """Subnets for the weights, from the policy."""
        return self.policy.sample(count, rng)

    def learn(self, score: Scorer, share: float, rng: np.random.Generator) -> None:  # noqa: ARG002  # the same at all times
        """One update from `samples` subnets."""
        settings = self._settings
        genes = self.policy.sample(settings.samples, rng)
        ratios = settings.limit_ms / self._latency.of(genes)
        rewards = score(genes).top1 * ratios**settings.weight
        self._reinforce.update(genes, rewards, settings.lr)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return self._reinforce.state()

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._reinforce.load(state)
