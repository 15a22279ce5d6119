"""What the nodes of a cell do, and what fits their inputs (NASNet, arXiv:1707.07012; DARTS).

All of them begin with the activation and end with batch norm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part, activation, concat, depthwise, shift

__all__ = ["DILATED", "FIT", "FLAT", "REDUCE", "SEPARABLE_TWICE"]


def _first(o: Any) -> Part:
    return activation("first_act", o.in_channels, o.act)


def _separable(o: Any) -> list[Part]:
    """Depthwise and 1x1 convolution, both twice; the stride stands in the first."""
    before, after = o.in_channels, o.out_channels
    return [
        _first(o),
        depthwise("first", before, o.kernel, o.stride, normed=False),
        Part("first_mix", before, after, act=o.act),
        depthwise("second", after, o.kernel, normed=False),
        Part("second_mix", after, after),
    ]


def _dilated(o: Any) -> list[Part]:
    """A depthwise convolution that leaves out every other row and column, and a 1x1."""
    return [
        _first(o),
        depthwise("spatial", o.in_channels, o.kernel, o.stride, normed=False, dilation=2),
        Part("mix", o.in_channels, o.out_channels),
    ]


def _flat(o: Any) -> list[Part]:
    """A row of values, then a column; each takes the stride in its direction."""
    rows = Part("rows", o.in_channels, o.in_channels, o.kernel, o.stride, normed=False)
    columns = Part("columns", o.in_channels, o.out_channels, o.kernel, o.stride)
    return [_first(o), rows._replace(along="rows"), columns._replace(along="columns")]


def _fit(o: Any) -> list[Part]:
    return [_first(o), Part("mix", o.in_channels, o.out_channels, o.kernel, o.stride)]


def _reduce(o: Any) -> list[Part]:
    read, half, first = o.in_channels, o.out_channels // 2, _first(o)
    left = Part("left", read, half, 1, o.stride)
    further = shift("further", read)._replace(kernel=int(o.stride > 1), inputs=(first.name,))
    right = Part("right", read, o.out_channels - half, 1, o.stride, inputs=(further.name,))
    return [first, left, further, right, concat("mix", left, right)]


def _kind(name: str, parts: Callable[[Any], Sequence[Part]]) -> Kind:
    return Kind(name, parts, gates="", in_cells=True)


SEPARABLE_TWICE = _kind("separable_twice", _separable)
DILATED = _kind("dilated", _dilated)
FLAT = _kind("flat", _flat)
"""1x7 and 7x1 convolutions of all channels."""
FIT = _kind("fit", _fit)
"""To another number of channels."""
REDUCE = _kind("reduce", _reduce)
"""To half the rows and columns: half of the channels are made from every other pixel, the other
half from those one row and one column further on."""
