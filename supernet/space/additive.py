"""Sums over operators for whole populations, without building any network.

MACs, parameters and latency are sums of one value per operator. For each slot of a
space all its operators are listed once; a subnet then costs one table look-up per
slot. The look-up indices of a population are one small matrix product.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.space.features import WHOLE, Body, body_slots
from supernet.space.layout import Dimension, Genes, Layout, Slot, layout_of
from supernet.space.operator import Operator
from supernet.space.spec import Space

__all__ = [
    "OperatorMax",
    "OperatorSum",
    "OperatorTables",
    "joined_places",
    "macs_of",
    "operator_indices",
    "operator_tables",
    "operators_of",
    "params_of",
]

_CHUNK = 16384  # rows at a time: indices and values stay in the second-level cache
_LARGEST = 8192  # values of tables that were joined: all of a space stay in that cache, too


@dataclass(frozen=True, eq=False, slots=True)
class OperatorTables:
    """Which operator stands in each slot of a space, for every combination of choices."""

    operators: tuple[Operator, ...]
    """The different ones, in network order."""
    slots: tuple[npt.NDArray[np.int32], ...]
    """Of the slots that count, from the first on: the index of its operator, one axis per
    dimension of the slot; -1 where the slot is skipped."""

    def values(self, value: Callable[[Operator], float]) -> npt.NDArray[np.float64]:
        """``value(operator)`` of each operator, and 0 as the last: -1 finds it."""
        return np.array([*map(value, self.operators), 0.0], dtype=np.float64)


def operator_tables(space: Space, body: Body = WHOLE) -> OperatorTables:
    """The operators of `space` that count, listed once; calling it again is cheap.

    Raises:
        ConfigError: a stride that the space does not have.
    """
    return _part_of(space, body) if body.features else _whole(space)


@lru_cache(maxsize=32)
def _part_of(space: Space, body: Body) -> OperatorTables:
    """What a backbone runs, at the size of its images.

    All operators of a slot read images of one size at each input size of the space.
    """
    whole, size = _whole(space), body.size
    known: dict[Operator, int] = {}
    tables = []
    for table in whole.slots[: body_slots(space, body.features)]:
        places, inverse = np.unique(table, return_inverse=True)
        found = [whole.operators[place] for place in places.tolist() if place >= 0]
        if size is not None and found:
            found = [replace(operator, height=size[0], width=size[1]) for operator in found]
            size = (found[0].out_height, found[0].out_width)
        own = [known.setdefault(operator, len(known)) for operator in found]
        if len(own) < len(places):
            own.insert(0, -1)
        tables.append(np.array(own, dtype=np.int32)[inverse].reshape(table.shape))
    return OperatorTables(tuple(known), tuple(tables))


@lru_cache(maxsize=32)
def _whole(space: Space) -> OperatorTables:
    layout = layout_of(space)
    known: dict[Operator, int] = {}
    tables = tuple(_table(layout, slot, known) for slot in layout.slots)
    return OperatorTables(tuple(known), tables)


def _table(layout: Layout, slot: Slot, known: dict[Operator, int]) -> npt.NDArray[np.int32]:
    """The table of one slot; operators that are new are added to `known`."""
    if slot.alike is not None:
        found = [
            -1 if operator is None else known.setdefault(operator, len(known))
            for operator in slot.operators()
        ]
        _, inverse = np.unique(slot.alike, return_inverse=True)
        return np.array(found, dtype=np.int32)[inverse].reshape(slot.alike.shape)
    if layout.cells:
        every = (slot.make(*values) for values in slot.combinations())
        found = [-1 if o is None else known.setdefault(o, len(known)) for o in every]
        return np.array(found, dtype=np.int32).reshape([len(d.choices) for d in slot.dimensions])
    choices = [dimension.choices for dimension in slot.dimensions]
    index, skipped = _combinations(layout, slot)
    flat, inverse = np.unique(
        np.ravel_multi_index(tuple(index), skipped.shape), return_inverse=True
    )
    found = []
    for combination in zip(*(part.tolist() for part in np.unravel_index(flat, skipped.shape))):
        operator = slot.make(*(own[i] for own, i in zip(choices, combination)))
        assert operator is not None
        found.append(known.setdefault(operator, len(known)))
    table = np.array(found, dtype=np.int32)[inverse].reshape(skipped.shape)
    table[skipped] = -1
    return table


def _combinations(
    layout: Layout, slot: Slot
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Indices of choices to make each operator from, and where the slot is skipped.

    Combinations with the same operator get the same indices, since making operators is
    what takes time: a depth says only whether the slot is there, and a gene without
    effect stands at its first choice. Shapes ``(D, combinations)`` and one axis per
    dimension.
    """
    shape = tuple(len(dimension.choices) for dimension in slot.dimensions)
    index = np.indices(shape).reshape(len(shape), -1)
    skipped = np.zeros(shape, dtype=bool)
    for axis, dimension in enumerate(slot.dimensions):
        if dimension.kind == "depth":
            values = [other.choices[0] for other in slot.dimensions]
            for depth, blocks in enumerate(dimension.choices):
                values[axis] = blocks
                np.moveaxis(skipped, axis, 0)[depth] = slot.make(*values) is None
            index[axis] = shape[axis] - 1
    axis_of = {dimension.column: axis for axis, dimension in enumerate(slot.dimensions)}
    for condition in layout.conditions:
        for column, deciding, needed in condition.tolist():
            if column in axis_of and deciding in axis_of:
                index[axis_of[column]] *= index[axis_of[deciding]] >= needed
    return index, skipped


