"""The cheapest and the most expensive subnet of a space, exactly.

A cost that is a sum of one value per operator is a sum of small tables, one per slot,
each over the few genes on which its operator depends. Such a sum is minimised gene by
gene (variable elimination, a form of dynamic programming; Dechter, Artificial
Intelligence 113, 1999): the tables that a gene appears in are added up and replaced by
one without it, which holds the least cost over its choices. The genes of a block touch
one table only, and a stage touches the next one through its width, so every table stays
small, whatever the number of subnets.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.space.additive import operator_tables
from supernet.space.domain import Domain
from supernet.space.genes import count_subnets, decode
from supernet.space.layout import Genes, layout_of
from supernet.space.operator import Operator, total_macs, total_params
from supernet.space.spec import Space
from supernet.space.subnet import operators

__all__ = [
    "CostTable",
    "SpaceRanges",
    "extremes",
    "minimum",
    "operator_costs",
    "space_ranges",
]

CostTable: TypeAlias = tuple[tuple[int, ...], npt.NDArray[np.float64]]
"""Columns of genes, and the costs with one axis per column."""


def extremes(space: Space, value: Callable[[Operator], float]) -> tuple[Genes, Genes]:
    """A subnet of the least and one of the greatest sum of ``value(operator)``.

    No subnet of the space has a smaller or a greater sum, whatever the values are;
    only the rounding of sums can hide a difference. `value` is called once per
    different operator.

    Returns:
        The genes of both, each of shape ``(1, G)``.
    """
    tables = operator_costs(space, value)
    domain = Domain.of(space)
    negated = [(columns, -costs) for columns, costs in tables]
    return minimum(domain, tables), minimum(domain, negated)


def operator_costs(space: Space, value: Callable[[Operator], float]) -> list[CostTable]:
    """Per slot the values of its operators, 0 where it is skipped.

    `value` is called once per different operator.
    """
    listed = operator_tables(space)
    values = listed.values(value)
    tables: list[CostTable] = []
    for slot, index in zip(layout_of(space).slots, listed.slots):
        columns = tuple(d.column for d in slot.dimensions if d.column >= 0)
        shape = [len(d.choices) for d in slot.dimensions if d.column >= 0]
        tables.append((columns, values[index].reshape(shape)))
    return tables


def minimum(domain: Domain, tables: Sequence[CostTable]) -> Genes:
    """The genes of the least sum of tables in a domain, canonical, shape ``(1, G)``.

    Tables must give one cost to all rows that stand for one subnet: what a gene adds where
    it has no effect must not depend on it. An infinite cost forbids a combination; where
    everything is forbidden, some row is returned.
    """
    num_choices = layout_of(domain.space).num_choices.tolist()
    tables = [*tables, *_bans(domain, num_choices)]
    order = _order(tuple(columns for columns, _ in tables), tuple(num_choices))
    best: list[tuple[int, CostTable]] = []
    for column, others in order:
        touching = [table for table in tables if column in table[0]]
        total = sum(_spread(table, (*others, column)) for table in touching)
        if not isinstance(total, np.ndarray):  # a gene that costs nothing
            total = np.zeros(num_choices[column])
        best.append((column, (others, total.argmin(axis=-1))))
        tables = [table for table in tables if column not in table[0]]
        tables.append((others, total.min(axis=-1)))
    genes = np.zeros((1, len(num_choices)), dtype=np.int8)
    for column, (others, choice) in reversed(best):  # those that the choice hangs on are known
        genes[0, column] = choice[tuple(genes[0, list(others)])]
    return domain.canonical(genes)


@lru_cache(maxsize=64)
def _order(
    tables: tuple[tuple[int, ...], ...], num_choices: tuple[int, ...]
) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """In which order genes are eliminated, each with the others that its table is over.

    Always the gene that leaves the smallest table. Cached: bounds ask again and again for
    tables over the same genes.
    """
    left, spans = set(range(len(num_choices))), list(tables)
    order = []
    while left:
        column = _next(left, spans, num_choices)
        left.remove(column)
        touching = [columns for columns in spans if column in columns]
        others = tuple(sorted({c for columns in touching for c in columns} - {column}))
        order.append((column, others))
        spans = [columns for columns in spans if column not in columns]
        spans.append(others)
    return tuple(order)


def _bans(domain: Domain, num_choices: Sequence[int]) -> list[CostTable]:
    """Infinite costs of choices that the domain does not allow."""
    bans: list[CostTable] = []
    for column, (choices, count) in enumerate(zip(domain.allowed, num_choices)):
        if len(choices) < count:
            costs = np.full(count, np.inf)
            costs[list(choices)] = 0.0
            bans.append(((column,), costs))
    return bans


def _next(
    left: Collection[int], spans: Sequence[tuple[int, ...]], num_choices: Sequence[int]
) -> int:
    """The gene whose elimination leaves the smallest table."""
    touched: dict[int, set[int]] = {column: set() for column in left}
    for columns in spans:
        for column in columns:
            touched[column].update(columns)
    return min(left, key=lambda c: math.prod(num_choices[o] for o in touched[c] if o != c))


def _spread(table: CostTable, columns: Sequence[int]) -> npt.NDArray[np.float64]:
    """The costs of `table` with one axis for each of `columns`, which hold its own."""
    own, costs = table
    order = sorted(range(len(own)), key=lambda axis: columns.index(own[axis]))
    sizes = dict(zip(own, costs.shape))
    return costs.transpose(order).reshape([sizes.get(column, 1) for column in columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRanges:
    """How many subnets a space has, and from where to where they reach."""

    subnets: int
    macs: tuple[int, int]
    """Least and most of any subnet, for one image."""
    params: tuple[int, int]
    """Least and most of any subnet."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def space_ranges(space: Space) -> SpaceRanges:
    """Size of a space, exactly.

    The ends of the two ranges may be different subnets: the fewest parameters are not
    always those of the subnet with the fewest multiply-adds.
    """
    light, heavy = extremes(space, lambda operator: operator.macs)
    few, many = extremes(space, lambda operator: operator.params)
    found = [
        operators(space, subnet)
        for subnet in decode(space, np.concatenate([light, heavy, few, many]))
    ]
    return SpaceRanges(
        subnets=count_subnets(space),
        macs=(total_macs(found[0]), total_macs(found[1])),
        params=(total_params(found[2]), total_params(found[3])),
    )
