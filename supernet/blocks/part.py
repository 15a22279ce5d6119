"""The convolutions that blocks consist of."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Part", "depthwise", "same_pads"]


class Part(NamedTuple):
    """A convolution with batch norm and activation; one without a kernel is left out."""

    name: str
    """By which networks and their weights know it: that of an attribute of a module."""
    reads: int
    """Channels that it reads."""
    writes: int
    """Channels that it writes."""
    kernel: int = 1
    """Odd; 0 where it is not there."""
    stride: int = 1
    group_width: int = 0
    """Channels of each group, which then reads as many as it writes: 1 is a depthwise
    convolution, 0 one group of all channels."""
    act: str = "none"
    """Activation behind the batch norm."""
    height: int = 1
    """Rows of what it reads."""
    width: int = 1
    """Columns of what it reads."""
    padding: str = "symmetric"
    """As of `supernet.space.Operator`."""
    gated: bool = False
    """Whether squeeze-excite stands behind it, where a block has one."""

    @property
    def groups(self) -> int:
        """How many groups."""
        return self.reads // self.group_width if self.group_width else 1

    @property
    def out_height(self) -> int:
        """Rows of what it writes."""
        return (self.height - 1) // self.stride + 1

    @property
    def out_width(self) -> int:
        """Columns of what it writes."""
        return (self.width - 1) // self.stride + 1

    @property
    def window(self) -> int:
        """Values that each output is made from."""
        return self.kernel**2 * (self.group_width or self.reads)

    @property
    def weights(self) -> int:
        """Values of the convolution alone."""
        return self.window * self.writes

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.weights * self.out_height * self.out_width

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Zeros above, left of, below and right of what it reads."""
        if self.padding == "symmetric":
            half = self.kernel // 2
            return half, half, half, half
        top, bottom = same_pads(self.height, self.kernel, self.stride)
        left, right = same_pads(self.width, self.kernel, self.stride)
        return top, left, bottom, right


def depthwise(name: str, channels: int, kernel: int, stride: int = 1, act: str = "none") -> Part:
    """A convolution of each channel by itself."""
    return Part(name, channels, channels, kernel, stride, 1, act)


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `size` rows for ``ceil(size / stride)`` windows, as TensorFlow's.

    Where their number is odd, one more stands after: at stride 2 for all even sizes.
    """
    windows = (size - 1) // stride + 1
    total = max((windows - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
