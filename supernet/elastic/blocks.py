"""Elastic operators: each holds the weights of several `Operator` and becomes any of them.

Beside `activate`, `forward` and `active_state`, each says how its channels are ordered:
how much it ``reads`` of each, how much each ``varies`` that it writes, ``permute_input``,
``permute_output`` and ``sort_inner`` for those that only it knows (`supernet.models.sorting`).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.activation import make_activation
from supernet.elastic.conv import ElasticConv
from supernet.elastic.form import Elastic
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.ordering import Importance, importance, ranked
from supernet.elastic.parts import (
    ElasticConvNorm,
    ElasticResidual,
    ElasticSqueezeExcite,
    prefixed,
)
from supernet.elastic.rounding import rounded_input, rounded_weight
from supernet.space import Operator

__all__ = [
    "ElasticBlock",
    "ElasticBottleneck",
    "ElasticConvBlock",
    "ElasticLinear",
    "ElasticMBConv",
]


def _pads_same(operators: Sequence[Operator]) -> bool:
    """Whether any pads so; those with kernel 1, which need no padding, never do."""
    return any(operator.padding == "same" for operator in operators)


def _widest(operators: Sequence[Operator], field: str) -> int:
    return max(int(getattr(operator, field)) for operator in operators)


class ElasticConvBlock(ElasticResidual):
    """Convolution, batch norm, activation; squeeze-excite and shortcut where asked for."""

    def __init__(
        self, operators: Sequence[Operator], *, momentum: float, eps: float, learned: bool = True
    ) -> None:
        """Hold the weights of all `operators` (of op ``conv``)."""
        super().__init__()
        before, after = _widest(operators, "in_channels"), _widest(operators, "out_channels")
        self.conv = ElasticConv(
            before,
            after,
            kernels=[operator.kernel for operator in operators],
            stride=operators[0].stride,
            same=_pads_same(operators),
            learned=learned,
        )
        self.norm = ElasticBatchNorm(after, momentum=momentum, eps=eps)
        self.act = make_activation(operators[0].act)
        hidden = _widest(operators, "se")
        self.se = ElasticSqueezeExcite(after, hidden) if hidden else None
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
        return _read_by_all(self.conv, self, power)

    def varies(self) -> Tensor:
        """Variance of the channels that it writes."""
        return self.norm.varies(self.act)

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self.conv.permute_input(order)
        _permute_shortcut_input(self, order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.conv.permute_output(order)
        self.norm.permute(order)
        if self.se is not None:
            self.se.permute(order)
        _permute_shortcut_output(self, order)

    def sort_inner(self, by: Importance, trained: int = 1) -> None:  # noqa: ARG002  # one width only
        """Order the hidden channels of the gate."""
        if self.se is not None:
            self.se.sort()


class ElasticMBConv(ElasticResidual):
    """Inverted bottleneck (arXiv:1801.04381) of elastic widths, kernel, squeeze-excite."""

    def __init__(
        self, operators: Sequence[Operator], *, momentum: float, eps: float, learned: bool = True
    ) -> None:
        """Hold the weights of all `operators` (of one op, ``mbconv`` or ``dsconv``)."""
        super().__init__()
        before, after = _widest(operators, "in_channels"), _widest(operators, "out_channels")
        mid, act = _widest(operators, "mid_channels"), operators[0].act
        self.widths = _middle_widths(operators)
        norm = _norms(momentum, eps)
        self.expand = None
        if operators[0].op == "mbconv":
            self.expand = ElasticConvNorm(ElasticConv(before, mid), norm(mid), make_activation(act))
        depthwise = ElasticConv(
            mid,
            mid,
            kernels=[operator.kernel for operator in operators],
            stride=operators[0].stride,
            same=_pads_same(operators),
            group_width=1,
            learned=learned,
        )
        self.depthwise = ElasticConvNorm(depthwise, norm(mid), make_activation(act))
        hidden = _widest(operators, "se")
        self.se = ElasticSqueezeExcite(mid, hidden) if hidden else None
        self.project = ElasticConvNorm(ElasticConv(mid, after), norm(after), nn.Identity())
        self.make_shortcut(operators, momentum=momentum, eps=eps)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        mid = operator.mid_channels
        if self.expand is not None:
            self.expand.activate(operator.in_channels, mid)
        self.depthwise.activate(mid, mid, operator.kernel)
        self.project.activate(mid, operator.out_channels)
        self.activate_ends(operator)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y = x if self.expand is None else self.expand(x)
        return self.add_shortcut(x, self.project(self.gate(self.depthwise(y))))

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.MBConv`."""
        own = prefixed(
            expand=self.expand.active_state() if self.expand else {},
            depthwise=self.depthwise.active_state(),
            project=self.project.active_state(),
        )
        return own | self.ends_state()

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`, of all; without an expansion of the projection behind."""
        return _read_by_all(self.expand or self.project, self, power)

    def varies(self) -> Tensor:
        """Variance of the channels that it writes."""
        return self.project.varies()

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        if self.expand is not None:
            self.expand.permute_input(order)
        else:
            self._permute_middle(order)
        _permute_shortcut_input(self, order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.project.permute_output(order)
        _permute_shortcut_output(self, order)

    def sort_inner(self, by: Importance, trained: int = 1) -> None:
        """Order the middle channels, if this block makes them, and those of the gate."""
        if self.expand is not None:
            worth = importance(self.project, self.depthwise, by)
            order = ranked(worth, self.widths[:trained])
            self.expand.permute_output(order)
            self._permute_middle(order)
        if self.se is not None:
            self.se.sort()

    def _permute_middle(self, order: Tensor) -> None:
        self.depthwise.permute_output(order)
        self.project.permute_input(order)
        if self.se is not None:
            self.se.permute(order)


class ElasticBottleneck(ElasticResidual):
    """Bottleneck of ResNet (arXiv:1512.03385) of elastic widths and kernel."""

    def __init__(
        self, operators: Sequence[Operator], *, momentum: float, eps: float, learned: bool = True
    ) -> None:
        """Hold the weights of all `operators` (of op ``bottleneck``)."""
        super().__init__()
        before, after = _widest(operators, "in_channels"), _widest(operators, "out_channels")
        mid, act = _widest(operators, "mid_channels"), operators[0].act
        self.widths = _middle_widths(operators)
        grouped = _widest(operators, "groups") > 1
        norm = _norms(momentum, eps)
        self.reduce = ElasticConvNorm(ElasticConv(before, mid), norm(mid), make_activation(act))
        middle = ElasticConv(
            mid,
            mid,
            kernels=[operator.kernel for operator in operators],
            stride=operators[0].stride,
            same=_pads_same(operators),
            group_width=operators[0].mid_channels // operators[0].groups if grouped else 0,
            learned=learned,
        )
        self.conv = ElasticConvNorm(middle, norm(mid), make_activation(act))
        self.se = None
        self.project = ElasticConvNorm(ElasticConv(mid, after), norm(after), nn.Identity())
        self.act = make_activation(act)
        self.make_shortcut(operators, momentum=momentum, eps=eps)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        mid = operator.mid_channels
        self.reduce.activate(operator.in_channels, mid)
        self.conv.activate(mid, mid, operator.kernel)
        self.project.activate(mid, operator.out_channels)
        self.activate_ends(operator)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y = self.project(self.conv(self.reduce(x)))
        out: Tensor = self.act(self.add_shortcut(x, y))
        return out

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Bottleneck`."""
        own = prefixed(
            reduce=self.reduce.active_state(),
            conv=self.conv.active_state(),
            project=self.project.active_state(),
        )
        return own | self.ends_state()

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`, of all that reads the channels."""
        return _read_by_all(self.reduce, self, power)

    def varies(self) -> Tensor:
        """Variance of the channels that it writes."""
        return self.project.varies()

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self.reduce.permute_input(order)
        _permute_shortcut_input(self, order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.project.permute_output(order)
        _permute_shortcut_output(self, order)

    def sort_inner(self, by: Importance, trained: int = 1) -> None:
        """Order the channels on both sides of the middle convolution."""
        widths, group_width = self.widths[:trained], self.conv.conv.group_width
        after = importance(self.project, self.conv, by)
        if group_width:  # whole groups move, on both sides alike
            summed = after.view(-1, group_width).sum(1)
            groups = ranked(summed, [width // group_width for width in widths])
            order = (groups[:, None] * group_width + torch.arange(group_width)).flatten()
            self.conv.permute_output(order)
            self.project.permute_input(order)
            self.reduce.permute_output(order)
            return
        order = ranked(after, widths)
        self.conv.permute_output(order)
        self.project.permute_input(order)
        order = ranked(importance(self.conv, self.reduce, by), widths)
        self.reduce.permute_output(order)
        self.conv.permute_input(order)


class ElasticLinear(Elastic):
    """A linear layer of which the leading inputs and outputs are used, with its activation."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        """Hold the weights of all `operators` (of op ``linear``)."""
        super().__init__()
        before, after = _widest(operators, "in_channels"), _widest(operators, "out_channels")
        bias = operators[0].bias
        self.weight = nn.Parameter(torch.empty(after, before))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        classifies = operators[0].act == "none"
        nn.init.normal_(self.weight, std=0.01 if classifies else after**-0.5)
        self.act = make_activation(operators[0].act)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        self.form[:] = [operator.in_channels, operator.out_channels]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in)`` to ``(N, out)``."""
        inputs, outputs = self.form
        bias = None if self.bias is None else self.bias[:outputs]
        weight = self.weight[:outputs, :inputs]
        if self.rounds:
            x, weight = rounded_input(x), rounded_weight(weight)
        out: Tensor = self.act(F.linear(x, weight, bias))
        return out

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Linear`."""
        inputs, outputs = self.form
        state = {"linear.weight": self.weight[:outputs, :inputs]}
        if self.bias is not None:
            state["linear.bias"] = self.bias[:outputs]
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


ElasticBlock = ElasticConvBlock | ElasticMBConv | ElasticBottleneck | ElasticLinear
"""What stands in a slot."""


def _norms(momentum: float, eps: float) -> Callable[[int], ElasticBatchNorm]:
    return lambda channels: ElasticBatchNorm(channels, momentum=momentum, eps=eps)


def _middle_widths(operators: Sequence[Operator]) -> list[int]:
    """Middle widths of the widest input and output, falling."""
    ends = max((operator.in_channels, operator.out_channels) for operator in operators)
    of_ends = [o for o in operators if (o.in_channels, o.out_channels) == ends]
    return sorted({operator.mid_channels for operator in of_ends}, reverse=True)


def _read_by_all(
    first: ElasticConv | ElasticConvNorm, block: ElasticResidual, power: int
) -> Tensor:
    """A shortcut with a convolution reads the same channels as the first layer."""
    reads = first.reads(power)
    if block.shortcut is None or block.shortcut.conv is None:
        return reads
    return reads + block.shortcut.conv.reads(power)


def _permute_shortcut_input(block: ElasticResidual, order: Tensor) -> None:
    if block.shortcut is not None and block.shortcut.conv is not None:
        block.shortcut.conv.permute_input(order)


def _permute_shortcut_output(block: ElasticResidual, order: Tensor) -> None:
    if block.shortcut is not None:
        block.shortcut.permute_output(order)
