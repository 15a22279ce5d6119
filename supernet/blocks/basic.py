"""Basic block of ResNet-18 and 34 (arXiv:1512.03385): two convolutions of one kernel."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part

__all__ = ["BASIC"]


def _parts(o: Any) -> list[Part]:
    mid = o.mid_channels
    return [
        Part("first", o.in_channels, mid, o.kernel, o.stride, act=o.act),
        Part("second", mid, o.out_channels, o.kernel),
    ]


BASIC = Kind("basic", _parts, "out", ends_in_act=True)
