"""The parts that blocks consist of: convolutions, and what stands beside and between them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "INPUT",
    "Part",
    "activation",
    "attention",
    "concat",
    "depthwise",
    "norm",
    "same_pads",
    "scale",
    "shift",
    "sides",
]

INPUT = "input"
"""What a part says that reads the input of its block."""


class Part(NamedTuple):
    """A convolution with batch norm and activation; one without a kernel is left out.

    Or, as `what` says, something else: see `norm`, `scale`, `activation`, `shift`, `attention` and
    `concat`. What only `parts_of` can know (sizes, pads, segments) is filled in there.
    """

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
    """Activation behind the batch norm, or by itself."""
    height: int = 1
    """Rows of what it reads."""
    width: int = 1
    """Columns of what it reads."""
    padding: str = "symmetric"
    """As of `supernet.space.Operator`."""
    gated: bool = False
    """Whether squeeze-excite stands behind it, where a block has one."""
    what: str = "conv"
    """``conv``, ``norm``, ``scale``, ``act``, ``shift``, ``attention`` or ``concat``."""
    inputs: tuple[str, ...] = ()
    """Names of the parts that it reads, or `INPUT`; the part before it when not given."""
    normed: bool = True
    """Whether batch norm follows the convolution."""
    dilation: int = 1
    """Steps between the values of a window."""
    heads: int = 0
    """Of an attention: into how many its query and its output are divided."""
    keys: int = 0
    """Of an attention: pixels that each pixel attends to."""
    segments: tuple[int, ...] = ()
    """What it writes, as widths that stand one behind the other: a narrower form of the
    block has the first channels of each. One, but of heads and of what was concatenated."""
    read_segments: tuple[int, ...] = ()
    """The same of what it reads."""
    along: str = ""
    """Where its window is one pixel wide: ``rows`` for one of a row and `kernel` columns,
    ``columns`` for one of `kernel` rows and a column. Only in that direction has it a stride."""

    @property
    def mixes(self) -> bool:
        """Whether it makes each of its outputs from all channels that it reads.

        What does not hands its channels on under their own numbers, but `attention` and `concat`.
        """
        return self.what == "conv" and not self.group_width

    @property
    def groups(self) -> int:
        """How many groups."""
        return self.reads // self.group_width if self.group_width else 1

    @property
    def out_height(self) -> int:
        """Rows of what it writes."""
        return self._windows(self.height, 0)

    @property
    def out_width(self) -> int:
        """Columns of what it writes."""
        return self._windows(self.width, 1)

    def _windows(self, size: int, side: int) -> int:
        if self.what == "shift":
            return size - 1 + size % 2
        lost = self.kernels[side] if self.padding == "valid" else 1
        return (size - lost) // self.strides[side] + 1

    @property
    def kernels(self) -> tuple[int, int]:
        """Rows and columns of its window."""
        return sides(self.kernel, self.along)

    @property
    def strides(self) -> tuple[int, int]:
        """From row to row and from column to column."""
        return sides(self.stride, self.along)

    @property
    def reaches(self) -> tuple[int, int]:
        """Rows, and columns, from the first to the last of a window."""
        rows, columns = self.kernels
        return self.dilation * (rows - 1) + 1, self.dilation * (columns - 1) + 1

    @property
    def area(self) -> int:
        """Pixels of its window."""
        rows, columns = self.kernels
        return rows * columns

    @property
    def window(self) -> int:
        """Values that each output is made from."""
        return self.area * (self.group_width or self.reads)

    @property
    def weights(self) -> int:
        """Values of the convolution alone."""
        return self.window * self.writes if self.what == "conv" else 0

    @property
    def params(self) -> int:
        """Learned values: weights, factors, and the two of each channel of a batch norm."""
        if self.what == "scale":
            return self.writes
        normed = self.normed if self.what == "conv" else self.what == "norm"
        return self.weights + 2 * self.writes * normed

    @property
    def macs(self) -> int:
        """Multiply-adds for one image; of an attention those of its two matrix products."""
        if self.what == "attention":
            return self.height * self.width * self.keys * (self.reads + self.writes)
        return self.weights * self.out_height * self.out_width

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Zeros above, left of, below and right of what it reads."""
        (rows, columns), (down, across) = self.reaches, self.strides
        if self.padding != "same":
            padded = self.padding == "symmetric"
            top, left = rows // 2 * padded, columns // 2 * padded
            return top, left, top, left
        top, bottom = same_pads(self.height, rows, down)
        left, right = same_pads(self.width, columns, across)
        return top, left, bottom, right


def depthwise(
    name: str,
    channels: int,
    kernel: int,
    stride: int = 1,
    act: str = "none",
    *,
    normed: bool = True,
    dilation: int = 1,
) -> Part:
    """A convolution of each channel by itself."""
    return Part(name, channels, channels, kernel, stride, 1, act, normed=normed, dilation=dilation)


def norm(name: str, channels: int) -> Part:
    """Batch norm by itself."""
    return Part(name, channels, channels, what="norm")


def scale(name: str, channels: int) -> Part:
    """A learned factor for each channel (arXiv:2103.17239, section 2.1)."""
    return Part(name, channels, channels, what="scale")


def activation(name: str, channels: int, act: str) -> Part:
    """An activation by itself, such as one before all else."""
    return Part(name, channels, channels, act=act, what="act")


def shift(name: str, channels: int) -> Part:
    """The image without its first row and column, with zeros at the end where sizes are odd.

    So a convolution of stride 2 reads the pixels that it would leave out.
    """
    return Part(name, channels, channels, what="shift")


def attention(name: str, heads: int, query: Part, key: Part, value: Part) -> Part:
    """Attention of all pixels to those of a key and a value that its heads share.

    Args:
        name: as of `Part`.
        heads: among which the channels of the query are divided.
        query: a convolution without batch norm, whose pixels attend.
        key: as many channels as the query has in each head.
        value: what each head gets a mean of, weighted by softmax.
    """
    names = query.name, key.name, value.name
    writes = heads * value.writes
    return Part(name, query.writes, writes, what="attention", inputs=names, heads=heads)


def concat(name: str, *parts: Part) -> Part:
    """The channels of several parts one behind the other."""
    count = sum(part.writes for part in parts)
    return Part(name, count, count, what="concat", inputs=tuple(part.name for part in parts))


def sides(size: int, along: str, other: int = 1) -> tuple[int, int]:
    """A size in both directions, rows first, or in one of them and `other` across.

    Args:
        size: in rows and in columns.
        along: as of `Part`.
        other: what it is across.
    """
    return (other if along == "rows" else size), (other if along == "columns" else size)


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `size` rows for ``ceil(size / stride)`` windows, as TensorFlow's.

    Where their number is odd, one more stands after: at stride 2 for all even sizes.
    """
    windows = (size - 1) // stride + 1
    total = max((windows - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