def operators_of(space: Space, body: Body = WHOLE) -> list[Operator]:
    """Every different operator that counts in some subnet of `space`, in network order."""
    return list(operator_tables(space, body).operators)


_Span: TypeAlias = tuple[Dimension, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """A value for each combination of some genes, an axis per gene."""

    dimensions: _Span
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, slot: Slot, values: npt.NDArray[np.float64]) -> "_Table":
        """That of a slot, without the axes of what has one choice."""
        genes = tuple(d for d in slot.dimensions if d.column >= 0)
        return cls(genes, values.reshape([len(d.choices) for d in genes]))

    def joined(self, other: "_Table", join: Callable[..., Any]) -> "_Table":
        """One table of what both read."""
        both = _both(self.dimensions, other.dimensions)
        return _Table(both, join(self._over(both), other._over(both)))

    def _over(self, span: _Span) -> npt.NDArray[np.float64]:
        """The values with the axes of `span`, those that it does not read of one value."""
        order = [self.dimensions.index(d) for d in span if d in self.dimensions]
        sizes = [len(d.choices) if d in self.dimensions else 1 for d in span]
        return self.values.transpose(order).reshape(sizes)


def _both(first: _Span, second: _Span) -> _Span:
    return first + tuple(d for d in second if d not in first)


def _size(span: _Span) -> int:
    return math.prod(len(dimension.choices) for dimension in span)


@lru_cache(maxsize=32)
def joined_places(spans: tuple[_Span, ...], most: int = _LARGEST) -> tuple[tuple[int, ...], ...]:
    """Which tables to join, as their places: always the two that grow least.

    Args:
        spans: what each reads; one that reads nothing that another does not costs nothing.
        most: values that a table may grow to.
    """
    groups = {span: tuple(i for i, s in enumerate(spans) if s == span) for span in spans}
    while True:
        grown = [
            (_size(both) - _size(a) - _size(b), both, a, b)
            for a, b in itertools.combinations(groups, 2)
            for both in (_both(a, b),)
            if _size(both) <= max(_size(a), _size(b), most)
        ]
        if not grown:
            return tuple(groups.values())
        _, both, a, b = min(grown, key=lambda found: found[0])
        places = groups.pop(a) + groups.pop(b)
        groups[both] = groups.get(both, ()) + places


