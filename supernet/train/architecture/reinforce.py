"""REINFORCE: drawn subnets become more probable as they are rewarded more than usual."""

from typing import Any

import torch

from supernet.space import Genes
from supernet.train.architecture.policy import Policy, Values

__all__ = ["Reinforce"]


class Reinforce:
    """Adam on ``-(reward - baseline) * log p`` of drawn subnets.

    The baseline is an exponential average of the mean rewards, which begins with the first.

    Args:
        policy: its logits are learned.
        betas: of Adam.
        keep: share of the baseline that stays at each update.
    """

    def __init__(self, policy: Policy, *, betas: tuple[float, float], keep: float) -> None:
        self.policy, self._keep = policy, keep
        self._optimizer = torch.optim.Adam([policy.logits], 1.0, betas)
        self._baseline: float | None = None

    def update(self, genes: Genes, rewards: Values, lr: float) -> None:
        """Learn from canonical subnets ``(N, G)`` and their rewards ``(N,)``."""
        mean = float(rewards.mean())
        if self._baseline is None:
            self._baseline = mean
        self._baseline += (1 - self._keep) * (mean - self._baseline)
        advantages = torch.from_numpy(rewards - self._baseline)
        loss = -(advantages * self.policy.log_prob(genes)).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        self._optimizer.param_groups[0]["lr"] = lr
        self._optimizer.step()

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        own = {"optimizer": self._optimizer.state_dict(), "baseline": self._baseline}
        return self.policy.state() | own

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.policy.load(state)
        self._optimizer.load_state_dict(state["optimizer"])
        self._baseline = state["baseline"]
