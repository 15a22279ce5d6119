"""Populations: many subnets as one ``(N, G)`` integer array.

``N`` subnets, ``G`` genes; a gene is an index into the choices of its dimension.
Genes without effect (of blocks beyond the chosen depth, or expand ratios of blocks that
do not expand) are always 0, so equal subnets have equal rows (the *canonical* form).
Every function here returns it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.blocks import KINDS
from supernet.space.cells import CellChoice, NodeChoice
from supernet.space.layout import (
    Choice,
    Dimension,
    Genes,
    Layout,
    StageDimensions,
    layout_of,
)
from supernet.space.spec import Space
from supernet.space.subnet import Block, StageChoice, Subnet, subnet_values

__all__ = [
    "CHUNK",
    "canonical",
    "count_subnets",
    "decode",
    "encode",
    "first_of_equals",
    "largest",
    "largest_subnet",
    "one_hot",
    "sample",
    "smallest",
    "subnet_keys",
    "unique",
    "with_effect",
]


CHUNK = 2048
"""Rows of a population that are worked on at a time: they stay in the second-level cache."""


def count_subnets(space: Space, allowed: Sequence[Sequence[int]] | None = None) -> int:
    """Number of different subnets, as an exact integer.

    Args:
        space: to choose from.
        allowed: per gene the indices of the choices that are left; all when not given.
    """
    layout = layout_of(space)

    def left(dimension: Dimension) -> Sequence[int]:
        if dimension.column < 0:
            return (0,)
        return range(len(dimension.choices)) if allowed is None else allowed[dimension.column]

    whole = (layout.resolution, layout.stem_width, layout.stem_depth, layout.stem_out)
    total = math.prod(len(left(dimension)) for dimension in (*whole, layout.features))
    total *= math.prod(len(left(d)) for cell in layout.cells.values() for d in cell.all)
    for own in layout.stages:
        total *= math.prod(len(left(d)) for d in (own.width, own.se, own.shortcut))
        total *= sum(_count_blocks(own, own.block.choices[i], left) for i in left(own.block))
    return total


def _count_blocks(
    own: StageDimensions, kind: Choice, left: Callable[[Dimension], Sequence[int]]
) -> int:
    """Choices of depth, and of all that blocks choose, in a stage of one kind of block."""
    having = [dimensions for name, dimensions in own.of_blocks() if KINDS[str(kind)].has(name)]
    per_block = [math.prod(len(left(d)) for d in of_one) for of_one in zip(*having)]
    depths = [int(own.depth.choices[i]) for i in left(own.depth)]
    if own.shared:
        return per_block[0] * len(depths)
    return sum(math.prod(per_block[:depth]) for depth in depths)


def canonical(space: Space, genes: Genes) -> Genes:
    """`genes` with 0 wherever a gene has no effect, shape ``(N, G)``; a copy."""
    genes = np.array(genes, dtype=np.int8)
    conditions = [condition.T for condition in layout_of(space).conditions]
    for start in range(0, len(genes), CHUNK):
        rows = genes[start : start + CHUNK]
        for column, deciding, needed in conditions:
            rows[:, column] *= rows[:, deciding] >= needed
    return genes


def with_effect(space: Space, genes: Genes) -> npt.NDArray[np.bool_]:
    """Which genes of subnets say something about them, shape ``(N, G)``."""
    found = np.ones(genes.shape, dtype=np.bool_)
    for condition in layout_of(space).conditions:
        column, deciding, needed = condition.T
        found[:, column] &= genes[:, deciding] >= needed
    return found


def smallest(space: Space) -> Genes:
    """The subnet with the first choice everywhere, shape ``(1, G)``."""
    return np.zeros((1, len(layout_of(space).genes)), dtype=np.int8)


def largest(space: Space) -> Genes:
    """The subnet with the last choice everywhere, shape ``(1, G)``."""
    return (layout_of(space).num_choices - 1).astype(np.int8)[None]


def sample(space: Space, count: int, rng: np.random.Generator) -> Genes:
    """`count` subnets, every gene uniform and independent, shape ``(count, G)``."""
    num_choices = layout_of(space).num_choices
    genes = rng.integers(0, num_choices, size=(count, len(num_choices)), dtype=np.int8)
    return canonical(space, genes)


def unique(genes: Genes) -> Genes:
    """The different rows, in order of first appearance, shape ``(M, G)``."""
    return genes[first_of_equals(genes)]


def first_of_equals(genes: Genes) -> npt.NDArray[np.int64]:
    """Indices of the rows that equal none before them, ascending, shape ``(M,)``."""
    if genes.shape[1] == 0:  # a space of one subnet
        return np.arange(min(len(genes), 1))
    # a table of hashes: numpy.unique sorts rows, which takes 10 to 30 times as long
    row = np.dtype((np.void, genes.shape[1] * genes.itemsize))
    backwards = np.ascontiguousarray(genes).view(row)[::-1, 0].tolist()
    last = dict(zip(backwards, range(len(genes) - 1, -1, -1)))
    return np.sort(np.fromiter(last.values(), dtype=np.int64, count=len(last)))


def one_hot(space: Space, genes: Genes) -> npt.NDArray[np.float32]:
    """Shape ``(N, C)``, C = all choices of all genes; zeros for skipped blocks."""
    layout = layout_of(space)
    width = int(layout.num_choices.sum())
    starts = np.cumsum(layout.num_choices) - layout.num_choices
    hot = np.zeros((len(genes), width), dtype=np.float32)
    first = np.arange(min(len(genes), CHUNK))[:, None] * width + starts
    for start in range(0, len(genes), CHUNK):
        rows, into = genes[start : start + CHUNK], hot[start : start + CHUNK].reshape(-1)
        into[first[: len(rows)] + rows] = with_effect(space, rows)
    return hot


def decode(space: Space, genes: Genes) -> list[Subnet]:
    """The subnets of a population, as values."""
    layout = layout_of(space)
    space_hash = space.hash
    subnets = []
    for row in canonical(space, genes).tolist():

        def chosen(dimension: Dimension, row: list[int] = row) -> Any:
            return dimension.choices[row[dimension.column] if dimension.column >= 0 else 0]

        stages = tuple(
            StageChoice(
                width=chosen(own.width),
                block=chosen(own.block),
                se=chosen(own.se),
                shortcut=chosen(own.shortcut),
                blocks=tuple(
                    Block(**{name: chosen(dimensions[b]) for name, dimensions in own.of_blocks()})
                    for b in range(chosen(own.depth))
                ),
            )
            for own in layout.stages
        )
        subnets.append(
            Subnet(
                space=space.name,
                space_hash=space_hash,
                resolution=chosen(layout.resolution),
                stem_width=chosen(layout.stem_width),
                stem_depth=chosen(layout.stem_depth),
                stem_out=chosen(layout.stem_out),
                stages=stages,
                features=chosen(layout.features),
                cells=_cells(layout, chosen),
            )
        )
    return subnets


def _cells(layout: Layout, chosen: Callable[[Dimension], Any]) -> tuple[CellChoice, ...]:
    return tuple(
        CellChoice(
            kind=kind,
            nodes=tuple(
                NodeChoice(
                    inputs=chosen(node.inputs), left=chosen(node.left), right=chosen(node.right)
                )
                for node in cell.nodes
            ),
        )
        for kind, cell in layout.cells.items()
    )


def subnet_keys(space: Space, genes: Genes) -> list[str]:
    """`Subnet.key` of every row of a population."""
    return [subnet.key for subnet in decode(space, genes)]


def largest_subnet(space: Space) -> Subnet:
    """The subnet with the last choice everywhere."""
    return decode(space, largest(space))[0]


def encode(space: Space, subnets: Sequence[Subnet]) -> Genes:
    """The genes of subnets, shape ``(N, G)``.

    Raises:
        ConfigError: a subnet is not of this space.
    """
    layout = layout_of(space)
    genes = np.zeros((len(subnets), len(layout.genes)), dtype=np.int8)
    for row, subnet in zip(genes, subnets):
        values = subnet_values(layout, subnet)
        for gene in layout.genes:
            row[gene.column] = gene.choices.index(values[gene.name])
    return canonical(space, genes)
