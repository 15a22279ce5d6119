"""Kinds of block: one file each, and a line in `KINDS`.

Kits carry these files, so they need Python 3.8 and the standard library only.
"""

from __future__ import annotations

from typing import Any

from supernet.blocks.basic import BASIC
from supernet.blocks.bottleneck import BOTTLENECK
from supernet.blocks.cell import DILATED, FIT, REDUCE, SEPARABLE_TWICE
from supernet.blocks.conv import CONV
from supernet.blocks.fused import FUSED, FUSED_ACT
from supernet.blocks.kind import Kind
from supernet.blocks.mbconv import DSCONV, DSCONV_ACT, MBCONV
from supernet.blocks.part import Part, depthwise, same_pads
from supernet.blocks.uib import UIB
from supernet.blocks.wired import Wired, reads_of

__all__ = ["KINDS", "Kind", "Part", "Wired", "depthwise", "parts_of", "reads_of", "same_pads"]

_OF_CELLS = FIT, REDUCE, DILATED, SEPARABLE_TWICE

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(CONV, DSCONV, DSCONV_ACT, *_OF_CELLS),
        *(MBCONV, BOTTLENECK, BASIC, FUSED, FUSED_ACT, UIB),
    )
}
"""By name, in the order in which spaces list them. Those on which an expand ratio has an effect
stand last, and among these those with a `start`: a gene has an effect from some kind on."""


def parts_of(operator: Any) -> list[Part]:
    """The convolutions of an operator with the sizes of what they read; none where it is no block.

    Args:
        operator: `supernet.space.Operator` or whatever has its fields.
    """
    kind = KINDS.get(operator.op)
    if kind is None:
        return []
    height, width, same = operator.height, operator.width, operator.padding == "same"
    found: list[Part] = []
    there = [part for part in kind.parts(operator) if part.kernel]
    for left, part in zip(reversed(range(len(there))), there):
        pads = (same and part.kernel > 1 and part.stride > 1) or operator.padding == "valid"
        placed = part._replace(
            height=height,
            width=width,
            padding=operator.padding if pads else "symmetric",
            gated=left == 1 or len(there) == 1,
        )
        found.append(placed)
        height, width = placed.out_height, placed.out_width
    return found
