"""ProxylessNAS by gradient (arXiv:1812.00332, sections 3.2 and 3.3.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.space import Genes, with_effect
from supernet.train.architecture.contract import Scorer
from supernet.train.architecture.expected import ExpectedLatency
from supernet.train.architecture.policy import Policy, Values
from supernet.train.search_phase import SearchPhase

__all__ = ["Proxyless"]


class Proxyless:
    """Binary gates over two paths through each stage, and the expected latency.

    A stage's path takes one choice of each of its genes. Beside one path through the whole
    network, each stage gets a second one, and the gates between the two are learned:
    ``sum of gate * loss`` has the derivative ``q_a q_b (loss_a - loss_b)`` by the logit of
    choice a, where q are the probabilities of the two choices among themselves (section 3.2
    with its two paths). All other choices keep their probabilities, and the latency term
    ``weight * |expected latency / limit - 1|`` is a function of the same gates.

    *Where it differs from the paper.* There the paths of a layer are parallel and their
    outputs are summed, so that a gate's derivative is taken from one backward pass: the
    product of the output's gradient and a path's output, which is the change of the loss to
    first order. Here paths are slices of one weight and may differ in width, in depth or in
    the size of the image, and their outputs in shape. So the gate stands at the loss, and
    its derivative is the loss of that path: two forward passes on the same images in place
    of a forward and a backward one, exact where that is a linear approximation, and memory
    of one path without gradients. Both paths of a stage are drawn with replacement: choices
    that are equal in both learn nothing from the pair, and what a choice is compared by is
    alike on both sides in distribution.

    Args:
        policy: what is learned.
        latency: of the policy.
        settings: of the phase.
    """

    def __init__(self, policy: Policy, latency: ExpectedLatency, settings: SearchPhase) -> None:
        self.policy = policy
        self._latency, self._settings = latency, settings
        self._optimizer = torch.optim.Adam([policy.logits], settings.lr, (0.0, 0.999))
        places: dict[str, list[int]] = {}
        for gene in policy.genes:
            places.setdefault(gene.place.group, []).append(gene.column)
        self._groups = [np.array(columns) for columns in places.values()]

    def paths(self, count: int, share: float, rng: np.random.Generator) -> Genes:  # noqa: ARG002  # the same at all times
        """Subnets for the weights, from the policy."""
        return self.policy.sample(count, rng)

    def learn(self, score: Scorer, share: float, rng: np.random.Generator) -> None:  # noqa: ARG002  # the same at all times
        """For each of `samples`: one update from a path and a second one through each stage."""
        for _ in range(self._settings.samples):
            self._update(score, rng)

    def _update(self, score: Scorer, rng: np.random.Generator) -> None:
        drawn = self.policy.draw(2, rng)
        rows = np.repeat(drawn[:1], 1 + len(self._groups), axis=0)
        for row, columns in zip(rows[1:], self._groups):
            row[columns] = drawn[1, columns]
        losses = score(self.policy.domain.canonical(rows)).losses
        index, pair_losses = self._pairs(rows, losses)
        if not len(index):
            return
        chosen = torch.from_numpy(index)
        before = self.policy.logits.detach()[chosen].logsumexp(1)
        self._optimizer.zero_grad()
        self._objective(chosen, torch.from_numpy(pair_losses)).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        self._optimizer.step()
        self._rescale(chosen, before)

    def _pairs(self, rows: Genes, losses: Values) -> tuple[npt.NDArray[np.int64], Values]:
        """Where two paths differ: positions of both choices, losses of both, ``(P, 2)``."""
        effects = with_effect(self.policy.space, rows)
        index, found = [], []
        for number, columns in enumerate(self._groups, start=1):
            both = effects[0, columns] & effects[number, columns]
            for column in columns[both & (rows[0, columns] != rows[number, columns])].tolist():
                choices = rows[[0, number], column].astype(np.int64)
                index.append(self.policy.starts[column] + choices)
                found.append(losses[[0, number]])
        return np.array(index).reshape(-1, 2), np.array(found).reshape(-1, 2)

    def _objective(self, chosen: Tensor, losses: Tensor) -> Tensor:
        """The gated losses and the latency term, as a function of the gates alone."""
        gates = self.policy.logits[chosen].softmax(1)  # (P, 2)
        fixed = self.policy.probabilities().detach()
        shares = fixed[chosen].sum(1, keepdim=True)  # (P, 1), of both choices together
        probabilities = fixed.index_put((chosen,), gates * shares)
        beside = self._latency(probabilities) / self._settings.limit_ms - 1
        return (gates * losses).sum() + self._settings.weight * beside.abs()

    @torch.no_grad()
    def _rescale(self, chosen: Tensor, before: Tensor) -> None:
        """Shift both logits of each pair so that all other choices keep their probabilities."""
        logits = self.policy.logits
        shift = before - logits[chosen].logsumexp(1)
        logits[chosen] += shift[:, None]

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return self.policy.state() | {"optimizer": self._optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.policy.load(state)
        self._optimizer.load_state_dict(state["optimizer"])
