"""Fused inverted bottlenecks (arXiv:2003.02838): the expansion is the convolution itself."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part

__all__ = ["FUSED", "FUSED_ACT"]


def _parts(o: Any, last_act: str = "none") -> list[Part]:
    mid = o.mid_channels
    return [
        Part("expand", o.in_channels, mid, o.kernel, o.stride, act=o.act),
        Part("project", mid, o.out_channels, act=last_act),
    ]


FUSED = Kind("fused", _parts, "in")
FUSED_ACT = Kind("fused_act", lambda o: _parts(o, o.act), "in")
"""Both convolutions have the activation, as in MobileNetV4-Conv-S."""
