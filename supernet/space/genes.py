"""Populations: many subnets as one ``(N, G)`` integer array.

``N`` subnets, ``G`` genes; a gene is an index into the choices of its dimension.
Genes of blocks beyond the chosen depth have no effect and are always 0, so equal
subnets have equal rows (the *canonical* form). Every function here returns it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from supernet.space.layout import Genes, layout_of
from supernet.space.spec import Space
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
    "unique",
]


def count_subnets(space: Space) -> int:
    """Number of different subnets, as an exact integer."""
    layout = layout_of(space)
    total = len(layout.resolution.choices) * len(layout.stem_width.choices)
    for stage, width in zip(space.stages, layout.width):
        per_block = len(stage.kernel) * len(stage.expand)
        total *= len(width.choices) * sum(per_block**depth for depth in stage.depth)
    return total


def canonical(space: Space, genes: Genes) -> Genes:
    """`genes` with 0 wherever a block is skipped, shape ``(N, G)``; a copy."""
    genes = np.array(genes, dtype=np.int8)
    column, depth_column, needed = layout_of(space).padded.T
    genes[:, column] *= genes[:, depth_column] >= needed
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
    column, depth_column, needed = layout.padded.T
    rows, skipped = np.nonzero(genes[:, depth_column] < needed)
    hot[rows, positions[rows, column[skipped]]] = 0.0
    return hot


def decode(space: Space, genes: Genes) -> list[Subnet]:
    """The subnets of a population, as values."""
    layout = layout_of(space)
    space_hash = space.hash
    subnets = []
    for row in genes.tolist():
        values = {g.name: g.choices[row[g.column]] for g in layout.genes}
        stages = []
        for s in range(len(space.stages)):
            depth = int(values.get(layout.depth[s].name, layout.depth[s].choices[0]))
            blocks = tuple(
                Block(
                    kernel=int(values.get(k.name, k.choices[0])),
                    expand=values.get(e.name, e.choices[0]),
                )
                for k, e in zip(layout.kernel[s][:depth], layout.expand[s][:depth])
            )
            width = int(values.get(layout.width[s].name, layout.width[s].choices[0]))
            stages.append(StageChoice(width=width, blocks=blocks))
        stem, px = layout.stem_width, layout.resolution
        subnets.append(
            Subnet(
                space=space.name,
                space_hash=space_hash,
                resolution=int(values.get(px.name, px.choices[0])),
                stem_width=int(values.get(stem.name, stem.choices[0])),
                stages=tuple(stages),
            )
        )
    return subnets


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
        values = subnet_values(space, subnet)
        for gene in layout.genes:
            row[gene.column] = gene.choices.index(values[gene.name])
    return canonical(space, genes)
