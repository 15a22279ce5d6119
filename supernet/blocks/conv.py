"""A plain convolution."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part

__all__ = ["CONV"]


def _parts(o: Any) -> list[Part]:
    return [Part("conv", o.in_channels, o.out_channels, o.kernel, o.stride, act=o.act)]


CONV = Kind("conv", _parts)
