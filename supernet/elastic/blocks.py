"""Elastic operators: each holds the weights of several `Operator` and becomes any of them.

Beside `activate`, `forward` and `active_state`, each says how its channels are ordered:
how much it ``reads`` of each, how much each ``varies`` that it writes, ``permute_input``,
``permute_output`` and ``sort_inner`` for those that only it knows (`supernet.models.sorting`).
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.blocks import KINDS, Part, parts_of
from supernet.elastic.activation import gate_activations, make_activation
from supernet.elastic.conv import ElasticConv, picked
from supernet.elastic.form import Elastic
from supernet.elastic.norm import ElasticBatchNorm
from supernet.elastic.ordering import Importance, importance, ranked
from supernet.elastic.parts import (
    ElasticConvNorm,
    ElasticHalves,
    ElasticResidual,
    ElasticSqueezeExcite,
    prefixed,
)
from supernet.elastic.rounding import rounded_input, rounded_weight
from supernet.space import Operator

__all__ = [
    "ElasticBlock",
    "ElasticChain",
    "ElasticConvBlock",
    "ElasticLinear",
]


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
            same=any(operator.padding == "same" for operator in operators),
            valid=operators[0].padding == "valid",
            learned=learned,
        )
        self.norm = ElasticBatchNorm(after, momentum=momentum, eps=eps)
        self.act = make_activation(operators[0].act)
        self.se = _squeeze_excite(operators, after)
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


class ElasticChain(ElasticResidual):
    """A block of several convolutions, as its kind says (`supernet.blocks`)."""

    def __init__(
        self, operators: Sequence[Operator], *, momentum: float, eps: float, learned: bool = True
    ) -> None:
        """Hold the weights of all `operators` (of one kind of block)."""
        super().__init__()
        kind = KINDS[operators[0].op]
        found = [part for operator in operators for part in parts_of(operator)]
        names = [part.name for part in kind.parts(operators[0])]
        self.forms = {n: forms for n in names if (forms := [p for p in found if p.name == n])}
        *_, last = self.forms
        self.se: ElasticSqueezeExcite | None = None
        for name, forms in self.forms.items():
            if name == last:
                self.se = _squeeze_excite(operators, _most(forms, "reads"))
            setattr(self, name, _conv_norm(forms, momentum=momentum, eps=eps, learned=learned))
        self.first_act: nn.Module | None = None
        if kind.starts_in_act:
            self.first_act = make_activation(operators[0].act, inplace=False)
        self.widths = _middle_widths(operators)
        self.make_shortcut(operators, momentum=momentum, eps=eps)
        self.act = make_activation(operators[0].act) if kind.ends_in_act else None

    def part(self, name: str) -> ElasticConvNorm:
        """One of its convolutions."""
        found: ElasticConvNorm = getattr(self, name)
        return found

    def pick(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Let its only convolution read these channels; until `activate`."""
        (name,) = self.form[3]
        self.part(name).pick(ranges)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        parts = parts_of(operator)
        for part in parts:
            self.part(part.name).activate(part.reads, part.writes, part.kernel)
        self.activate_ends(operator)
        self.form.append(tuple(part.name for part in parts))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y = x if self.first_act is None else self.first_act(x)
        *body, last = self.form[3]
        for name in body:
            y = getattr(self, name)(y)
        y = self.add_shortcut(x, getattr(self, last)(self.gate(y)))
        return y if self.act is None else self.act(y)

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Chain`."""
        own = {name: self.part(name).active_state() for name in self.form[3]}
        return prefixed(**own) | self.ends_state()

    def reads(self, power: int = 1) -> Tensor:
        """As `ElasticConv.reads`, of all; of the first that mixes the channels."""
        return _read_by_all(self.part(self._mixing[0]), self, power)

    def varies(self) -> Tensor:
        """Variance of the channels that it writes."""
        return self.part(self._mixing[-1]).varies()

    def permute_input(self, order: Tensor) -> None:
        """Read the channels in another order."""
        self._hand_on(None, self._mixing[0], order)
        _permute_shortcut_input(self, order)

    def permute_output(self, order: Tensor) -> None:
        """Write the channels in another order."""
        self.part(self._mixing[-1]).permute_output(order)
        _permute_shortcut_output(self, order)

    def sort_inner(self, by: Importance, trained: int = 1) -> None:
        """Order the channels between two convolutions that mix them, and those of the gate."""
        names, widths = list(self.forms), self.widths[:trained]
        for writer, reader in reversed([*itertools.pairwise(self._mixing)]):
            before = names[names.index(reader) - 1]
            worth = importance(self.part(reader), self.part(before), by)
            unit = max(part.group_width for part in self.forms[before])
            if unit > 1:  # whole groups move
                groups = ranked(worth.view(-1, unit).sum(1), [width // unit for width in widths])
                order = (groups[:, None] * unit + torch.arange(unit)).flatten()
            else:
                order = ranked(worth, widths)
            self.part(writer).permute_output(order)
            self._hand_on(writer, reader, order)
        if self.se is not None:
            self.se.sort()

    @property
    def _mixing(self) -> list[str]:
        """Its convolutions whose outputs are made from all channels."""
        return [name for name, forms in self.forms.items() if not any(p.group_width for p in forms)]

    def _hand_on(self, writer: str | None, reader: str, order: Tensor) -> None:
        """Another order of the channels behind `writer`, or of the input, up to `reader`."""
        names = list(self.forms)
        start = 0 if writer is None else names.index(writer) + 1
        for name in names[start : names.index(reader)]:
            self.part(name).permute_output(order)
        self.part(reader).permute_input(order)
        if self.se is not None and reader == names[-1]:
            self.se.permute(order)


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
        before, after = _widest(operators, "in_channels"), _widest(operators, "out_channels")
        bias = operators[0].bias
        self.weight = nn.Parameter(torch.empty(after, before))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        classifies = operators[0].act == "none"
        nn.init.normal_(self.weight, std=0.01 if classifies else after**-0.5)
        self.act = make_activation(operators[0].act)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        self.form[:] = [operator.in_channels, operator.out_channels, ()]

    def pick(self, ranges: Sequence[tuple[int, int]]) -> None:
        """As `ElasticConv.pick`."""
        self.form[2] = tuple(ranges)

    def active_weight(self) -> Tensor:
        """The active weights, shape ``(out, in)``."""
        inputs, outputs, ranges = self.form
        return picked(self.weight, ranges) if ranges else self.weight[:outputs, :inputs]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in)`` to ``(N, out)``."""
        outputs = self.form[1]
        x = x.flatten(1) if self.flattens else x
        bias = None if self.bias is None else self.bias[:outputs]
        weight = self.active_weight()
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


def _conv_norm(
    forms: Sequence[Part], *, momentum: float, eps: float, learned: bool
) -> ElasticConvNorm | ElasticHalves:
    """One convolution of a block, which holds the weights of all its forms."""
    if forms[0].shifted:
        halves = [[half(form) for form in forms] for half in (_first_half, _second_half)]
        first, second = (
            _plain_conv_norm(own, momentum=momentum, eps=eps, learned=learned) for own in halves
        )
        return ElasticHalves(first, second)
    return _plain_conv_norm(forms, momentum=momentum, eps=eps, learned=learned)


def _first_half(part: Part) -> Part:
    return part._replace(writes=part.writes // 2)


def _second_half(part: Part) -> Part:
    return part._replace(writes=part.writes - part.writes // 2)


def _plain_conv_norm(
    forms: Sequence[Part], *, momentum: float, eps: float, learned: bool
) -> ElasticConvNorm:
    after = _most(forms, "writes")
    conv = ElasticConv(
        _most(forms, "reads"),
        after,
        kernels=[part.kernel for part in forms],
        stride=forms[0].stride,
        same=any(part.padding == "same" for part in forms),
        group_width=_most(forms, "group_width"),
        dilation=forms[0].dilation,
        learned=learned,
    )
    norm = ElasticBatchNorm(after, momentum=momentum, eps=eps) if forms[0].norm else None
    return ElasticConvNorm(conv, norm, make_activation(forms[0].act))


def _most(forms: Sequence[Part], field: str) -> int:
    return max(int(getattr(part, field)) for part in forms)


def _squeeze_excite(operators: Sequence[Operator], channels: int) -> ElasticSqueezeExcite | None:
    gated = [operator for operator in operators if operator.se]
    if not gated:
        return None
    acts = gate_activations(gated[0].gate, gated[0].act)
    return ElasticSqueezeExcite(channels, _widest(gated, "se"), *acts)


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
