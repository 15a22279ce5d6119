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
    norm: bool = True
    """Whether batch norm follows."""
    dilation: int = 1
    """Steps between the values of a window."""
    shifted: bool = False
    """Whether the second half of the outputs reads the image one row and one column further on:
    a 1x1 convolution of stride 2 then leaves out half of the pixels, not three quarters."""

    @property
    def groups(self) -> int:
        """How many groups."""
        return self.reads // self.group_width if self.group_width else 1

    @property
    def out_height(self) -> int:
        """Rows of what it writes."""
        return self._windows(self.height)

    @property
    def out_width(self) -> int:
        """Columns of what it writes."""
        return self._windows(self.width)

    def _windows(self, size: int) -> int:
        lost = self.kernel if self.padding == "valid" else 1
        return (size - lost) // self.stride + 1

    @property
    def params(self) -> int:
        """Learned values, those of batch norm too."""
        return self.weights + 2 * self.writes * self.norm

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
        if self.padding != "same":
            half = self.reach // 2 if self.padding == "symmetric" else 0
            return half, half, half, half
        top, bottom = same_pads(self.height, self.reach, self.stride)
        left, right = same_pads(self.width, self.reach, self.stride)
        return top, left, bottom, right

    @property
    def reach(self) -> int:
        """Rows from the first to the last of a window."""
        return self.dilation * (self.kernel - 1) + 1


def depthwise(
    name: str,
    channels: int,
    kernel: int,
    stride: int = 1,
    act: str = "none",
    *,
    norm: bool = True,
    dilation: int = 1,
) -> Part:
    """A convolution of each channel by itself."""
    return Part(name, channels, channels, kernel, stride, 1, act, norm=norm, dilation=dilation)


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `size` rows for ``ceil(size / stride)`` windows, as TensorFlow's.

    Where their number is odd, one more stands after: at stride 2 for all even sizes.
    """
    windows = (size - 1) // stride + 1
    total = max((windows - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
