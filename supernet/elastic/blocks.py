"""Elastic operators: each holds the weights of several `Operator` and becomes any of them.

Beside `activate`, `forward` and `active_state`, each says how its channels are ordered:
how much it ``reads`` of each, how much each ``varies`` that it writes, ``permute_input``,
``permute_output`` and ``sort_inner`` for those that only it knows (`supernet.models.sorting`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.activation import make_activation
from supernet.elastic.chain import ElasticChain
from supernet.elastic.conv import ElasticConv
from supernet.elastic.form import Elastic
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.ordering import Importance
from supernet.elastic.parts import ElasticResidual, prefixed, squeeze_excite, widest_of
from supernet.elastic.rounding import rounded_input, rounded_weight
from supernet.elastic.spans import Spans, picked
from supernet.space import Operator

__all__ = [
    "ElasticBlock",
    "ElasticConvBlock",
    "ElasticLinear",
]


class ElasticConvBlock(ElasticResidual):
    """Convolution, batch norm, activation; squeeze-excite and shortcut where asked for."""

    def __init__(
        self, operators: Sequence[Operator], *, momentum: float, eps: float, learned: bool = True
    ) -> None:
        """Hold the weights of all `operators` (of op ``conv``)."""
        super().__init__()
        before, after = widest_of(operators, "in_channels"), widest_of(operators, "out_channels")
        self.conv = ElasticConv(
            before,
            after,
            kernels=[operator.kernel for operator in operators],
            stride=operators[0].stride,
            same=any(operator.padding == "same" for operator in operators),
            valid=operators[0].padding == "valid",
            learned=learned,
        )
        self.norm = ElasticBatchNorm(after, momentum=momentum, eps=eps)
        self.act = make_activation(operators[0].act)
        self.se = squeeze_excite(operators, after)
        self.make_shortcut(operators, momentum=momentum, eps=eps)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        self.conv.activate(operator.in_channels, operator.out_channels, operator.kernel)
        self.norm.activate(operator.out_channels)
        self.activate_ends(operator)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        return self.add_shortcut(x, self.gate(self.act(self.norm(self.conv(x)))))

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.ConvBlock`."""
        own = prefixed(conv=self.conv.active_state(), norm=self.norm.active_state())
        return own | self.ends_state()

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`, of all that reads the channels."""
        return self.with_shortcut(self.conv.reads(power), power)

    def varies(self) -> Tensor:
        """Variance of the channels that it writes."""
        return self.norm.varies(self.act)

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self.conv.permute_input(order)
        self.permute_shortcut_input(order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.conv.permute_output(order)
        self.norm.permute_output(order)
        if self.se is not None:
            self.se.permute(order)
        self.permute_shortcut_output(order)

    def sort_inner(self, by: Importance, trained: int = 1) -> None:  # noqa: ARG002  # one width only
        """Order the hidden channels of the gate."""
        if self.se is not None:
            self.se.sort()


class ElasticLinear(Elastic):
    """A linear layer of which the leading inputs and outputs are used, with its activation."""

    def __init__(self, operators: Sequence[Operator], *, flattens: bool = False) -> None:
        """Hold the weights of all `operators` (of op ``linear``).

        Args:
            operators: that it becomes.
            flattens: whether it reads single pixels, ``(N, in, 1, 1)``.
        """
        super().__init__()
        self.flattens = flattens
        before, after = widest_of(operators, "in_channels"), widest_of(operators, "out_channels")
        bias = operators[0].bias
        self.weight = nn.Parameter(torch.empty(after, before))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        classifies = operators[0].act == "none"
        nn.init.normal_(self.weight, std=0.01 if classifies else after**-0.5)
        self.act = make_activation(operators[0].act)

    def activate(self, operator: Operator, *, reads: Spans = None) -> None:
        """Become `operator`, which reads the first inputs or those of `reads`."""
        self.form[:] = [operator.in_channels, operator.out_channels, reads]

    def active_weight(self) -> Tensor:
        """The active weights, shape ``(out, in)``."""
        inputs, outputs, reads = self.form
        return picked(self.weight[:outputs], inputs, reads, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in)`` to ``(N, out)``."""
        x = x.flatten(1) if self.flattens else x
        weight = self.active_weight()
        bias = None if self.bias is None else self.bias[: len(weight)]
        if self.rounds:
            x, weight = rounded_input(x), rounded_weight(weight)
        out: Tensor = self.act(F.linear(x, weight, bias))
        return out

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Linear`."""
        state = {"linear.weight": self.active_weight()}
        if self.bias is not None:
            state["linear.bias"] = self.bias[: self.form[1]]
        return state

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`."""
        return self.weight.abs().pow(power).sum(0)

    def varies(self) -> Tensor:
        """Of the channels that it writes, where those that it reads vary alike."""
        return self.weight.square().sum(1)

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self.weight.copy_(self.weight[:, order])

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.weight.copy_(self.weight[order])
        if self.bias is not None:
            self.bias.copy_(self.bias[order])

    def sort_inner(self, by: Importance, trained: int = 1) -> None:
        """Nothing to order inside."""


ElasticBlock = ElasticConvBlock | ElasticChain | ElasticLinear
"""What stands in a slot."""
