"""Inverted bottleneck (arXiv:1801.04381), and the same without its expansion."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part, depthwise

__all__ = ["DSCONV", "MBCONV"]


def _separable(o: Any) -> list[Part]:
    mid = o.mid_channels
    return [
        depthwise("depthwise", mid, o.kernel, o.stride, o.act),
        Part("project", mid, o.out_channels),
    ]


def _expanding(o: Any) -> list[Part]:
    return [Part("expand", o.in_channels, o.mid_channels, act=o.act), *_separable(o)]


DSCONV = Kind("dsconv", _separable, middle="as_read")
MBCONV = Kind("mbconv", _expanding, middle="in", unexpanded="dsconv")
