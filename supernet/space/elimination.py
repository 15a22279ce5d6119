"""The least sum of small tables over few genes each, exactly.

Such a sum is minimised gene by gene (variable elimination, a form of dynamic programming;
Dechter, Artificial Intelligence 113, 1999): the tables that a gene appears in are added up
and replaced by one without it, which holds the least sum over its choices. The genes of a
block touch one table only, and a stage touches the next one through its width, so every
table stays small, whatever the number of subnets.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.space.domain import Domain
from supernet.space.layout import Genes

__all__ = [
    "CostTable",
    "Order",
    "Step",
    "decide",
    "eliminate",
    "elimination_order",
    "minimum",
    "narrowed",
    "own_sums",
]

CostTable: TypeAlias = tuple[tuple[int, ...], npt.NDArray[np.float64]]
"""Columns of genes, and the costs with one axis per column."""

Order: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]
"""Columns in the order of their elimination, each with the later ones that it hangs on."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One gene, and what each of its choices costs at least."""

    column: int
    others: tuple[int, ...]
    """Columns of the genes that decide about it."""
    totals: npt.NDArray[np.float64]
    """The least sum of all tables that hang on the gene, over the genes eliminated before
    it: an axis for its choices, and one for each of `others`."""

    def of(self, ranks: Genes) -> npt.NDArray[np.float64]:
        """The totals for rows ``(N, G)`` whose `others` are decided, shape ``(choices, N)``.

        Of a gene that hangs on no other, ``(choices, 1)``.
        """
        place: tuple[Any, ...] = (slice(None), *(ranks[:, column] for column in self.others))
        found: npt.NDArray[np.float64] = self.totals[place].reshape(len(self.totals), -1)
        return found


def minimum(domain: Domain, tables: Sequence[CostTable]) -> Genes:
    """The genes of the least sum of tables in a domain, canonical, shape ``(1, G)``.

    Tables must give one cost to all rows that stand for one subnet: what a gene adds where
    it has no effect must not depend on it. An infinite cost forbids a combination; where
    everything is forbidden, some row is returned.
    """
    counts = domain.counts.tolist()
    order = elimination_order(tuple(columns for columns, _ in tables), tuple(counts))
    ranks = np.zeros((1, len(counts)), dtype=np.int8)
    decide(eliminate(narrowed(domain, tables), order, counts), ranks)
    return domain.of_ranks(ranks)


def narrowed(domain: Domain, tables: Sequence[CostTable]) -> list[CostTable]:
    """Tables over the ranks of the choices that a domain allows."""
    if domain.is_whole:
        return list(tables)
    found: list[CostTable] = []
    for columns, costs in tables:
        left = np.ix_(*(domain.allowed[column] for column in columns))
        found.append((columns, np.asarray(costs[left])))
    return found


def eliminate(tables: Sequence[CostTable], order: Order, counts: Sequence[int]) -> list[Step]:
    """The steps that minimise a sum of tables.

    Args:
        tables: to be added up; those over no gene do not count.
        order: of the genes, which fits all tables.
        counts: choices of each gene.
    """
    left, steps = list(tables), []
    for column, others in order:
        touching = [table for table in left if column in table[0]]
        step = Step(column, others, _sum(touching, (column, *others), counts))
        steps.append(step)
        left = [table for table in left if column not in table[0]]
        left.append((others, step.totals.min(axis=0)))
    return steps


def decide(steps: Sequence[Step], ranks: Genes) -> None:
    """Write the best choices into rows ``(N, G)``, those eliminated last first.

    Columns that have no step must be there already.
    """
    for step in reversed(steps):
        ranks[:, step.column] = step.of(ranks).argmin(axis=0)


def own_sums(
    tables: Sequence[CostTable], order: Order, counts: Sequence[int]
) -> Iterator[npt.NDArray[np.float64]]:
    """Per gene of an order the sum of the tables whose other genes are eliminated later.

    One axis for its choices, and one for each gene that it hangs on; each table counts once.
    """
    left = list(tables)
    for column, others in order:
        touching = [table for table in left if column in table[0]]
        left = [table for table in left if column not in table[0]]
        yield _sum(touching, (column, *others), counts)


@lru_cache(maxsize=64)
def elimination_order(
    tables: tuple[tuple[int, ...], ...], counts: tuple[int, ...], last: int = -1
) -> Order:
    """In which order genes are eliminated, each with the others that its table is over.

    Always the gene that leaves the smallest table; the others by their number of choices,
    so that the last axis of a table is a long one. Cached: bounds ask again and again for
    tables over the same genes.

    Args:
        tables: columns of each table.
        counts: choices of each gene.
        last: column of a gene that is kept to the end; -1 for none.
    """
    left, spans = set(range(len(counts))), list(tables)
    order = []
    while left:
        column = _next(left - {last} or left, spans, counts)
        left.remove(column)
        touching = [columns for columns in spans if column in columns]
        others = {c for columns in touching for c in columns} - {column}
        order.append((column, tuple(sorted(others, key=lambda c: (counts[c], c)))))
        spans = [columns for columns in spans if column not in columns]
        spans.append(order[-1][1])
    return tuple(order)


def _next(left: Collection[int], spans: Sequence[tuple[int, ...]], counts: Sequence[int]) -> int:
    """The gene whose elimination leaves the smallest table; of those, that in fewest tables."""
    touched: dict[int, set[int]] = {column: set() for column in left}
    tables = dict.fromkeys(left, 0)
    for columns in spans:
        for column in touched.keys() & columns:
            touched[column].update(columns)
            tables[column] += 1

    def size(column: int) -> tuple[int, int, int]:
        others = touched[column] - {column}
        return math.prod(counts[other] for other in others), tables[column], column

    return min(left, key=size)


def _sum(
    tables: Sequence[CostTable], columns: Sequence[int], counts: Sequence[int]
) -> npt.NDArray[np.float64]:
    """The sum of tables, with one axis for each of `columns`; read only.

    Small ones are added first: few additions are then over all axes.
    """
    shape = tuple(counts[column] for column in columns)
    total = np.zeros([1] * len(shape))
    for table in sorted(tables, key=lambda table: table[1].size):
        if total.shape == shape:
            total += _spread(table, columns)
        else:
            total = total + _spread(table, columns)
    return np.broadcast_to(total, shape)


def _spread(table: CostTable, columns: Sequence[int]) -> npt.NDArray[np.float64]:
    """The costs of `table` with one axis for each of `columns`, which hold its own."""
    own, costs = table
    order = sorted(range(len(own)), key=lambda axis: columns.index(own[axis]))
    sizes = dict(zip(own, costs.shape))
    return costs.transpose(order).reshape([sizes.get(column, 1) for column in columns])
