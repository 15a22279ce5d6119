"""How a subnet of a space becomes a row of small integers, and which operators it has.

A *dimension* is one choice to make; those with at least two choices are the genes,
one column each. A *slot* is a place in the network where an operator may stand: it
knows on which dimensions its operator depends, and makes the operator for given
choices. Everything additive over operators (MACs, parameters, latency) and the
network itself come from the slots.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.space.operators import Operator, round_channels
from supernet.space.spec import Space

__all__ = ["Dimension", "Genes", "Layout", "Slot", "layout_of"]

Genes: TypeAlias = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One choice to make."""

    name: str
    """Such as ``stage2.block1.kernel``."""
    choices: tuple[float, ...]
    """Allowed values, ascending."""
    column: int
    """Its column in a row of genes; -1 when there is nothing to choose."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the network where an operator may stand."""

    name: str
    """Such as ``stage2.block1``."""
    dimensions: tuple[Dimension, ...]
    """What its operator depends on."""
    make: Callable[..., Operator | None]
    """The operator for one value per dimension; None where the block is skipped."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The dimensions and slots of a space, in network order."""

    resolution: Dimension
    stem_width: Dimension
    width: tuple[Dimension, ...]
    """Per stage."""
    depth: tuple[Dimension, ...]
    """Per stage."""
    kernel: tuple[tuple[Dimension, ...], ...]
    """Per stage and block."""
    expand: tuple[tuple[Dimension, ...], ...]
    """Per stage and block."""
    genes: tuple[Dimension, ...]
    """The dimensions with at least two choices, by column."""
    slots: tuple[Slot, ...]
    num_choices: npt.NDArray[np.int64]
    """Choices of each gene, shape ``(G,)``."""
    padded: npt.NDArray[np.int64]
    """Shape ``(P, 3)``: gene column, column of its stage's depth, and the smallest
    depth index at which the gene's block is there."""


class _Columns:
    """Hands out columns to the dimensions that have something to choose."""

    def __init__(self) -> None:
        self.genes: list[Dimension] = []

    def add(self, name: str, choices: tuple[float, ...]) -> Dimension:
        column = len(self.genes) if len(choices) > 1 else -1
        dimension = Dimension(name, choices, column)
        if column >= 0:
            self.genes.append(dimension)
        return dimension


@lru_cache(maxsize=32)
def layout_of(space: Space) -> Layout:
    """The layout of `space`; cached, so calling it is cheap."""
    columns = _Columns()
    names = [f"stage{s + 1}" for s in range(len(space.stages))]
    resolution = columns.add("resolution", space.resolutions)
    stem_width = columns.add("stem.width", space.stem.width)
    width = tuple(columns.add(f"{n}.width", st.width) for n, st in zip(names, space.stages))
    depth = tuple(columns.add(f"{n}.depth", st.depth) for n, st in zip(names, space.stages))
    kernel = tuple(
        tuple(columns.add(f"{n}.block{b + 1}.kernel", st.kernel) for b in range(st.max_depth))
        for n, st in zip(names, space.stages)
    )
    expand = tuple(
        tuple(columns.add(f"{n}.block{b + 1}.expand", st.expand) for b in range(st.max_depth))
        for n, st in zip(names, space.stages)
    )
    slots = _slots(space, resolution, stem_width, width, depth, kernel, expand)
    return Layout(
        resolution=resolution,
        stem_width=stem_width,
        width=width,
        depth=depth,
        kernel=kernel,
        expand=expand,
        genes=tuple(columns.genes),
        slots=slots,
        num_choices=np.array([len(gene.choices) for gene in columns.genes], dtype=np.int64),
        padded=_padded(space, depth, kernel, expand),
    )


