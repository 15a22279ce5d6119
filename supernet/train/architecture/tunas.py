"""TuNAS (arXiv:2008.06120): a controller per choice, learned by REINFORCE beside the weights."""

from typing import Any

import numpy as np

from supernet.space import Genes
from supernet.train.architecture.contract import Scorer
from supernet.train.architecture.expected import ExpectedLatency
from supernet.train.architecture.policy import Policy
from supernet.train.architecture.reinforce import Reinforce
from supernet.train.sampling import ELASTIC
from supernet.train.search_phase import SearchPhase

__all__ = ["TuNAS"]

_WIDTHS = "expand", "width"  # fields of `Elastic`: choices that are numbers of filters
_OPERATORS = "kernel", "depth"
_FASTER = 10.0  # the controller's learning rate grows by as much until the end


class TuNAS:
    """The reward is absolute: ``accuracy - weight * |latency / limit - 1|``.

    The controller learns after the warm-up only, with a rate that then grows by ten,
    exponentially; its baseline keeps 0.95 at each update.

    During the warm-up, weights also learn as a whole: at each step all widths
    and, drawn apart, all operators are replaced by the largest with a probability that
    falls from 1 to 0. The paper enables all operators of a layer at once there, whose
    outputs are averaged; here the largest choice holds the weights of all the others, so
    it is that one. Kinds of block and of shortcuts share nothing, so they are always drawn,
    as is the input size.

    Args:
        policy: what is learned.
        latency: of subnets.
        settings: of the phase.
    """

    def __init__(self, policy: Policy, latency: ExpectedLatency, settings: SearchPhase) -> None:
        self.policy = policy
        self._latency, self._settings = latency, settings
        self._reinforce = Reinforce(policy, betas=(0.0, 0.999), keep=0.95)
        widths = [gene for gene in policy.genes if ELASTIC[gene.kind] in _WIDTHS]
        operators = [
            gene for gene in policy.genes if ELASTIC[gene.kind] in _OPERATORS or gene.kind == "se"
        ]
        self._groups = [np.array([g.column for g in own], int) for own in (widths, operators)]
        self._largest = np.array([left[-1] for left in policy.domain.allowed], dtype=np.int8)

    def paths(self, count: int, share: float, rng: np.random.Generator) -> Genes:
        """Subnets for the weights: from the policy, in the warm-up enlarged by chance."""
        genes = self.policy.draw(count, rng)
        enlarged = 1 - share / self._settings.warmup if share < self._settings.warmup else 0.0
        for columns in self._groups:
            rows = np.flatnonzero(rng.random(count) < enlarged)
            genes[np.ix_(rows, columns)] = self._largest[columns]
        return self.policy.domain.canonical(genes)

    def learn(self, score: Scorer, share: float, rng: np.random.Generator) -> None:
        """One update from `samples` subnets."""
        settings = self._settings
        genes = self.policy.sample(settings.samples, rng)
        beside = np.abs(self._latency.of(genes) / settings.limit_ms - 1)
        rewards = score(genes).top1 - settings.weight * beside
        learned = (share - settings.warmup) / (1 - settings.warmup)
        self._reinforce.update(genes, rewards, settings.lr * _FASTER**learned)

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return self._reinforce.state()

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._reinforce.load(state)
