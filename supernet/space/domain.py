"""What a search may choose from: a space, narrowed to some of its choices.

Genes keep the meaning they have in the whole space, so predictors, latency tables and
stored evaluations serve a narrowed space as they are.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.space.genes import CHUNK, canonical, count_subnets, unique, with_effect
from supernet.space.layout import Choice, Dimension, Genes, Layout, layout_of
from supernet.space.spec import Space

__all__ = ["Domain", "fixed_choices"]

_MOST_PROBLEMS = 5  # listed at once


@dataclass(frozen=True, eq=False)
class Domain:
    """Subnets of a space whose genes take allowed choices only.

    Populations are ``(N, G)`` and canonical, as everywhere: a gene without effect is 0,
    whether 0 is allowed or not.
    """

    space: Space
    allowed: tuple[tuple[int, ...], ...]
    """Per gene the indices of the choices that are left, ascending."""

    @classmethod
    def of(cls, space: Space, fix: Mapping[str, Sequence[Choice]] | None = None) -> "Domain":
        """The whole space, or what the fixed choices leave of it.

        A gene without effect in all subnets that are left, such as one of a block beyond the
        greatest depth, is left one choice.

        Args:
            space: to choose from.
            fix: allowed values by the name of a dimension (``resolution``,
                ``stage2.block1.kernel``), or of all dimensions of one kind in a stage
                (``stage2.kernel``) or in the space (``kernel``).

        Raises:
            ConfigError: an unknown name, or a value that is no choice there; all problems
                at once.
        """
        allowed = fixed_choices(space, fix or {})
        acting = cls(space, allowed)._acting.tolist()
        return cls(space, tuple(left if acts else left[:1] for left, acts in zip(allowed, acting)))

    @cached_property
    def _acting(self) -> npt.NDArray[np.bool_]:
        """Which genes say something about any subnet, shape ``(G,)``: those of the largest."""
        (acting,) = with_effect(self.space, self.largest())
        return np.asarray(acting)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Choices left of each gene, shape ``(G,)``."""
        return np.array([len(choices) for choices in self.allowed], dtype=np.int64)

    @cached_property
    def is_whole(self) -> bool:
        """Whether nothing is fixed."""
        return bool((self.counts == layout_of(self.space).num_choices).all())

    @cached_property
    def free(self) -> npt.NDArray[np.int64]:
        """Columns of the genes that still have something to choose."""
        return np.flatnonzero(self.counts > 1)

    @cached_property
    def count(self) -> int:
        """Number of different subnets, exactly."""
        return count_subnets(self.space, self.allowed)

    @cached_property
    def _stride(self) -> int:
        return int(layout_of(self.space).num_choices.max(initial=1))

    @cached_property
    def _choice_of_rank(self) -> npt.NDArray[np.int8]:
        """Index of the r-th allowed choice of gene g at ``g * stride + r``."""
        table = np.zeros((len(self.allowed), self._stride), dtype=np.int8)
        for row, choices in zip(table, self.allowed):
            row[: len(choices)] = choices
        return table.ravel()

    @cached_property
    def _rank_of_choice(self) -> npt.NDArray[np.int8]:
        """Rank of the allowed choice nearest to index i of gene g at ``g * stride + i``."""
        table = np.zeros((len(self.allowed), self._stride), dtype=np.int8)
        for row, choices in zip(table, self.allowed):
            gaps = np.abs(np.arange(self._stride)[:, None] - np.array(choices))
            row[:] = gaps.argmin(axis=1)
        return table.ravel()

    @cached_property
    def _narrowed(self) -> npt.NDArray[np.int64]:
        """Columns of the genes of which some choices are gone."""
        return np.flatnonzero(self.counts < layout_of(self.space).num_choices)

    def canonical(self, genes: Genes) -> Genes:
        """`genes` moved to the nearest allowed choices, without effect 0; a copy."""
        if len(self._narrowed):
            genes = genes.copy()
            columns = self._narrowed
            genes[:, columns] = self.choice(columns, self._ranks(columns, genes[:, columns]))
        return canonical(self.space, genes)

    def _ranks(
        self, columns: npt.NDArray[np.int64], choices: npt.NDArray[np.int8]
    ) -> npt.NDArray[np.int8]:
        """Ranks of the allowed choices nearest to `choices` of genes."""
        return self._rank_of_choice.take(columns * self._stride + choices)

    def _from_ranks(self, ranks: Genes) -> Genes:
        if self.is_whole:
            return ranks
        return self.choice(np.arange(len(self.counts)), ranks)

    def of_ranks(self, ranks: Genes) -> Genes:
        """The subnets whose genes are the `ranks`-th allowed choices, shape ``(N, G)``."""
        return canonical(self.space, self._from_ranks(ranks))

    def contains(self, genes: Genes) -> npt.NDArray[np.bool_]:
        """Which subnets of the whole space are left, shape ``(N,)``."""
        found: npt.NDArray[np.bool_] = (self.canonical(genes) == genes).all(axis=1)
        return found

    def smallest(self) -> Genes:
        """The subnet with the first allowed choice everywhere, shape ``(1, G)``."""
        return self.canonical(np.array([[choices[0] for choices in self.allowed]], dtype=np.int8))

    def largest(self) -> Genes:
        """The subnet with the last allowed choice everywhere, shape ``(1, G)``."""
        return self.canonical(np.array([[choices[-1] for choices in self.allowed]], dtype=np.int8))

    def sample(self, count: int, rng: np.random.Generator) -> Genes:
        """Subnets with every gene uniform and independent, shape ``(count, G)``."""
        return self.canonical(self._from_ranks(_uniform(count, self.counts, rng)))

    def sample_spread(self, count: int, rng: np.random.Generator) -> Genes:
        """Random subnets of all sizes alike, shape ``(count, G)``.

        Uniform genes give subnets of middle size almost always. Here each subnet draws a
        level from 0 to 1 first, and its genes then lie around that share of their choices.
        What the nodes of a cell read is uniform: none of it is larger than another.
        """
        levels = rng.integers(0, 257, size=(count, 1), dtype=np.uint16)  # of 256
        ranks = np.zeros((count, len(self.counts)), dtype=np.int8)
        for choices in np.unique(self.counts):  # a binomial: so many trials less one
            columns = np.flatnonzero(self.counts == choices)
            draws = rng.integers(0, 256, (choices - 1, count, len(columns)), dtype=np.uint8)
            ranks[:, columns] = (draws < levels).sum(axis=0, dtype=np.int8)
        ranks[:, self._inputs] = _uniform(count, self.counts[self._inputs], rng)
        return self.canonical(self._from_ranks(ranks))

    @cached_property
    def _inputs(self) -> npt.NDArray[np.int64]:
        """Columns of what the nodes of cells read."""
        cells = layout_of(self.space).cells.values()
        nodes = [node.inputs.column for own in cells for node in own.nodes]
        return np.array([column for column in nodes if column >= 0], dtype=np.int64)

    def mutate(self, genes: Genes, probability: float, rng: np.random.Generator) -> Genes:
        """Each gene replaced by a different allowed choice with `probability`."""
        hit = _hits(genes.size, probability, rng)
        columns = hit % len(self.counts)
        counts = self.counts[columns]
        steps = 1 + (rng.random(len(hit)) * (counts - 1)).astype(np.int64)
        changed = genes.copy()
        old = self._ranks(columns, changed.ravel()[hit])
        changed.ravel()[hit] = self.choice(columns, (old + steps) % counts)
        return self.canonical(changed)

    def crossover(self, first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
        """Each gene from one of two parents with equal chance, shape ``(N, G)``."""
        bits = np.frombuffer(rng.bytes(first.size // 8 + 1), dtype=np.uint8)
        take = np.unpackbits(bits, count=first.size).reshape(first.shape).view(np.bool_)
        return self.canonical(np.where(take, first, second))

    @cached_property
    def moves(self) -> npt.NDArray[np.int64]:
        """All single changes as (column, choice), shape ``(M, 2)``."""
        pairs = [(c, i) for c in self.free.tolist() for i in self.allowed[c]]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def apply(self, genes: Genes, moves: npt.NDArray[np.int64]) -> Genes:
        """Each row of `genes` with its own changes made, shape ``(N, G)``.

        Args:
            genes: shape ``(N, G)``.
            moves: (column, choice) pairs, shape ``(N, K, 2)``; K changes a row.
        """
        changed = genes.copy()
        np.put_along_axis(changed, moves[..., 0], moves[..., 1].astype(np.int8), axis=1)
        return self.canonical(changed)

    def choice(
        self, columns: npt.NDArray[np.int64], ranks: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.int8]:
        """The allowed choices of genes by their rank, of the shape of both."""
        return self._choice_of_rank.take(columns * self._stride + ranks)

    def neighbours(self, genes: Genes) -> Genes:
        """All subnets that differ in one gene from one of some ``(N, G)``, without repeats."""
        before = np.repeat(genes, len(self.moves), axis=0)
        moved = self.apply(before, np.tile(self.moves, (len(genes), 1))[:, None])
        return unique(moved[(moved != before).any(axis=1)])

    def everything(self) -> Genes:
        """All subnets, shape ``(count, G)``; for domains that are small enough."""
        rows = np.array([*itertools.product(*self.allowed)], dtype=np.int8)
        return unique(self.canonical(rows.reshape(self.combinations, len(self.allowed))))

    @property
    def combinations(self) -> int:
        """Rows of choices, those of equal subnets counted apart: the work of `everything`."""
        return math.prod(self.counts.tolist())

    def as_dict(self) -> dict[str, list[Any]]:
        """The narrowed dimensions by name, with the values that are left."""
        genes = layout_of(self.space).genes
        return {
            gene.name: [gene.choices[i] for i in choices]
            for gene, choices, acts in zip(genes, self.allowed, self._acting)
            if acts and len(choices) < len(gene.choices)
        }


def _hits(size: int, probability: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Numbers below `size`, each taken with `probability`, ascending."""
    at_once = 64 * CHUNK
    found = [
        start
        + np.flatnonzero(rng.random(min(at_once, size - start), dtype=np.float32) < probability)
        for start in range(0, size, at_once)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def _uniform(count: int, counts: npt.NDArray[np.int64], rng: np.random.Generator) -> Genes:
    """Ranks below `counts`, each alike to one in 65,536, shape ``(count, G)``."""
    ranks = np.empty((count, len(counts)), dtype=np.int8)
    for start in range(0, count, CHUNK):
        rows = ranks[start : start + CHUNK]
        draws = rng.integers(0, 65536, size=rows.shape, dtype=np.uint16)
        rows[:] = draws.astype(np.uint32) * counts.astype(np.uint32) >> np.uint32(16)
    return ranks


def fixed_choices(space: Space, fix: Mapping[str, Sequence[Choice]]) -> tuple[tuple[int, ...], ...]:
    """Per gene the indices of the choices that `fix` leaves; see `Domain.of`."""
    layout = layout_of(space)
    allowed = [tuple(range(len(gene.choices))) for gene in layout.genes]
    problems: list[str] = []
    for name, values in fix.items():
        chosen = [dimension for dimension in layout.dimensions if name in _names(dimension)]
        if len(chosen) > 1:  # a name of many: where there is nothing to choose, nothing is fixed
            chosen = [dimension for dimension in chosen if dimension.column >= 0] or chosen
        problems += _wrong_fix(layout, name, values, chosen)
        for column in {d.column for d in chosen if d.column >= 0}:
            choices = layout.genes[column].choices
            keep = {choices.index(value) for value in values if value in choices}
            left = tuple(i for i in allowed[column] if i in keep)
            if keep and not left:
                problems.append(f"fix: {layout.genes[column].name}: two rules leave no choice")
            allowed[column] = left or allowed[column]
    if problems:
        raise ConfigError(problems[:_MOST_PROBLEMS], hint="`supernet spaces show` lists them")
    return tuple(allowed)


def _wrong_fix(
    layout: Layout, name: str, values: Sequence[Choice], chosen: Sequence[Dimension]
) -> list[str]:
    if not chosen:
        known = {alias for dimension in layout.dimensions for alias in _names(dimension)}
        return [f"fix: unknown dimension {name[:60]!r}; {nearest(name, known)}"]
    if not values:
        return [f"fix: {name}: needs at least one value"]
    return [
        f"fix: {dimension.name}: {value!r} is no choice; it has "
        + ", ".join(f"{choice}" for choice in dimension.choices)
        for dimension in chosen
        for value in values
        if value not in dimension.choices
    ]


def _names(dimension: Dimension) -> tuple[str, ...]:
    """What a dimension may be called: by itself, with its stage, with all of its kind."""
    return dimension.name, f"{dimension.place.group}.{dimension.kind}", dimension.kind