def _padded(
    space: Space,
    depth: tuple[Dimension, ...],
    kernel: tuple[tuple[Dimension, ...], ...],
    expand: tuple[tuple[Dimension, ...], ...],
) -> npt.NDArray[np.int64]:
    rows = []
    for s, stage in enumerate(space.stages):
        for b in range(stage.depth[0], stage.max_depth):
            needed = next(i for i, blocks in enumerate(stage.depth) if blocks > b)
            for gene in (kernel[s][b], expand[s][b]):
                if gene.column >= 0:
                    rows.append((gene.column, depth[s].column, needed))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _slots(
    space: Space,
    resolution: Dimension,
    stem_width: Dimension,
    width: tuple[Dimension, ...],
    depth: tuple[Dimension, ...],
    kernel: tuple[tuple[Dimension, ...], ...],
    expand: tuple[tuple[Dimension, ...], ...],
) -> tuple[Slot, ...]:
    slots = [Slot("stem", (resolution, stem_width), _stem(space))]
    strides = [space.stem.stride]
    in_width = stem_width
    for s, stage in enumerate(space.stages):
        for b in range(stage.max_depth):
            own = (resolution, width[s], depth[s], kernel[s][b], expand[s][b])
            make = _block(space, s, b, tuple(strides))
            # a later block reads what its own stage writes: one width for both
            dimensions = (*own, in_width) if b == 0 else own
            slots.append(Slot(f"stage{s + 1}.block{b + 1}", dimensions, make))
            if b == 0:
                strides.append(stage.stride)
        in_width = width[s]
    slots += _head(space, resolution, in_width, tuple(strides))
    return tuple(slots)


def _size(resolution: int, strides: tuple[int, ...]) -> int:
    for stride in strides:
        resolution = (resolution - 1) // stride + 1
    return resolution


def _stem(space: Space) -> Callable[..., Operator]:
    def make(resolution: int, width: int) -> Operator:
        return Operator(
            op="conv",
            in_channels=space.in_channels,
            out_channels=width,
            kernel=space.stem.kernel,
            stride=space.stem.stride,
            act=space.stem.act,
            height=resolution,
            width=resolution,
        )

    return make


def _block(
    space: Space, s: int, b: int, strides: tuple[int, ...]
) -> Callable[..., Operator | None]:
    stage = space.stages[s]
    stride = stage.stride if b == 0 else 1

    def make(
        resolution: int, width: int, depth: int, kernel: int, expand: float, before: int = 0
    ) -> Operator | None:
        if b >= depth:
            return None
        before = before or width
        mid = before if expand == 1 else round_channels(round(before * expand))
        size = _size(resolution, strides)
        return Operator(
            op="dsconv" if expand == 1 else "mbconv",
            in_channels=before,
            mid_channels=mid,
            out_channels=width,
            kernel=kernel,
            stride=stride,
            act=stage.act,
            se=round_channels(mid * stage.se) if stage.se else 0,
            shortcut=stride == 1 and before == width and (b > 0 or stage.shortcut),
            height=size,
            width=size,
        )

    return make


def _head(
    space: Space, resolution: Dimension, width: Dimension, strides: tuple[int, ...]
) -> list[Slot]:
    head = space.head
    slots = []

    def conv(resolution: int, width: int) -> Operator:
        size = _size(resolution, strides)
        return Operator(
            op="conv",
            in_channels=width,
            out_channels=head.width,
            act=head.act,
            height=size,
            width=size,
        )

    def pool(resolution: int, width: int) -> Operator:
        size = _size(resolution, strides)
        channels = head.width or width
        return Operator(
            op="pool", in_channels=channels, out_channels=channels, height=size, width=size
        )

    def features(width: int) -> Operator:
        return Operator(
            op="linear",
            in_channels=head.width or width,
            out_channels=head.features,
            act=head.act,
        )

    def classifier(width: int) -> Operator:
        return Operator(
            op="linear",
            in_channels=head.features or head.width or width,
            out_channels=space.num_classes,
            bias=True,
        )

    if head.width:
        slots.append(Slot("head.conv", (resolution, width), conv))
    slots.append(Slot("head.pool", (resolution, width), pool))
    if head.features:
        slots.append(Slot("head.features", (width,), features))
    slots.append(Slot("head.classifier", (width,), classifier))
    return slots
