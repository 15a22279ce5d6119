"""What an operator has to do, as amounts of work that take time on a processor.

An operator is taken apart into the layers that a runtime calls, and each layer into
amounts: arithmetic, elements moved, weights read, calls. Every amount grows, or stays,
when channels, pixels or kernels grow, so a model with coefficients from 0 never makes
more work cheaper. Amounts are in millions, calls are counted.

On the published Galaxy Note10 blocks these were chosen among some eighty by
cross-validation over blocks (all sizes of a block left out at once).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from supernet.blocks import KINDS, Part, parts_of
from supernet.space import Operator

__all__ = ["WORK_TERMS", "work_terms"]

WORK_TERMS: Mapping[str, str] = {
    "matmul": "multiply-adds of convolutions, in rows of eight pixels",
    "matmul_pixels": "the same, times the doublings of the pixels above 51",
    "matmul_weights": "weights of convolutions",
    "project_weights": "weights of the last convolution of a block",
    "matmul_calls": "convolutions other than depthwise, each group of channels as one",
    "window": "elements copied into the windows of convolutions larger than 1x1",
    "taps": "multiply-adds of depthwise convolutions inside the image, sixteen channels at a time",
    "taps_rows": "the same, times the doublings of the rows under the window above 64 Ki elements",
    "depthwise_io": "elements read and written by depthwise convolutions",
    "far_io": "elements of each result beyond 512 Ki, which no near cache holds",
    "relu": "elements through relu or relu6",
    "gate": "elements through hard-swish; each of swish counts twice, of softmax three times",
    "gate_far": "the same, times the doublings of their number above 32 Ki",
    "squeeze": "elements pooled and scaled by squeeze-excite, times the doublings as above",
    "squeeze_weights": "weights of squeeze-excite",
    "add": "elements added by shortcuts, or normalised, scaled, turned or copied by themselves",
    "linear_weights": "weights of linear layers",
    "mean": "elements averaged, or compared in a maximum, by pooling",
}

_ROWS = 8  # pixels of a tile of a matrix product
_LANES = 16  # channels of a step of a depthwise convolution
_FAR = 512 * 1024  # elements
_PASSES = {"swish": 2, "softmax": 3}
_MEGA = 1e6


@dataclass(slots=True)
class _Counter:
    """Adds amounts up, layer by layer."""

    amounts: dict[str, float]

    def add(self, name: str, amount: float) -> None:
        self.amounts[name] = self.amounts.get(name, 0.0) + amount

    def part(self, part: Part, *, last: bool) -> None:
        """A convolution and its activation, `last` of several in a block; or what joins them."""
        pixels = part.out_height * part.out_width
        if part.what == "attention":
            self.attention(part, pixels)
            return
        if part.what == "act":
            self.activation(part.act, pixels * part.writes)
            return
        if part.what != "conv":
            self.add("add", pixels * part.writes / _MEGA)
            return
        if part.group_width == 1:
            self.depthwise(part)
        else:
            self.convolution(pixels, part.window, part.writes, groups=part.groups, last=last)
        if part.kernel > 1 and part.group_width != 1:
            self.add("window", pixels * part.area * part.reads / _MEGA)
        self.activation(part.act, pixels * part.writes)

    def convolution(
        self, pixels: int, window: int, channels: int, *, groups: int = 1, last: bool = False
    ) -> None:
        """A matrix product per group: ``(pixels, window) x (window, channels / groups)``."""
        self.product(pixels, window, channels, groups)
        self.add("matmul_weights", window * channels / _MEGA)
        if last:
            self.add("project_weights", window * channels / _MEGA)

    def product(self, rows: int, window: int, columns: int, groups: int = 1) -> None:
        """The same without weights, all groups together."""
        macs = _up(rows, _ROWS) * window * groups * _up(columns // groups, _ROWS) / _MEGA
        self.add("matmul", macs)
        self.add("matmul_pixels", macs * _doublings(rows, 51.2))
        self.add("matmul_calls", groups)
        self.result(rows * columns)

    def attention(self, part: Part, pixels: int) -> None:
        """Two matrix products without weights, softmax between, tensors turned around them."""
        rows = part.heads * pixels
        for window, columns in (
            (part.reads // part.heads, part.keys),
            (part.keys, part.writes // part.heads),
        ):
            self.product(rows, window, columns)
        self.activation("softmax", rows * part.keys)
        turned = pixels * (part.reads + part.writes)
        self.add("add", (turned + part.keys * part.writes // part.heads) / _MEGA)

    def result(self, elements: int) -> None:
        self.add("far_io", max(0, elements - _FAR) / _MEGA)

    def depthwise(self, part: Part) -> None:
        positions = _taps(part, part.height, 0) * _taps(part, part.width, 1)
        taps = positions * _up(part.writes, _LANES) / _MEGA
        self.add("taps", taps)
        row = part.kernels[0] * part.width * part.writes
        self.add("taps_rows", taps * _doublings(row, 64 * 1024))
        pixels = part.height * part.width + part.out_height * part.out_width
        self.add("depthwise_io", pixels * part.writes / _MEGA)
        self.result(part.out_height * part.out_width * part.writes)

    def activation(self, name: str, elements: int) -> None:
        if name in ("relu", "relu6"):
            self.add("relu", elements / _MEGA)
        elif name != "none":
            amount = elements * _PASSES.get(name, 1) / _MEGA
            self.add("gate", amount)
            self.add("gate_far", amount * _doublings(elements, 32 * 1024))

    def squeeze_excite(self, pixels: int, channels: int, hidden: int) -> None:
        elements = pixels * channels
        self.add("squeeze", elements * _doublings(elements, 32 * 1024) / _MEGA)
        self.add("squeeze_weights", 2 * channels * hidden / _MEGA)


def work_terms(operator: Operator) -> Iterator[tuple[str, float]]:
    """Name and amount, above 0, of each kind of work; a subset of `WORK_TERMS`."""
    counter = _Counter({})
    _count(counter, operator)
    yield from ((name, amount) for name, amount in counter.amounts.items() if amount > 0)


def _count(counter: _Counter, o: Operator) -> None:
    pixels, out_pixels = o.height * o.width, o.out_height * o.out_width
    if o.op == "pool":
        counter.activation(o.act, pixels * o.in_channels)
        counter.add("mean", pixels * o.in_channels / _MEGA)
    elif o.op in ("add", "concat"):
        counter.add("add", pixels * o.out_channels / _MEGA)
    elif o.op in ("maxpool", "avgpool"):
        counter.add("mean", o.kernel**2 * out_pixels * o.in_channels / _MEGA)
    elif o.op == "linear":
        counter.add("linear_weights", o.in_channels * o.out_channels / _MEGA)
        counter.activation(o.act, o.out_channels)
    else:
        _block(counter, o)
        _shortcut(counter, o)


def _block(counter: _Counter, o: Operator) -> None:
    """All but its shortcut."""
    parts = parts_of(o)
    convs = [part for part in parts if part.what == "conv"]
    for part in parts:
        counter.part(part, last=len(convs) > 1 and part is convs[-1])
        if o.se and part.gated:
            counter.squeeze_excite(part.out_height * part.out_width, part.writes, o.se)
    if KINDS[o.op].ends_in_act:
        counter.activation(o.act, o.out_height * o.out_width * o.out_channels)


def _shortcut(counter: _Counter, o: Operator) -> None:
    if o.shortcut == "none":
        return
    pixels = o.out_height * o.out_width
    counter.add("add", pixels * o.out_channels / _MEGA)
    if o.shortcut_pool:
        counter.add("mean", o.shortcut_pool**2 * pixels * o.in_channels / _MEGA)
    if o.shortcut_convolves:
        counter.convolution(pixels, o.in_channels, o.out_channels)


def _taps(part: Part, size: int, side: int) -> int:
    """Rows (or columns, side 1) of the window that lie inside the image, over all positions."""
    return _inside(part.kernels[side], part.strides[side], part.pads[side], part.dilation, size)


@lru_cache(maxsize=4096)  # a space has thousands of operators, and few of these
def _inside(kernel: int, stride: int, before: int, step: int, size: int) -> int:
    outputs = (size - 1) // stride + 1
    starts = range(-before, outputs * stride - before, stride)
    ends = (min(kernel, -((start - size) // step)) for start in starts)
    return sum(end - max(0, -(start // step)) for start, end in zip(starts, ends))


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _doublings(value: float, beyond: float) -> float:
    """0 far below `beyond`, then one more with each doubling."""
    return math.log2(1 + value / beyond)
