"""Elastic convolutions: weights of the largest form, sliced to the active one.

``N`` images, ``C`` channels, ``H`` rows, ``W`` columns, ``K`` kernel size.
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ElasticConv", "ElasticDepthwise"]


class ElasticConv(nn.Module):
    """A convolution of which the leading input and output channels are used."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.stride = stride
        self.padding = kernel // 2
        self.activate(in_channels, out_channels)

    def activate(self, in_channels: int, out_channels: int) -> None:
        """Use the first `in_channels` and `out_channels`."""
        self._in, self._out = in_channels, out_channels

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``."""
        bias = None if self.bias is None else self.bias[: self._out]
        weight = self.weight[: self._out, : self._in]
        return F.conv2d(x, weight, bias, self.stride, self.padding)

    def active_state(self) -> dict[str, Tensor]:
        """Weights of the active form, named as in `torch.nn.Conv2d`."""
        state = {"weight": self.weight[: self._out, : self._in]}
        if self.bias is not None:
            state["bias"] = self.bias[: self._out]
        return state


class ElasticDepthwise(nn.Module):
    """A depthwise convolution of elastic width and kernel size.

    A smaller kernel is the centre of the next larger one times a learned matrix,
    shared over channels (Once-for-All, section 3.2); the matrices start as identity.
    """

    def __init__(self, channels: int, *, kernels: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        self.kernels = tuple(sorted(kernels))
        largest = self.kernels[-1]
        self.weight = nn.Parameter(torch.empty(channels, 1, largest, largest))
        # He initialisation: each output reads, and each input feeds, one channel
        nn.init.normal_(self.weight, std=math.sqrt(2) / largest)
        self.transforms = nn.ParameterDict(
            {
                f"{large}to{small}": nn.Parameter(torch.eye(small * small))
                for small, large in itertools.pairwise(self.kernels)
            }
        )
        self.stride = stride
        self.activate(channels, largest)

    def activate(self, channels: int, kernel: int) -> None:
        """Use the first `channels` with a kernel of size `kernel`."""
        self._channels, self._padding = channels, kernel // 2
        steps = [k for k in reversed(self.kernels) if k >= kernel]
        self._steps = [
            (small, (large - small) // 2, self.transforms[f"{large}to{small}"])
            for large, small in itertools.pairwise(steps)
        ]

    def active_weight(self) -> Tensor:
        """The active kernels, shape ``(C, 1, K, K)``."""
        weight = self.weight[: self._channels]
        for size, margin, matrix in self._steps:
            centre = weight[:, :, margin : margin + size, margin : margin + size]
            weight = F.linear(centre.flatten(1), matrix).view(-1, 1, size, size)
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, H / stride, W / stride)``."""
        weight = self.active_weight()
        return F.conv2d(x, weight, None, self.stride, self._padding, 1, self._channels)

    def active_state(self) -> dict[str, Tensor]:
        """Weights of the active form, named as in `torch.nn.Conv2d`."""
        return {"weight": self.active_weight()}
