"""Plain torch networks from a list of operators; none of the elastic code inside."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.blocks import KINDS, Part, Wired, held_places, parts_of, program
from supernet.elastic.activation import gate_activations, make_activation
from supernet.elastic.joining import SCALE, Concat, attend, shared_part
from supernet.elastic.padding import least_pad, missing_pads
from supernet.elastic.pooling import global_mean
from supernet.models.graph import Steps, run
from supernet.models.joints import Pool, joint_layer
from supernet.space import Operator

__all__ = [
    "Attention",
    "Chain",
    "Concat",
    "ConvBlock",
    "ConvNorm",
    "Linear",
    "Network",
    "SamePad",
    "Scale",
    "Shortcut",
    "ShortcutPool",
    "SqueezeExcite",
    "layers_of",
]

_Norm = Callable[[int], nn.BatchNorm2d]


class ConvNorm(nn.Module):
    """Zeros on some sides where the convolution's are not enough, convolution, norm, activation."""

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d | nn.Identity,
        act: nn.Module,
        pad: "SamePad | None" = None,
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.act, self.pad = conv, norm, act, pad

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        if self.pad is not None:
            x = self.pad(x)
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


class SamePad(nn.Module):
    """The zeros that a convolution lacks to pad as TensorFlow does, whatever its input's size is.

    Args:
        part: the convolution.
    """

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._sizes = part.reaches, part.strides
        self.sides = missing_pads((part.height, part.width), *self._sizes)
        """Zeros left, right, above and below at the convolution's own size."""
        self.fixed = False
        """Whether these are meant at any size, so that the zeros are no part of a trace."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to a little more of both."""
        # a trace is of one size, and records numbers that were asked of a tensor
        traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # untyped in torch
        own = traced or self.fixed
        return F.pad(x, self.sides if own else missing_pads(x.shape[2:], *self._sizes))


def _convolution(part: Part) -> tuple[nn.Conv2d, SamePad | None]:
    """A convolution of a block, and what pads its input before."""
    same, (top, left, *_) = part.padding == "same", part.pads
    if same:
        top, left = map(least_pad, part.reaches, part.strides)
    conv = nn.Conv2d(
        part.reads,
        part.writes,
        part.kernels,
        part.strides,
        (top, left),
        part.dilation,
        part.groups,
        bias=False,
    )
    return conv, SamePad(part) if same else None


