"""Elastic operators, each activated by the `Operator` that it shall be."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.activation import make_activation
from supernet.elastic.conv import ElasticConv, ElasticDepthwise
from supernet.elastic.norm import ElasticBatchNorm
from supernet.space import Operator

__all__ = ["ElasticConvNorm", "ElasticLinear", "ElasticMBConv", "ElasticSqueezeExcite"]


def _prefixed(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in state.items()}


class ElasticConvNorm(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(
        self, conv: ElasticConv | ElasticDepthwise, norm: ElasticBatchNorm, act: nn.Module
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    @classmethod
    def of(cls, operator: Operator, *, momentum: float, eps: float) -> "ElasticConvNorm":
        """The module whose largest form is `operator` (a ``conv``)."""
        conv = ElasticConv(
            operator.in_channels,
            operator.out_channels,
            kernel=operator.kernel,
            stride=operator.stride,
        )
        norm = ElasticBatchNorm(operator.out_channels, momentum=momentum, eps=eps)
        return cls(conv, norm, make_activation(operator.act))

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        self.activate_channels(operator.in_channels, operator.out_channels)

    def activate_channels(self, first: int, second: int) -> None:
        """Use the channels or kernel that the convolution's `activate` takes."""
        self.conv.activate(first, second)
        self.norm.activate(first if isinstance(self.conv, ElasticDepthwise) else second)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.ConvNorm`."""
        return _prefixed("conv", self.conv.active_state()) | _prefixed(
            "norm", self.norm.active_state()
        )


class ElasticSqueezeExcite(nn.Module):
    """Channel gates from pooled features (arXiv:1709.01507), hard-sigmoid as in MobileNetV3."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = ElasticConv(channels, hidden, bias=True)
        self.expand = ElasticConv(hidden, channels, bias=True)

    def activate(self, channels: int, hidden: int) -> None:
        """Use the first `channels` and the first `hidden` ones between."""
        self.reduce.activate(channels, hidden)
        self.expand.activate(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        pooled = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(pooled))))

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.SqueezeExcite`."""
        return _prefixed("reduce", self.reduce.active_state()) | _prefixed(
            "expand", self.expand.active_state()
        )


class ElasticMBConv(nn.Module):
    """Inverted bottleneck of elastic widths, kernel and squeeze-excite."""

    def __init__(
        self, operator: Operator, *, kernels: Sequence[int], momentum: float, eps: float
    ) -> None:
        """Hold the weights of `operator`, the block's largest form."""
        super().__init__()
        mid = operator.mid_channels

        def norm(channels: int) -> ElasticBatchNorm:
            return ElasticBatchNorm(channels, momentum=momentum, eps=eps)

        self.expand = None
        if operator.op == "mbconv":
            self.expand = ElasticConvNorm(
                ElasticConv(operator.in_channels, mid), norm(mid), make_activation(operator.act)
            )
        self.depthwise = ElasticConvNorm(
            ElasticDepthwise(mid, kernels=kernels, stride=operator.stride),
            norm(mid),
            make_activation(operator.act),
        )
        self.se = ElasticSqueezeExcite(mid, operator.se) if operator.se else None
        self.project = ElasticConvNorm(
            ElasticConv(mid, operator.out_channels), norm(operator.out_channels), nn.Identity()
        )
        self.activate(operator)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        mid = operator.mid_channels
        if self.expand is not None:
            self.expand.activate_channels(operator.in_channels, mid)
        self.depthwise.activate_channels(mid, operator.kernel)
        if self.se is not None:
            self.se.activate(mid, operator.se)
        self.project.activate_channels(mid, operator.out_channels)
        self._shortcut = operator.shortcut

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        if self.se is not None:
            y = self.se(y)
        y = self.project(y)
        return x + y if self._shortcut else y

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.MBConv`."""
        parts = {
            "expand": self.expand,
            "depthwise": self.depthwise,
            "se": self.se,
            "project": self.project,
        }
        state: dict[str, Tensor] = {}
        for name, part in parts.items():
            if part is not None:
                state |= _prefixed(name, part.active_state())
        return state


class ElasticLinear(nn.Module):
    """A linear layer of which the leading inputs are used, with its activation."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(operator.out_channels, operator.in_channels))
        self.bias = nn.Parameter(torch.zeros(operator.out_channels)) if operator.bias else None
        nn.init.normal_(self.weight, std=0.01 if operator.bias else operator.out_channels**-0.5)
        self.act = make_activation(operator.act)
        self.activate(operator)

    def activate(self, operator: Operator) -> None:
        """Become `operator`."""
        self._in = operator.in_channels

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in)`` to ``(N, out)``."""
        out: Tensor = self.act(F.linear(x, self.weight[:, : self._in], self.bias))
        return out

    def active_state(self) -> dict[str, Tensor]:
        """State of the active form, named as in `supernet.models.Linear`."""
        state = {"linear.weight": self.weight[:, : self._in]}
        if self.bias is not None:
            state["linear.bias"] = self.bias
        return state
