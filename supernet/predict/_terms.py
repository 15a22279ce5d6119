"""Additive features: each a table over few genes, so that what is fitted stays a table.

A choice that has no effect (of a skipped block, or an expand ratio of a block that does
not expand) has the feature 0: the table of a gene has an axis for each gene that decides
about it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from supernet.predict.contract import Values
from supernet.space import Genes, Space
from supernet.space.layout import layout_of

__all__ = ["Tables", "Term", "design", "pair_terms", "single_terms"]

_CHUNK = 16384


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """Features that depend on the same few genes."""

    columns: tuple[int, ...]
    """Of genes, ascending."""
    basis: Values
    """One axis per column, and a last one for the features."""


def _deciding(space: Space, column: int) -> list[tuple[int, int]]:
    """Genes that decide whether `column` has an effect, and the least index for it."""
    rows = [row for table in layout_of(space).conditions for row in table.tolist()]
    return [(deciding, needed) for own, deciding, needed in rows if own == column]


def _single(space: Space, column: int) -> Term:
    """One-hot choices of a gene, and its index as an ordinal value."""
    num_choices = layout_of(space).num_choices
    deciding = _deciding(space, column)
    columns = tuple(sorted({column, *(own for own, _ in deciding)}))
    shape = tuple(int(num_choices[c]) for c in columns)
    index = dict(zip(columns, np.indices(shape)))
    there = np.ones(shape, dtype=bool)
    for own, needed in deciding:
        there &= index[own] >= needed
    count = int(num_choices[column])
    hot = np.eye(count)[index[column]]
    ordinal = np.linspace(0, 1, count)[index[column]][..., None]
    return Term(columns, np.concatenate([hot, ordinal], axis=-1) * there[..., None])


def _product(space: Space, first: Term, second: Term) -> Term:
    """Products of all features of two terms."""
    num_choices = layout_of(space).num_choices
    columns = tuple(sorted({*first.columns, *second.columns}))
    shape = tuple(int(num_choices[c]) for c in columns)

    def spread(term: Term) -> Values:
        axes = [num_choices[c] if c in term.columns else 1 for c in columns]
        return np.broadcast_to(
            term.basis.reshape(*axes, -1), (*shape, term.basis.shape[-1])
        ).astype(np.float64)

    product = spread(first)[..., :, None] * spread(second)[..., None, :]
    return Term(columns, product.reshape(*shape, -1))


@lru_cache(maxsize=8)
def single_terms(space: Space) -> tuple[Term, ...]:
    """One term a gene."""
    return tuple(_single(space, gene.column) for gene in layout_of(space).genes)


@lru_cache(maxsize=8)
def pair_terms(space: Space) -> tuple[Term, ...]:
    """Products of the choices of every two genes of one stage."""
    stages: dict[str, list[int]] = {}
    for gene in layout_of(space).genes:
        if gene.place.part != "input":
            stages.setdefault(gene.place.group, []).append(gene.column)
    singles = single_terms(space)
    return tuple(
        _product(space, _hot(singles[a]), _hot(singles[b]))
        for columns in stages.values()
        for a, b in itertools.combinations(columns, 2)
    )


def _hot(term: Term) -> Term:
    """The one-hot features alone."""
    return Term(term.columns, term.basis[..., :-1])


def design(terms: Sequence[Term], genes: Genes) -> Values:
    """Features of a population ``(N, G)``, shape ``(N, F)``."""
    parts = [term.basis[tuple(genes[:, c] for c in term.columns)] for term in terms]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(genes), 0))


class Tables:
    """A sum of tables over few genes each, looked up for whole populations.

    Args:
        space: of the genes.
        terms: the features.
        weights: one for each feature, shape ``(F,)``.
    """

    def __init__(self, space: Space, terms: Sequence[Term], weights: Values) -> None:
        sizes = [term.basis.shape[-1] for term in terms]
        own = np.split(weights, np.cumsum(sizes)[:-1]) if terms else []
        merged: dict[tuple[int, ...], Values] = {}
        for term, part in zip(terms, own):
            merged[term.columns] = merged.get(term.columns, 0.0) + term.basis @ part
        self.tables = tuple(merged.items())
        genes = len(layout_of(space).genes)
        self._strides = np.zeros((genes, len(self.tables)), dtype=np.float32)
        for number, (columns, table) in enumerate(self.tables):
            stride = 1
            for axis in reversed(range(table.ndim)):
                self._strides[columns[axis], number] = stride
                stride *= table.shape[axis]
        lengths = np.array([table.size for _, table in self.tables], dtype=np.int64)
        self._offsets = (np.cumsum(lengths) - lengths).astype(np.float32)
        flat = [table.ravel() for _, table in self.tables]
        self._values: npt.NDArray[np.float64] = np.concatenate(flat) if flat else np.zeros(0)
        assert self._values.size < 2**24  # float32 holds these indices exactly

    def __call__(self, genes: Genes) -> Values:
        """The sums of a canonical population, shape ``(N,)``."""
        sums = np.zeros(len(genes))
        for start in range(0, len(genes) if self.tables else 0, _CHUNK):
            rows = genes[start : start + _CHUNK].astype(np.float32)
            index = (rows @ self._strides + self._offsets).astype(np.int32)
            self._values.take(index).sum(axis=1, out=sums[start : start + _CHUNK])
        return sums
