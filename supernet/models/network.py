"""Plain torch networks from a list of operators; none of the elastic code inside."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.activation import make_activation
from supernet.space import Operator

__all__ = ["ConvNorm", "Linear", "MBConv", "Network", "Pool", "SqueezeExcite"]


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


class SqueezeExcite(nn.Module):
    """Channel gates from pooled features."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        pooled = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(pooled))))


class MBConv(nn.Module):
    """Inverted bottleneck with optional expansion, squeeze-excite and shortcut."""

    def __init__(self, operator: Operator, *, momentum: float, eps: float) -> None:
        super().__init__()
        mid, out = operator.mid_channels, operator.out_channels

        def norm(channels: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)

        self.expand = None
        if operator.op == "mbconv":
            conv = nn.Conv2d(operator.in_channels, mid, 1, bias=False)
            self.expand = ConvNorm(conv, norm(mid), make_activation(operator.act))
        k = operator.kernel
        conv = nn.Conv2d(mid, mid, k, operator.stride, k // 2, groups=mid, bias=False)
        self.depthwise = ConvNorm(conv, norm(mid), make_activation(operator.act))
        self.se = SqueezeExcite(mid, operator.se) if operator.se else None
        self.project = ConvNorm(nn.Conv2d(mid, out, 1, bias=False), norm(out), nn.Identity())
        self.shortcut = operator.shortcut

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        if self.se is not None:
            y = self.se(y)
        y = self.project(y)
        return x + y if self.shortcut else y


class Pool(nn.Module):
    """Global average."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C)``."""
        return x.mean((2, 3))


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
        self.layers = nn.ModuleList(_layer(operator, momentum, eps) for operator in operators)
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


def _layer(operator: Operator, momentum: float, eps: float) -> nn.Module:
    if operator.op == "pool":
        return Pool()
    if operator.op == "linear":
        return Linear(operator)
    if operator.op in ("mbconv", "dsconv"):
        return MBConv(operator, momentum=momentum, eps=eps)
    conv = nn.Conv2d(
        operator.in_channels,
        operator.out_channels,
        operator.kernel,
        operator.stride,
        operator.kernel // 2,
        bias=False,
    )
    norm = nn.BatchNorm2d(operator.out_channels, eps=eps, momentum=momentum)
    return ConvNorm(conv, norm, make_activation(operator.act))
