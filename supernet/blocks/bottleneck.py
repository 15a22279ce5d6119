"""Bottleneck of ResNet (arXiv:1512.03385), and the same with its output gated."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part

__all__ = ["BOTTLENECK", "BOTTLENECK_SE"]


def _parts(o: Any) -> list[Part]:
    mid = o.mid_channels
    group_width = mid // o.groups if o.groups > 1 else 0
    return [
        Part("reduce", o.in_channels, mid, act=o.act),
        Part("conv", mid, mid, o.kernel, o.stride, group_width, o.act),
        Part("project", mid, o.out_channels),
    ]


BOTTLENECK = Kind("bottleneck", _parts, "out", grouped=True, ends_in_act=True)
BOTTLENECK_SE = Kind("bottleneck_se", _parts, "out", grouped=True, gates="output", ends_in_act=True)
"""Of SE-ResNet (arXiv:1709.01507): squeeze-excite gates the output, before the shortcut."""
