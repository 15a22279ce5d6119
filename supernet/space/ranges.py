"""The cheapest and the most expensive subnet of a space, exactly.

A cost that is a sum of one value per operator is a sum of small tables, one per slot,
each over the few genes on which its operator depends; `minimum` finds its ends.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from supernet.space.additive import operator_tables
from supernet.space.domain import Domain
from supernet.space.elimination import CostTable, minimum
from supernet.space.features import WHOLE, Body
from supernet.space.genes import count_subnets, decode
from supernet.space.layout import Genes, layout_of
from supernet.space.operator import Operator, total_macs, total_params
from supernet.space.spec import Space
from supernet.space.subnet import operators

__all__ = [
    "SpaceRanges",
    "extremes",
    "operator_costs",
    "space_ranges",
]


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


def operator_costs(
    space: Space, value: Callable[[Operator], float], body: Body = WHOLE
) -> list[CostTable]:
    """Per slot the values of its operators, 0 where it is skipped.

    `value` is called once per different operator.

    Args:
        space: of the subnets.
        value: of an operator.
        body: which operators count.
    """
    listed = operator_tables(space, body)
    values = listed.values(value)
    tables: list[CostTable] = []
    for slot, index in zip(layout_of(space).slots, listed.slots):
        columns = tuple(d.column for d in slot.dimensions if d.column >= 0)
        shape = [len(d.choices) for d in slot.dimensions if d.column >= 0]
        tables.append((columns, values[index].reshape(shape)))
    return tables


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
