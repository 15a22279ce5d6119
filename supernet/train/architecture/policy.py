"""A distribution over the subnets of a space: every choice by itself."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.space import Domain, Genes, one_hot
from supernet.space.layout import layout_of

__all__ = ["Policy", "Values", "probability_loss"]

Values: TypeAlias = npt.NDArray[np.float64]

_NEVER = -1e4  # exp of it is 0, and 0 times it is 0


class Policy:
    """One logit for each choice of each gene; genes are drawn independently.

    What is drawn may hold genes without effect (of blocks beyond the drawn depth); they
    count neither in `log_prob` nor in anything that is learned from a subnet.

    Args:
        domain: the choices that there are; all logits are 0 at first.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain, self.space = domain, domain.space
        layout = layout_of(domain.space)
        self.genes = layout.genes
        self.counts: list[int] = layout.num_choices.tolist()
        self.starts: npt.NDArray[np.int64] = np.cumsum([0, *self.counts])[:-1]
        allowed = [i in left for left, n in zip(domain.allowed, self.counts) for i in range(n)]
        never = torch.full((len(allowed),), _NEVER, dtype=torch.float64)
        start = torch.where(torch.tensor(allowed, dtype=torch.bool), 0.0, never)
        self.logits = start.requires_grad_()
        """Shape ``(C,)``: the choices of all genes, gene by gene."""

    def log_probabilities(self) -> Tensor:
        """Of every choice, shape ``(C,)``; with a graph to the logits."""
        parts = [part.log_softmax(0) for part in torch.split(self.logits, self.counts)]
        return torch.cat(parts) if parts else self.logits

    def probabilities(self) -> Tensor:
        """Of every choice, shape ``(C,)``; with a graph to the logits."""
        return self.log_probabilities().exp()

    def log_prob(self, genes: Genes) -> Tensor:
        """Of canonical subnets ``(N, G)``, shape ``(N,)``; with a graph to the logits."""
        hot = torch.from_numpy(one_hot(self.space, genes).astype(np.float64))
        return hot @ self.log_probabilities()

    def draw(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` rows, not canonical, shape ``(count, G)``."""
        levels = rng.random((count, len(self.counts)))
        found = np.zeros((count, len(self.counts)), dtype=np.int8)
        for column, own in enumerate(self.by_gene()):
            # the last choice that has a probability takes what rounding leaves
            ends = np.cumsum(own) / own.sum()
            drawn = np.searchsorted(ends, levels[:, column], side="right")
            found[:, column] = np.minimum(drawn, np.flatnonzero(own)[-1])
        return found

    def sample(self, count: int, rng: np.random.Generator) -> Genes:
        """`count` canonical subnets, shape ``(count, G)``."""
        return self.domain.canonical(self.draw(count, rng))

    def by_gene(self) -> list[Values]:
        """Probabilities of the choices of each gene."""
        with torch.no_grad():
            return [part.numpy() for part in torch.split(self.probabilities(), self.counts)]

    @property
    def entropy(self) -> float:
        """Of all choices together, in nats: 0 when everything is decided."""
        return -sum(float((p * np.log(np.maximum(p, 1e-300))).sum()) for p in self.by_gene())

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"logits": self.logits.detach().clone()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`, in place: whoever learns the logits keeps them."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])


def probability_loss(domain: Domain, probabilities: Sequence[Values], genes: Genes) -> Values:
    """How much less probable the choices of subnets are than the most probable ones.

    The sum over genes with effect of the logarithm of a choice's probability over that of
    the gene's most probable choice: 0 for the subnet that takes the latter everywhere. A
    product of probabilities would prefer shallow subnets, which have fewer genes to pay for.

    Args:
        domain: of the subnets.
        probabilities: of the choices of each gene.
        genes: canonical, shape ``(N, G)``.

    Returns:
        Shape ``(N,)``, at most 0.
    """
    ratios = [np.log(np.maximum(own, 1e-300) / own.max()) for own in probabilities]
    found: Values = one_hot(domain.space, genes).astype(np.float64) @ np.concatenate(ratios)
    return found
