"""Mobile multi-query attention of MobileNetV4 (arXiv:2404.10518, section 3.2)."""

from __future__ import annotations

from typing import Any

from supernet.blocks.kind import Kind
from supernet.blocks.part import Part, attention, depthwise, norm, scale

__all__ = ["MQA"]


def _parts(o: Any) -> list[Part]:
    """Keys and values that all heads share, made from fewer pixels where there is a reduction."""
    read, size = o.in_channels, o.mid_channels // o.heads
    kernel = o.kernel if o.reduction > 1 else 0
    key_down, value_down = (
        depthwise(name, read, kernel, o.reduction)._replace(inputs=("norm",))
        for name in ("key_down", "value_down")
    )
    query = Part("query", read, o.mid_channels, inputs=("norm",), normed=False)
    key, value = (
        Part(name, read, size, inputs=(before.name,), normed=False)
        for name, before in (("key", key_down), ("value", value_down))
    )
    attend = attention("attend", o.heads, query, key, value)
    project = Part("project", o.mid_channels, o.out_channels, normed=False)
    last = scale("scale", o.out_channels)
    return [norm("norm", read), query, key_down, key, value_down, value, attend, project, last]


MQA = Kind("mqa", _parts, "heads", gates="")
