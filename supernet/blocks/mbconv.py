"""Inverted bottleneck (arXiv:1801.04381), and the same without its expansion."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part, depthwise

__all__ = ["DSCONV", "DSCONV_ACT", "MBCONV"]


def _separable(o: Any, last_act: str = "none") -> list[Part]:
    mid = o.mid_channels
    return [
        depthwise("depthwise", mid, o.kernel, o.stride, o.act),
        Part("project", mid, o.out_channels, act=last_act),
    ]


def _expanding(o: Any) -> list[Part]:
    return [Part("expand", o.in_channels, o.mid_channels, act=o.act), *_separable(o)]


DSCONV = Kind("dsconv", _separable, middle="as_read")
DSCONV_ACT = Kind("dsconv_act", lambda o: _separable(o, o.act), middle="as_read")
"""Both convolutions have the activation, as in MobileNetV1 (arXiv:1704.04861)."""
MBCONV = Kind("mbconv", _expanding, middle="in", unexpanded="dsconv")
