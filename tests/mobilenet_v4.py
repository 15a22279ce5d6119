"""The published MobileNetV4 networks as subnets of the space that holds them all."""

from supernet.space import Space, Subnet
from supernet.space.subnet import Block, StageChoice

__all__ = ["SIZES", "hybrid", "published"]

SIZES = {"small": 224, "medium": 256, "large": 384}
"""Input sizes of the published figures."""

_Blocks = list[tuple[int, int, float]]
"""Kernel before the expansion, kernel in the middle, expand ratio."""

# arXiv:2404.10518, tables 11 (Conv-S), 12 (Conv-M) and 14 (Conv-L)
_FIRST: _Blocks = [(0, 3, 4)]
_STAGES: dict[str, list[tuple[str, int, _Blocks]]] = {
    "small": [
        ("fused_act", 32, [(0, 3, 1)]),
        ("fused_act", 64, [(0, 3, 3)]),
        ("uib", 96, [(5, 5, 3), *[(0, 3, 2)] * 4, (3, 0, 4)]),
        ("uib", 128, [(3, 3, 6), (5, 5, 4), (0, 5, 4), (0, 5, 3), (0, 3, 4), (0, 3, 4)]),
    ],
    "medium": [
        ("fused", 48, _FIRST),
        ("uib", 80, [(3, 5, 4), (3, 3, 2)]),
        ("uib", 160, [(3, 5, 6), (3, 3, 4), (3, 3, 4), (3, 5, 4), (3, 3, 4), (3, 0, 4), (0, 0, 2),
                      (3, 0, 4)]),
        ("uib", 256, [(5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 4), (3, 0, 4), (3, 5, 2),
                      (5, 5, 4), (0, 0, 4), (0, 0, 4), (5, 0, 2)]),
    ],
    "large": [
        ("fused", 48, _FIRST),
        ("uib", 96, [(3, 5, 4), (3, 3, 4)]),
        ("uib", 192, [(3, 5, 4), *[(3, 3, 4)] * 3, (3, 5, 4), *[(5, 3, 4)] * 5, (3, 0, 4)]),
        ("uib", 512, [*[(5, 5, 4)] * 4, (5, 0, 4), (5, 3, 4), (5, 0, 4), (5, 0, 4), (5, 3, 4),
                      (5, 5, 4), *[(5, 0, 4)] * 3]),
    ],
}  # fmt: skip


def published(size: str, space: Space) -> Subnet:
    """Conv-S, Conv-M or Conv-L as a subnet of `mobilenet_v4`."""
    stages = tuple(
        StageChoice(
            width=width,
            block=kind,
            se=0.0,
            shortcut="identity",
            blocks=tuple(Block(start=start, kernel=k, expand=e) for start, k, e in blocks),
        )
        for kind, width, blocks in _STAGES[size]
    )
    return Subnet(
        space=space.name,
        space_hash=space.hash,
        resolution=SIZES[size],
        stem_width=24 if size == "large" else 32,
        stem_depth=0,
        stem_out=0,
        stages=stages,
        features=1280,
    )


# arXiv:2404.10518, table 13 (Hybrid-M): kernel before the expansion, in the middle, expand ratio
_HYBRID: list[_Blocks | None] = [
    _FIRST,
    [(3, 5, 4)],
    [(3, 3, 2)],
    [(3, 5, 6)],
    [(0, 0, 2)],
    [(3, 3, 4), (3, 5, 4)],
    None,
    [(3, 3, 4)],
    None,
    [(3, 0, 4)],
    None,
    [(3, 3, 4)],
    None,
    [(3, 0, 4)],
    [(5, 5, 6)],
    [(5, 5, 4), (3, 5, 4), (3, 5, 4)],
    [(0, 0, 2)],
    [(3, 5, 2)],
    [(0, 0, 2)],
    [(0, 0, 4)],
    None,
    [(3, 0, 4)],
    None,
    [(5, 5, 4)],
    None,
    [(5, 0, 4)],
    None,
    [(5, 0, 4)],
]
_ATTENTION = Block(kernel=3, expand=6, heads=4, key_size=64)


def hybrid(space: Space) -> Subnet:
    """Hybrid-M as a subnet of `mobilenet_v4_hybrid`."""
    stages = tuple(
        StageChoice(
            width=stage.width[0],
            block=stage.block[0],
            se=0.0,
            shortcut="identity",
            blocks=(_ATTENTION,)
            if blocks is None
            else tuple(Block(start=start, kernel=k, expand=e) for start, k, e in blocks),
        )
        for stage, blocks in zip(space.stages, _HYBRID, strict=True)
    )
    return Subnet(
        space=space.name,
        space_hash=space.hash,
        resolution=256,
        stem_width=32,
        stem_depth=0,
        stem_out=0,
        stages=stages,
        features=1280,
    )
