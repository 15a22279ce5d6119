"""Plain torch networks from a list of operators; none of the elastic code inside."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.activation import make_activation
from supernet.elastic.padding import least_pad, missing_pads
from supernet.elastic.pooling import global_mean
from supernet.space import Operator

__all__ = [
    "Bottleneck",
    "ConvBlock",
    "ConvNorm",
    "Linear",
    "MBConv",
    "Network",
    "Pool",
    "SamePad",
    "Shortcut",
    "SqueezeExcite",
]

_Norm = Callable[[int], nn.BatchNorm2d]


class ConvNorm(nn.Module):
    """Zeros on some sides where the convolution's are not enough, convolution, norm, activation."""

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d,
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
        operator: the convolution's.
    """

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self._sizes = operator.kernel, operator.stride
        self.sides = missing_pads((operator.height, operator.width), *self._sizes)
        """Zeros left, right, above and below at the operator's own size."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to a little more of both."""
        # a trace is of one size, and records numbers that were asked of a tensor
        traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # untyped in torch
        return F.pad(x, self.sides if traced else missing_pads(x.shape[2:], *self._sizes))


def _convolution(
    operator: Operator, before: int, after: int, groups: int = 1
) -> tuple[nn.Conv2d, SamePad | None]:
    """The operator's convolution with a kernel and a stride, and what pads its input before."""
    k, stride, same = operator.kernel, operator.stride, operator.padding == "same"
    padding = least_pad(k, stride) if same else k // 2
    conv = nn.Conv2d(before, after, k, stride, padding, groups=groups, bias=False)
    return conv, SamePad(operator) if same else None


class SqueezeExcite(nn.Module):
    """Channel gates from pooled features."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        pooled = global_mean(x, keep=True, training=self.training)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(pooled))))


class Shortcut(nn.Module):
    """A shortcut that changes the input: average pooling, 1x1 convolution, batch norm."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        self.pool: nn.Module | None = None
        if operator.shortcut == "pool":
            self.pool = nn.AvgPool2d(3, operator.stride, 1, count_include_pad=False)
        elif operator.stride > 1:
            # only odd sizes have a last window that sticks out
            odd = operator.height % operator.stride > 0 or operator.width % operator.stride > 0
            self.pool = nn.AvgPool2d(operator.stride, ceil_mode=odd)
        self.conv = self.norm = None
        if operator.shortcut_convolves:
            self.conv = nn.Conv2d(operator.in_channels, operator.out_channels, 1, bias=False)
        if operator.shortcut == "project_norm":
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


class ConvBlock(nn.Module):
    """Convolution, batch norm, activation; squeeze-excite and shortcut where asked for."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        after = operator.out_channels
        self.conv, self.pad = _convolution(operator, operator.in_channels, after)
        self.norm = norm(after)
        self.act = make_activation(operator.act)
        self.se = SqueezeExcite(after, operator.se) if operator.se else None
        self.shortcut = _shortcut(operator, norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y: Tensor = self.act(self.norm(self.conv(x if self.pad is None else self.pad(x))))
        if self.se is not None:
            y = self.se(y)
        return y if self.shortcut is None else self.shortcut(x) + y


class MBConv(nn.Module):
    """Inverted bottleneck with optional expansion, squeeze-excite and shortcut."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        mid, out = operator.mid_channels, operator.out_channels
        self.expand = None
        if operator.op == "mbconv":
            conv = nn.Conv2d(operator.in_channels, mid, 1, bias=False)
            self.expand = ConvNorm(conv, norm(mid), make_activation(operator.act))
        conv, pad = _convolution(operator, mid, mid, groups=mid)
        self.depthwise = ConvNorm(conv, norm(mid), make_activation(operator.act), pad)
        self.se = SqueezeExcite(mid, operator.se) if operator.se else None
        self.project = ConvNorm(nn.Conv2d(mid, out, 1, bias=False), norm(out), nn.Identity())
        self.shortcut = _shortcut(operator, norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        if self.se is not None:
            y = self.se(y)
        y = self.project(y)
        return y if self.shortcut is None else self.shortcut(x) + y


class Bottleneck(nn.Module):
    """Bottleneck of ResNet: the activation comes after the shortcut."""

    def __init__(self, operator: Operator, norm: _Norm) -> None:
        super().__init__()
        mid, out = operator.mid_channels, operator.out_channels
        conv = nn.Conv2d(operator.in_channels, mid, 1, bias=False)
        self.reduce = ConvNorm(conv, norm(mid), make_activation(operator.act))
        conv, pad = _convolution(operator, mid, mid, groups=operator.groups)
        self.conv = ConvNorm(conv, norm(mid), make_activation(operator.act), pad)
        self.project = ConvNorm(nn.Conv2d(mid, out, 1, bias=False), norm(out), nn.Identity())
        self.shortcut = _shortcut(operator, norm)
        self.act = make_activation(operator.act)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y: Tensor = self.project(self.conv(self.reduce(x)))
        out: Tensor = self.act(y if self.shortcut is None else self.shortcut(x) + y)
        return out


class Pool(nn.Module):
    """Global average."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C)``."""
        return global_mean(x, keep=False, training=self.training)


class Linear(nn.Module):
    """A linear layer with its activation."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self.linear = nn.Linear(operator.in_channels, operator.out_channels, bias=operator.bias)
        self.act = make_activation(operator.act)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in)`` to ``(N, out)``."""
        out: Tensor = self.act(self.linear(x))
        return out


class Network(nn.Module):
    """The network of a subnet: its operators in order.

    Args:
        operators: as written in ``subnet.json``; the last one is the classifier.
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

        def norm(channels: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)

        self.layers = nn.ModuleList(_layer(operator, norm) for operator in operators)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` normalised images to ``(N, classes)`` logits."""
        *body, classifier = self.layers
        for layer in body:
            x = layer(x)
        if self.training and self.dropout:
            x = F.dropout(x, self.dropout)
        logits: Tensor = classifier(x)
        return logits


def _layer(operator: Operator, norm: _Norm) -> nn.Module:
    if operator.op == "pool":
        return Pool()
    if operator.op == "maxpool":
        return nn.MaxPool2d(operator.kernel, operator.stride, operator.kernel // 2)
    if operator.op == "linear":
        return Linear(operator)
    if operator.op == "bottleneck":
        return Bottleneck(operator, norm)
    return ConvBlock(operator, norm) if operator.op == "conv" else MBConv(operator, norm)
