"""Kinds of block: one file each, and a line in `KINDS`.

Kits carry these files, so they need Python 3.8 and the standard library only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from supernet.blocks.basic import BASIC, BASIC_SE
from supernet.blocks.bottleneck import BOTTLENECK, BOTTLENECK_SE
from supernet.blocks.cell import DILATED, FIT, FLAT, REDUCE, SEPARABLE_TWICE
from supernet.blocks.conv import CONV
from supernet.blocks.fused import FUSED, FUSED_ACT
from supernet.blocks.graph import Wired, reads_of
from supernet.blocks.kind import Kind
from supernet.blocks.mbconv import DSCONV, DSCONV_ACT, MBCONV
from supernet.blocks.mqa import MQA
from supernet.blocks.part import (
    INPUT,
    Part,
    activation,
    attention,
    concat,
    depthwise,
    norm,
    same_pads,
    scale,
    shift,
    sides,
)
from supernet.blocks.placing import held_places, linked, placed, program
from supernet.blocks.uib import UIB, UIB_SCALED

__all__ = [
    "INPUT",
    "KINDS",
    "Kind",
    "Part",
    "Wired",
    "activation",
    "attention",
    "concat",
    "depthwise",
    "held_places",
    "linked",
    "norm",
    "parts_of",
    "program",
    "reads_of",
    "same_pads",
    "scale",
    "shift",
    "sides",
]

_KEPT = 1 << 14  # operators

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(CONV, DSCONV, DSCONV_ACT, MQA, FIT, REDUCE, DILATED, SEPARABLE_TWICE, FLAT),
        *(MBCONV, BOTTLENECK, BOTTLENECK_SE, BASIC, BASIC_SE, FUSED, FUSED_ACT),
        *(UIB, UIB_SCALED),
    )
}
"""By name, in the order in which spaces list them. Those on which an expand ratio has an effect
stand last, and among these those with a `start`: a gene has an effect from some kind on."""


def parts_of(operator: Any) -> list[Part]:
    """The parts of an operator with the sizes of what they read; none where it is no block.

    Args:
        operator: `supernet.space.Operator` or whatever has its fields.
    """
    kind = KINDS.get(operator.op)
    return [] if kind is None else list(_placed(kind, operator))


@lru_cache(maxsize=_KEPT)
def _placed(kind: Kind, operator: Any) -> tuple[Part, ...]:
    """As `parts_of`, kept: an operator is made, checked and priced many times."""
    return tuple(placed(kind.parts(operator), operator, gates=kind.gates))
