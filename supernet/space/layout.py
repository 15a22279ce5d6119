"""How a subnet of a space becomes a row of small integers, and which operators it has.

A *dimension* is one choice to make; those with at least two choices are the genes,
one column each. A *slot* is a place in the network where an operator may stand: it
knows on which dimensions its operator depends, and makes the operator for given
choices. Everything additive over operators (MACs, parameters, latency) and the
network itself come from the slots.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from supernet.blocks import KINDS, Kind
from supernet.space.cell_slots import CellNetwork, Joined
from supernet.space.cells import CELL_KINDS, CellKind
from supernet.space.dimensions import (
    PER_BLOCK,
    CellDimensions,
    Choice,
    Dimension,
    Genes,
    NodeDimensions,
    Part,
    Place,
    Slot,
    StageDimensions,
)
from supernet.space.end_slots import (
    cell_head,
    head_slots,
    padding_of,
    size_behind,
    stem_size,
    stem_slots,
)
from supernet.space.operator import Operator, Shortcut, round_channels
from supernet.space.spec import Space
from supernet.space.stage import BlockKind, Stage

__all__ = [
    "CellDimensions",
    "Choice",
    "Dimension",
    "Genes",
    "Layout",
    "Part",
    "Place",
    "Slot",
    "StageDimensions",
    "layout_of",
]


@dataclass(frozen=True, slots=True)
class Layout:
    """The dimensions and slots of a space, in network order."""

    space: str
    """Name of the space."""
    space_hash: str
    resolution: Dimension
    stem_width: Dimension
    stem_depth: Dimension
    stem_out: Dimension
    """Its only choice is 0 where the stem has no last convolution."""
    stages: tuple[StageDimensions, ...]
    cells: dict[CellKind, CellDimensions]
    """Of both cells; none where there are stages."""
    features: Dimension
    """Its only choice is 0 where the head has no such layer."""
    dimensions: tuple[Dimension, ...]
    """All of them, also those with one choice."""
    genes: tuple[Dimension, ...]
    """The dimensions with at least two choices, by column."""
    slots: tuple[Slot, ...]
    num_choices: npt.NDArray[np.int64]
    """Choices of each gene, shape ``(G,)``."""
    conditions: tuple[npt.NDArray[np.int64], ...]
    """Which genes have an effect: each of shape ``(P, 3)``, a gene's column, the column
    of the gene that decides (of the stage's depth or kind of block), and the smallest
    index there at which the first has an effect. No column twice in one array."""


_INPUT, _STEM, _HEAD = Place("input"), Place("stem"), Place("head")


class _Columns:
    """Hands out columns to the dimensions that have something to choose."""

    def __init__(self) -> None:
        self.genes: list[Dimension] = []
        self.all: list[Dimension] = []

    def add(self, place: Place, kind: str, choices: tuple[Choice, ...]) -> Dimension:
        column = len(self.genes) if len(choices) > 1 else -1
        name = kind if place == _INPUT else f"{place}.{kind}"
        dimension = Dimension(name, choices, column, place, kind)
        self.all.append(dimension)
        if column >= 0:
            self.genes.append(dimension)
        return dimension

    def per_block(self, stage: Stage, place: Place, kind: str) -> tuple[Dimension, ...]:
        if stage.shared:
            return (self.add(place, kind, stage.block_choices(kind, 0)),) * stage.max_depth
        return tuple(
            self.add(replace(place, block=b + 1), kind, stage.block_choices(kind, b))
            for b in range(stage.max_depth)
        )


@lru_cache(maxsize=32)
def layout_of(space: Space) -> Layout:
    """The layout of `space`; cached, so calling it is cheap."""
    columns = _Columns()
    staged = [(Place("stage", s), stage) for s, stage in enumerate(space.stages, start=1)]
    resolution = columns.add(_INPUT, "resolution", space.resolutions)
    stem_width = columns.add(_STEM, "width", space.stem.width)
    stem_depth = columns.add(_STEM, "depth", space.stem.depth)
    stem_out = columns.add(_STEM, "out", space.stem.out or (0,))
    width = [columns.add(place, "width", stage.width) for place, stage in staged]
    depth = [columns.add(place, "depth", stage.depth) for place, stage in staged]
    block = [columns.add(place, "block", stage.block) for place, stage in staged]
    se = [columns.add(place, "se", stage.se) for place, stage in staged]
    shortcut = [columns.add(place, "shortcut", stage.shortcut) for place, stage in staged]
    per_block = [
        [columns.per_block(stage, place, kind) for place, stage in staged] for kind in PER_BLOCK
    ]
    features = columns.add(_HEAD, "features", space.head.features or (0,))
    stages = tuple(
        StageDimensions(*dimensions)
        for dimensions in zip(block, width, depth, se, shortcut, *per_block)
    )
    cells = {kind: _cell_dimensions(space, columns, kind) for kind in _kinds(space)}
    slots = [*stem_slots(space, resolution, stem_width, stem_depth, stem_out)]
    if space.cells is None:
        slots += _blocks(space, resolution, stem_out if space.stem.out else stem_width, stages)
        slots += head_slots(space, resolution, stages[-1].width, features)
    else:
        network = CellNetwork(space.cells, resolution, cells, space.padding)
        stem = Joined("stem", space.stem.width[0], lambda pixels: stem_size(space, pixels))
        between, last = network.slots(stem)
        slots += [*between, *cell_head(space, resolution, last)]
    return Layout(
        space=space.name,
        space_hash=space.hash,
        resolution=resolution,
        stem_width=stem_width,
        stem_depth=stem_depth,
        stem_out=stem_out,
        stages=stages,
        cells=cells,
        features=features,
        dimensions=tuple(columns.all),
        genes=tuple(columns.genes),
        slots=tuple(slots),
        num_choices=np.array([len(gene.choices) for gene in columns.genes], dtype=np.int64),
        conditions=_conditions(space, stages),
    )


def _kinds(space: Space) -> tuple[CellKind, ...]:
    return () if space.cells is None else CELL_KINDS


def _cell_dimensions(space: Space, columns: _Columns, kind: CellKind) -> CellDimensions:
    cells = space.cells
    assert cells is not None
    found = []
    for number in range(1, cells.nodes + 1):
        place, node = Place(kind, block=number), cells.node(kind, number)
        inputs = columns.add(place, "inputs", node.inputs)
        left = columns.add(place, "left", node.left)
        found.append(NodeDimensions(inputs, left, columns.add(place, "right", node.right)))
    return CellDimensions(tuple(found))


def _conditions(
    space: Space, stages: tuple[StageDimensions, ...]
) -> tuple[npt.NDArray[np.int64], ...]:
    by_depth, by_kind = [], []
    for stage, own in zip(space.stages, stages):
        for b in range(stage.depth[0], stage.max_depth):
            needed = next(i for i, blocks in enumerate(stage.depth) if blocks > b)
            for _, genes in own.of_blocks():
                if genes[b].column >= 0 and not stage.shared:
                    by_depth.append((genes[b].column, own.depth.column, needed))
        if own.block.column >= 0:
            for name, genes in own.of_blocks():
                kinds = enumerate(stage.block)
                first = next((i for i, kind in kinds if KINDS[kind].has(name)), len(stage.block))
                for column in {gene.column for gene in genes} - {-1}:
                    if first:
                        by_kind.append((column, own.block.column, first))
    tables = [np.array(rows, dtype=np.int64).reshape(-1, 3) for rows in (by_depth, by_kind)]
    return tuple(table for table in tables if len(table))


def _blocks(
    space: Space,
    resolution: Dimension,
    before: Dimension,
    stages: tuple[StageDimensions, ...],
) -> Iterator[Slot]:
    strides: tuple[int, ...] = ()
    for s, (stage, own) in enumerate(zip(space.stages, stages), start=1):
        for b in range(stage.max_depth):
            dimensions = (
                resolution,
                own.width,
                own.depth,
                own.kernel[b],
                own.expand[b],
                own.block,
                own.se,
                own.shortcut,
                own.start[b],
                own.heads[b],
                own.key_size[b],
            )
            # a later block reads what its own stage writes: one width for both
            reads = (*dimensions, before) if b == 0 else dimensions
            place = Place("stage", s, b + 1)
            yield Slot(str(place), place, reads, _block(space, stage, b, strides))
            if b == 0:
                strides = (*strides, stage.stride)
        before = own.width


def _block(
    space: Space, stage: Stage, b: int, strides: tuple[int, ...]
) -> Callable[..., Operator | None]:
    stride = stage.stride if b == 0 else 1

    def make(  # noqa: PLR0913, PLR0917  # one per dimension
        resolution: int,
        width: int,
        depth: int,
        kernel: int,
        expand: float,
        block: BlockKind,
        se: float,
        shortcut: Shortcut,
        start: int,
        heads: int,
        key_size: int,
        before: int = 0,
    ) -> Operator | None:
        if b >= depth:
            return None
        before = before or width
        kind = _kind(block, expand)
        asked = heads * (key_size or width // heads) if heads else 0
        mid = asked or _middle(kind, before, width, expand, stage.group_width)
        size = size_behind(space, resolution, strides)
        return Operator(
            op=kind.name,
            in_channels=before,
            mid_channels=mid,
            out_channels=width,
            kernel=1 if kind.attends and stage.reduction == 1 else kernel,
            stride=stride,
            groups=mid // stage.group_width if stage.group_width else 1,
            act="none" if kind.attends else stage.act,
            se=_hidden(stage, se, before, kind.gated_channels(mid, width)),
            shortcut=_allowed(shortcut, stride, same=before == width),
            height=size,
            width=size,
            padding=padding_of(space, kernel or start, stride),
            start=start if kind.starts else 0,
            gate=stage.gate if se else "hard_sigmoid",
            heads=heads,
            reduction=stage.reduction,
        )

    return make


def _middle(kind: Kind, before: int, width: int, expand: float, group_width: int) -> int:
    """Middle channels of a block without heads."""
    if not kind.expands:
        return before if kind.middle else 0
    read = width if kind.middle == "out" else before
    return round_channels(round(read * expand), group_width or 8)


def _kind(block: BlockKind, expand: float) -> Kind:
    """What a block is at an expand ratio."""
    kind = KINDS[block]
    return KINDS[kind.unexpanded] if kind.unexpanded and expand == 1 else kind


def _hidden(stage: Stage, se: float, before: int, gated: int) -> int:
    """Hidden channels of a squeeze-excite part."""
    if not se:
        return 0
    return max(1, int(before * se)) if stage.se_of == "in" else round_channels(gated * se)


def _allowed(shortcut: Shortcut, stride: int, *, same: bool) -> Shortcut:
    """What becomes of a stage's shortcut in a block of these shapes."""
    plain = same and stride == 1
    if shortcut in ("project", "project_norm", "conv_norm"):
        return "identity" if plain else shortcut
    fits = plain if shortcut == "identity" else same
    return shortcut if fits else "none"
