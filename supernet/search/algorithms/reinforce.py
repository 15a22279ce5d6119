"""A policy trained by its rewards: REINFORCE (Williams 1992) with two rewards of the field.

``soft`` is MnasNet's (arXiv:1807.11626, equation 2): ``top1 * (cost / limit) ** -0.07``.
``absolute`` is TuNAS's (arXiv:2008.06120, section 4): ``top1 - beta * |cost / limit - 1|``; it
draws the policy to the limit itself, where the soft one leaves it to the exponent.
"""

from typing import Literal, TypeAlias

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Values
from supernet.search.pareto import Index
from supernet.space import Genes, with_effect

__all__ = ["Reinforce", "Reward"]

Reward: TypeAlias = Literal["soft", "absolute"]

_EXPONENT = -0.07  # MnasNet's: twice the cost is worth 5 % of the accuracy
_BETA = 0.5  # of the absolute reward: 10 % from the limit cost 5 points
_MOMENTA = 0.9, 0.99  # of Adam (arXiv:1412.6980)
_WAY = 4.0  # what the logits can move by in all, by steps of Adam
_STEP = 0.03, 0.5  # of Adam, at least and at most


class Reinforce:
    """Independent probabilities of each gene's choices, moved towards what was rewarded.

    The reward is told of every subnet, so those that break a limit are measured, too. A gene
    learns only from subnets in which it has an effect.

    Args:
        start: of the search.
        reward: ``soft`` or ``absolute``; the accuracy alone where there is no limit.
        batch: subnets that a step learns from; a twentieth of the budget at most.
    """

    def __init__(self, start: Start, *, reward: Reward = "soft", batch: int = 8) -> None:
        self._start, self._problem, self._reward = start, start.problem, reward
        self._domain = start.problem.domain
        counts = self._domain.counts
        self._open = np.arange(counts.max(initial=1)) < counts[:, None]
        self._logits = np.where(self._open, 0.0, -np.inf)
        self._batch = max(2, min(batch, start.budget // 20))
        self._lr = float(np.clip(_WAY * self._batch / start.budget, *_STEP))
        self._momenta = np.zeros((2, *self._logits.shape))
        self._steps = 0
        self._first = start.genes
        self._genes: list[Genes] = []
        self._rewards: list[float] = []

    def ask(self, count: int) -> Candidates:
        """The subnets to begin with, then subnets drawn by the policy."""
        if len(self._first):
            first, self._first = self._first[:count], self._first[count:]
            return Candidates(first, beyond=True)
        genes = self._drawn(count)
        for _ in range(3):  # a policy that is sure draws the same again
            known = self._start.archive.find(genes) >= 0
            genes[known] = self._drawn(int(known.sum()))
        return Candidates(genes, beyond=True)

    def tell(self, evaluated: Evaluated) -> None:
        """Learn from each batch of subnets."""
        for row, reward in zip(evaluated.genes, self.rewards(evaluated).tolist()):
            if np.isfinite(reward):
                self._genes.append(row.copy())
                self._rewards.append(reward)
        while len(self._genes) >= self._batch:
            genes, rewards = np.array(self._genes[: self._batch]), self._rewards[: self._batch]
            del self._genes[: self._batch], self._rewards[: self._batch]
            self._learn(genes, np.array(rewards))

    def probabilities(self) -> Values:
        """Of each gene's choices, in the order of those allowed, shape ``(G, C)``."""
        shares = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        found: Values = shares / shares.sum(axis=1, keepdims=True)
        return found

    def rewards(self, evaluated: Evaluated) -> Values:
        """Of subnets, in shares of 1, shape ``(N,)``; NaN where nothing was measured."""
        first = self._problem.objectives[0]
        quality = evaluated.columns[first.name] / 100
        found: Values = (quality if first.maximise else -quality).copy()
        for cost, limit in self._problem.limited_costs:
            share = evaluated.columns[cost.name] / limit
            if self._reward == "soft":
                found *= share**_EXPONENT
            else:
                found -= _BETA * np.abs(share - 1)
        return found

    def _drawn(self, count: int) -> Genes:
        ends = self.probabilities().cumsum(axis=1)
        points = self._start.rng.random((count, len(ends), 1))
        ranks = (points > ends[None, :, :-1]).sum(axis=2)
        return self._domain.of_ranks(np.minimum(ranks, self._domain.counts - 1).astype(np.int8))

    def _learn(self, genes: Genes, rewards: Values) -> None:
        """One step of Adam up the gradient of the mean reward.

        The baseline is the mean of the others of the batch, and rewards are counted in their
        standard deviations, so that the step knows no unit.
        """
        spread = rewards.std()
        if spread == 0:
            return
        size = len(rewards)
        gains = (rewards - rewards.mean()) * size / (size - 1) / spread
        active, ranks = with_effect(self._domain.space, genes), self._ranks(genes)
        chosen = (ranks[:, :, None] == np.arange(self._logits.shape[1])) * active[:, :, None]
        expected = self.probabilities() * active[:, :, None]
        gradient = np.einsum("n,ngc->gc", gains, chosen - expected) / size
        self._steps += 1
        keeps = np.array(_MOMENTA)[:, None, None]
        self._momenta += (1 - keeps) * (np.stack([gradient, gradient**2]) - self._momenta)
        mean, square = self._momenta / (1 - keeps**self._steps)
        step = self._lr * mean / (np.sqrt(square) + 1e-8)
        self._logits[self._open] += step[self._open]

    def _ranks(self, genes: Genes) -> Index:
        """Places of the choices among those allowed, shape ``(N, G)``."""
        found = np.zeros(genes.shape, dtype=np.int64)
        for column, allowed in enumerate(self._domain.allowed):
            found[:, column] = np.searchsorted(allowed, genes[:, column])
        return np.minimum(found, self._domain.counts - 1)
