"""Populations: many subnets as one ``(N, G)`` integer array.

``N`` subnets, ``G`` genes; a gene is an index into the choices of its dimension.
Genes without effect (of blocks beyond the chosen depth, or expand ratios of blocks that
do not expand) are always 0, so equal subnets have equal rows (the *canonical* form).
Every function here returns it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.space.layout import Dimension, Genes, layout_of
from supernet.space.spec import EXPANDING, BlockKind, Space, Stage
from supernet.space.subnet import Block, StageChoice, Subnet, subnet_values

__all__ = [
    "canonical",
    "count_subnets",
    "crossover",
    "decode",
    "encode",
    "largest",
    "largest_subnet",
    "mutate",
    "neighbours",
    "one_hot",
    "sample",
    "sample_spread",
    "smallest",
    "subnet_keys",
    "unique",
]


def count_subnets(space: Space) -> int:
    """Number of different subnets, as an exact integer."""
    layout = layout_of(space)
    whole = (layout.resolution, layout.stem_width, layout.stem_depth, layout.stem_out)
    total = math.prod(len(dimension.choices) for dimension in (*whole, layout.features))
    for stage in space.stages:
        total *= len(stage.width) * len(stage.se) * len(stage.shortcut)
        total *= sum(_count_blocks(stage, kind) for kind in stage.block)
    return total


def _count_blocks(stage: Stage, kind: BlockKind) -> int:
    """Choices of depth, kernels and expand ratios in a stage of one kind of block."""
    per_block = len(stage.kernel) * (len(stage.expand) if kind in EXPANDING else 1)
    if stage.shared:
        return per_block * len(stage.depth)
    return sum(per_block**depth for depth in stage.depth)


def canonical(space: Space, genes: Genes) -> Genes:
    """`genes` with 0 wherever a gene has no effect, shape ``(N, G)``; a copy."""
    genes = np.array(genes, dtype=np.int8)
    for condition in layout_of(space).conditions:
        column, deciding, needed = condition.T
        genes[:, column] *= genes[:, deciding] >= needed
    return genes


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


def sample_spread(space: Space, count: int, rng: np.random.Generator) -> Genes:
    """`count` random subnets of all sizes alike, shape ``(count, G)``.

    Uniform genes give subnets of middle size almost always. Here each subnet draws a
    level from 0 to 1 first, and its genes then lie around that share of their choices.
    """
    num_choices = layout_of(space).num_choices
    levels = rng.random((count, 1))
    genes = rng.binomial(num_choices - 1, levels, size=(count, len(num_choices)))
    return canonical(space, genes.astype(np.int8))


def mutate(space: Space, genes: Genes, probability: float, rng: np.random.Generator) -> Genes:
    """Each gene replaced by a different choice with `probability`, shape ``(N, G)``."""
    num_choices = layout_of(space).num_choices
    steps = rng.integers(1, num_choices, size=genes.shape, dtype=np.int16)
    hit = rng.random(genes.shape, dtype=np.float32) < probability
    changed = (genes + steps * hit) % num_choices
    return canonical(space, changed.astype(np.int8))


def crossover(space: Space, first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
    """Each gene from one of two parents with equal chance, shape ``(N, G)``."""
    take = rng.random(first.shape, dtype=np.float32) < 0.5
    return canonical(space, np.where(take, first, second))


def neighbours(space: Space, genes: Genes) -> Genes:
    """All subnets that differ from one subnet ``(1, G)`` in one gene, without repeats."""
    num_choices = layout_of(space).num_choices
    column = np.repeat(np.arange(len(num_choices)), num_choices - 1)
    step = np.concatenate([np.arange(1, n) for n in (1, *num_choices)])
    moved = np.repeat(genes[:1].astype(np.int64), len(column), axis=0)
    moved[np.arange(len(column)), column] += step
    moved[np.arange(len(column)), column] %= num_choices[column]
    rows: Genes = unique(canonical(space, moved.astype(np.int8)))
    differ = (rows != canonical(space, genes[:1])).any(axis=1)
    found: Genes = rows[differ]
    return found


def unique(genes: Genes) -> Genes:
    """The different rows, in order of first appearance, shape ``(M, G)``."""
    _, first = np.unique(genes, axis=0, return_index=True)
    return genes[np.sort(first)]


def one_hot(space: Space, genes: Genes) -> npt.NDArray[np.float32]:
    """Shape ``(N, C)``, C = all choices of all genes; zeros for skipped blocks."""
    layout = layout_of(space)
    ends = np.cumsum(layout.num_choices)
    positions = genes.astype(np.int64) + (ends - layout.num_choices)
    hot = np.zeros((len(genes), int(layout.num_choices.sum())), dtype=np.float32)
    np.put_along_axis(hot, positions, 1.0, axis=1)
    for condition in layout.conditions:
        column, deciding, needed = condition.T
        rows, skipped = np.nonzero(genes[:, deciding] < needed)
        hot[rows, positions[rows, column[skipped]]] = 0.0
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
                    Block(kernel=chosen(kernel), expand=chosen(expand))
                    for kernel, expand in zip(
                        own.kernel[: chosen(own.depth)], own.expand[: chosen(own.depth)]
                    )
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
            )
        )
    return subnets


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
