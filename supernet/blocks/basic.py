"""Basic block of ResNet-18 and 34 (arXiv:1512.03385): two convolutions of one kernel."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part

__all__ = ["BASIC", "BASIC_SE"]


def _parts(o: Any) -> list[Part]:
    mid = o.mid_channels
    return [
        Part("first", o.in_channels, mid, o.kernel, o.stride, act=o.act),
        Part("second", mid, o.out_channels, o.kernel),
    ]


BASIC = Kind("basic", _parts, "out", ends_in_act=True)
BASIC_SE = Kind("basic_se", _parts, "out", gates="output", ends_in_act=True)
"""Of SE-ResNet (arXiv:1709.01507): squeeze-excite gates the output, before the shortcut."""
