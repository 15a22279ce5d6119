"""Universal inverted bottleneck of MobileNetV4 (arXiv:2404.10518, section 3)."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part, depthwise, scale

__all__ = ["UIB", "UIB_SCALED"]


def _parts(o: Any) -> list[Part]:
    """Four forms: with the first, the second, both and none of its depthwise convolutions.

    ConvNext-like, inverted bottleneck, extra depthwise, and feed-forward network.
    """
    before, mid = o.in_channels, o.mid_channels
    first, second = (1, o.stride) if o.kernel else (o.stride, 1)
    return [
        depthwise("start", before, o.start, first),
        Part("expand", before, mid, act=o.act),
        depthwise("middle", mid, o.kernel, second, o.act),
        Part("project", mid, o.out_channels),
    ]


def _scaled(o: Any) -> list[Part]:
    return [*_parts(o), scale("scale", o.out_channels)]


UIB = Kind("uib", _parts, "in", starts=True)
UIB_SCALED = Kind("uib_scaled", _scaled, "in", starts=True)
"""With a learned factor for each channel that it writes, as in MobileNetV4-Hybrid."""