class _OperatorValues:
    """One value per slot of each subnet, reduced to one per subnet.

    Slots that read the same genes are reduced beforehand: all cells of a network do. So are
    slots that read few: what takes time is the number of tables, not their sizes.
    """

    def __init__(
        self, space: Space, value: Callable[[Operator], float], body: Body = WHOLE
    ) -> None:
        """Look the values up; `value` is called once per different operator.

        Args:
            space: of the subnets.
            value: of an operator.
            body: which operators count.
        """
        layout, tables = layout_of(space), operator_tables(space, body)
        values = tables.values(value)
        own = [_Table.of(s, values[t]) for s, t in zip(layout.slots, tables.slots)]
        joined = [
            reduce(lambda a, b: a.joined(b, self._join), (own[place] for place in group))
            for group in joined_places(tuple(table.dimensions for table in own))
        ]
        spans = [table.dimensions for table in joined]
        self._strides, self._offsets = _index_of(len(layout.genes), spans)
        self._values = np.concatenate([table.values.ravel() for table in joined])

    def __call__(self, genes: Genes) -> npt.NDArray[np.float64]:
        """The results of a canonical population ``(N, G)``, shape ``(N,)``."""
        found = np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            rows = genes[start : start + _CHUNK].astype(np.float32)
            index = (rows @ self._strides + self._offsets).astype(np.int32)
            self._reduce(self._values.take(index), found[start : start + _CHUNK])
        return found

    def _reduce(self, values: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
        raise NotImplementedError

    def _join(
        self, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Two tables of values, reduced to one."""
        raise NotImplementedError


class OperatorSum(_OperatorValues):
    """Sum of ``value(operator)`` over the operators of each subnet of a population."""

    def _reduce(self, values: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
        values.sum(axis=1, out=out)

    def _join(
        self, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        return first + second


class OperatorMax(_OperatorValues):
    """Largest ``value(operator)``, at least 0, of each subnet of a population."""

    def _reduce(self, values: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
        values.max(axis=1, out=out)

    def _join(
        self, first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        return np.maximum(first, second)


@lru_cache(maxsize=32)
def _lookup(space: Space) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What makes genes indices into the tables of all slots, one after the other.

    Returns:
        Strides of shape ``(G, slots)`` and offsets of shape ``(slots,)``.
    """
    layout = layout_of(space)
    return _index_of(len(layout.genes), [slot.dimensions for slot in layout.slots])


def _index_of(
    genes: int, spans: Sequence[tuple[Dimension, ...]]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Strides and offsets of tables with an axis per dimension, one after the other."""
    strides = np.zeros((genes, len(spans)), dtype=np.float32)
    sizes = np.ones(len(spans), dtype=np.int64)
    for column, dimensions in enumerate(spans):
        for dimension in reversed(dimensions):
            if dimension.column >= 0:
                strides[dimension.column, column] += sizes[column]
            sizes[column] *= len(dimension.choices)
    # float32 holds whole numbers up to 2**24 exactly, so products with genes are exact
    assert sizes.sum() < 2**24
    return strides, (np.cumsum(sizes) - sizes).astype(np.float32)


def operator_indices(space: Space, genes: Genes, body: Body = WHOLE) -> npt.NDArray[np.int32]:
    """Which operator of `operators_of` stands in each slot, -1 for none; ``(N, slots)``."""
    slots = len(operator_tables(space, body).slots)
    strides, offsets = _lookup(space)
    places = genes.astype(np.float32) @ strides[:, :slots] + offsets[:slots]
    found: npt.NDArray[np.int32] = _flat_tables(space, body).take(places.astype(np.int32))
    return found


@lru_cache(maxsize=32)
def _flat_tables(space: Space, body: Body) -> npt.NDArray[np.int32]:
    return np.concatenate([table.ravel() for table in operator_tables(space, body).slots])


def macs_of(space: Space, genes: Genes, body: Body = WHOLE) -> npt.NDArray[np.int64]:
    """Multiply-adds of each subnet for one image, shape ``(N,)``."""
    return OperatorSum(space, lambda operator: operator.macs, body)(genes).astype(np.int64)


def params_of(space: Space, genes: Genes, body: Body = WHOLE) -> npt.NDArray[np.int64]:
    """Learned values of each subnet, shape ``(N,)``."""
    return OperatorSum(space, lambda operator: operator.params, body)(genes).astype(np.int64)