class SqueezeExcite(nn.Module):
    """Channel gates from pooled features, as `Operator.gate` says."""

    def __init__(self, channels: int, hidden: int, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.act, self.gate = act, gate
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        pooled = global_mean(x, keep=True, training=self.training)
        gates: Tensor = self.gate(self.expand(self.act(self.reduce(pooled))))
        return x * gates


class ShortcutPool(nn.AvgPool2d):
    """Average of windows side by side; at odd sizes the last one sticks out.

    Args:
        window: their rows and columns, and the steps between them.
        odd: whether it sticks out at the operator's own size.
    """

    def __init__(self, window: int, *, odd: bool) -> None:
        super().__init__(window, ceil_mode=odd)
        self.window, self.fixed = window, False
        """Whether that is meant at any size, so that no size is a part of a trace."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, H / window, W / window)``, rounded up."""
        traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # untyped in torch
        own = traced or self.fixed
        odd = self.ceil_mode if own else any(size % self.window for size in x.shape[2:])
        return F.avg_pool2d(x, self.window, ceil_mode=odd)


class Shortcut(nn.Module):
    """A shortcut that changes the input: average pooling, 1x1 convolution, batch norm."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        self.pool: nn.Module | None = None
        stride, window = operator.stride, operator.shortcut_pool
        if operator.shortcut == "pool":
            self.pool = nn.AvgPool2d(window, stride, window // 2, count_include_pad=False)
        elif window:
            # only odd sizes have a last window that sticks out
            odd = operator.height % stride > 0 or operator.width % stride > 0
            self.pool = ShortcutPool(window, odd=odd)
        self.conv = self.norm = None
        if operator.shortcut_convolves:
            sizes = operator.in_channels, operator.out_channels, 1
            self.conv = nn.Conv2d(*sizes, 1 if window else stride, bias=False)
        if operator.shortcut_normalises:
            self.norm = norm(operator.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        for part in (self.pool, self.conv, self.norm):
            if part is not None:
                x = part(x)
        return x


def _shortcut(operator: Operator, norm: _Norm) -> nn.Module | None:
    if operator.shortcut == "none":
        return None
    return nn.Identity() if operator.shortcut == "identity" else Shortcut(operator, norm)


def _squeeze_excite(operator: Operator, channels: int) -> SqueezeExcite | None:
    if not operator.se:
        return None
    return SqueezeExcite(channels, operator.se, *gate_activations(operator))


class ConvBlock(nn.Module):
    """Convolution, batch norm, activation; squeeze-excite and shortcut where asked for."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        after = operator.out_channels
        self.conv, self.pad = _convolution(parts_of(operator)[0])
        self.norm = norm(after)
        self.act = make_activation(operator.act)
        self.se = _squeeze_excite(operator, after)
        self.shortcut = _shortcut(operator, norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y: Tensor = self.act(self.norm(self.conv(x if self.pad is None else self.pad(x))))
        if self.se is not None:
            y = self.se(y)
        return y if self.shortcut is None else self.shortcut(x) + y


class Scale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        return x * self.weight.view(-1, 1, 1)


class Attention(nn.Module):
    """As `supernet.elastic.attend`, with some heads."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As `supernet.elastic.attend`."""
        return attend(query, key, value, self.heads)


class Chain(nn.Module):
    """A block of several parts, as its kind says (`supernet.blocks`)."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        self.se: SqueezeExcite | None = None
        parts = parts_of(operator)
        for part in parts:
            setattr(self, part.name, _part(part, norm))
            if part.gated:
                self.se = _squeeze_excite(operator, part.writes)
        self.steps = program(parts)
        self.shortcut = _shortcut(operator, norm)
        ends = KINDS[operator.op].ends_in_act
        self.act = make_activation(operator.act) if ends else None

    @property
    def lone_norms(self) -> list[nn.BatchNorm2d]:
        """Batch norms that follow no convolution, so that none can take them up."""
        return [part for part in self.children() if isinstance(part, nn.BatchNorm2d)]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y, held = x, {0: x}
        for name, reads, number, gated in self.steps:
            y = getattr(self, name)(*[held[read] for read in reads])
            if gated and self.se is not None:
                y = self.se(y)
            held[number] = y
        out: Tensor = y if self.shortcut is None else self.shortcut(x) + y
        return out if self.act is None else self.act(out)


def _part(part: Part, norm: _Norm) -> nn.Module:
    """One part of a block."""
    shared = shared_part(part)
    if shared is not None:
        return shared
    match part.what:
        case "norm":
            return norm(part.writes)
        case "scale":
            return Scale(part.writes)
        case "attention":
            return Attention(part.heads)
    conv, pad = _convolution(part)
    normed = norm(part.writes) if part.normed else nn.Identity()
    return ConvNorm(conv, normed, make_activation(part.act), pad)


class Linear(nn.Module):
    """A linear layer with its activation.

    Args:
        operator: it.
        flattens: whether it reads single pixels, ``(N, in, 1, 1)``.
    """

    def __init__(self, operator: Operator, *, flattens: bool = False) -> None:
        super().__init__()
        self.flattens = flattens
        self.linear = nn.Linear(operator.in_channels, operator.out_channels, bias=operator.bias)
        self.act = make_activation(operator.act)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in)`` to ``(N, out)``."""
        out: Tensor = self.act(self.linear(x.flatten(1) if self.flattens else x))
        return out


class Network(nn.Module):
    """The network of a subnet: its operators in order.

    Args:
        operators: as written in ``subnet.json``, `Wired` where they are a graph; the last one is
            the classifier.
        momentum: of batch norm.
        eps: of batch norm.
        dropout: before the classifier, in train mode.
    """

    def __init__(
        self,
        operators: Sequence[Operator],
        *,
        momentum: float = 0.1,
        eps: float = 1e-5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.operators = operators if isinstance(operators, Wired) else tuple(operators)
        self.layers = layers_of(operators, momentum=momentum, eps=eps)
        self.dropout = dropout
        self.steps: Steps = held_places(operators.reads) if isinstance(operators, Wired) else ()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` normalised images to ``(N, classes)`` logits."""
        *body, classifier = self.layers
        x = run(body, self.steps, x)
        if self.training and self.dropout:
            x = F.dropout(x, self.dropout)
        logits: Tensor = classifier(x)
        return logits


def layers_of(
    operators: Sequence[Operator], *, momentum: float = 0.1, eps: float = 1e-5
) -> nn.ModuleList:
    """The layers of operators that follow each other.

    Args:
        operators: in network order.
        momentum: of batch norm.
        eps: likewise.
    """

    def norm(channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)

    kinds = ["", *(operator.op for operator in operators), ""]
    return nn.ModuleList(
        _layer(operator, norm, before=before, after=after)
        for operator, before, after in zip(operators, kinds, kinds[2:])
    )


def _layer(operator: Operator, norm: _Norm, *, before: str, after: str) -> nn.Module:
    """The layer of an operator between two of some kinds."""
    if operator.op == "pool":
        return Pool(keep=after == "conv", act=operator.act)
    joint = joint_layer(operator)
    if joint is not None:
        return joint
    if operator.op == "linear":
        return Linear(operator, flattens=before == "conv")
    return ConvBlock(operator, norm) if operator.op == "conv" else Chain(operator, norm)
