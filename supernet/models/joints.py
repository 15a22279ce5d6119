"""Layers without weights, between those that have some; supernets hold the same ones."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from supernet.blocks import same_pads
from supernet.elastic import Concat, make_activation
from supernet.elastic.pooling import global_mean
from supernet.space import Operator

__all__ = ["Add", "Pool", "WindowPool", "joint_layer"]


class Pool(nn.Module):
    """Activation, global average.

    Args:
        keep: whether a single pixel is left, ``(N, C, 1, 1)``: a convolution reads it.
        act: name of the activation.
    """

    def __init__(self, *, keep: bool = False, act: str = "none") -> None:
        super().__init__()
        self.keep = keep
        self.act = make_activation(act, inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C)``."""
        return global_mean(self.act(x), keep=self.keep, training=self.training)


class WindowPool(nn.Module):
    """Maximum or mean over the windows of an image.

    A mean leaves out the zeros around the image where it pads all sides alike, and counts them
    where it pads as TensorFlow does: as timm's.

    Args:
        operator: a ``maxpool`` or an ``avgpool``.
    """

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self.same = operator.padding == "same"
        sizes = operator.kernel, operator.stride, 0 if self.same else operator.kernel // 2
        self.pool: nn.Module
        if operator.op == "maxpool":
            self.pool, self.border = nn.MaxPool2d(*sizes), float("-inf")
        else:
            self.pool, self.border = nn.AvgPool2d(*sizes, count_include_pad=False), 0.0
        self._sizes = operator.kernel, operator.stride
        self.sides = self._missing((operator.height, operator.width))
        """What is put left, right, above and below, at the operator's own size."""

    def _missing(self, size: Sequence[int]) -> tuple[int, int, int, int]:
        if not self.same:
            return 0, 0, 0, 0
        (top, bottom), (left, right) = (same_pads(int(count), *self._sizes) for count in size)
        return left, right, top, bottom

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C, H / stride, W / stride)``."""
        if self.same:
            x = F.pad(x, self._missing(x.shape[2:]), value=self.border)
        out: Tensor = self.pool(x)
        return out


class Add(nn.Module):
    """The sum of two inputs."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Twice ``(N, C, H, W)`` to the same."""
        return first + second


def joint_layer(operator: Operator) -> nn.Module | None:
    """The layer of an operator without weights that supernets and plain networks share, if any."""
    if operator.op == "maxpool" and operator.padding == "symmetric":
        return nn.MaxPool2d(operator.kernel, operator.stride, operator.kernel // 2)
    if operator.op in ("maxpool", "avgpool"):
        return WindowPool(operator)
    if operator.op == "add":
        return Add()
    return Concat() if operator.op == "concat" else None
