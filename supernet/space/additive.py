"""Sums over operators for whole populations, without building any network.

MACs, parameters and latency are sums of one value per operator. For each slot of a
space all its operators are listed once; a subnet then costs one table look-up per
slot. The look-up indices of a population are one small matrix product.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.space.genes import count_subnets, largest, smallest
from supernet.space.layout import Genes, layout_of
from supernet.space.operators import Operator
from supernet.space.spec import Space

__all__ = ["OperatorSum", "SpaceRanges", "macs_of", "operators_of", "params_of", "space_ranges"]

_CHUNK = 16384  # rows at a time: indices and values stay in the second-level cache


def operators_of(space: Space) -> list[Operator]:
    """Every different operator that some subnet of `space` has, in network order."""
    found = dict.fromkeys(
        operator for slot in layout_of(space).slots for operator in slot.operators()
    )
    return [operator for operator in found if operator is not None]


class OperatorSum:
    """Sum of ``value(operator)`` over the operators of each subnet of a population."""

    def __init__(self, space: Space, value: Callable[[Operator], float]) -> None:
        """List the values of all slots; `value` is called once per different operator."""
        layout = layout_of(space)
        values: dict[Operator | None, float] = {None: 0.0}
        tables = []
        self._strides = np.zeros((len(layout.genes), len(layout.slots)), dtype=np.float32)
        for column, slot in enumerate(layout.slots):
            table = []
            for operator in slot.operators():
                if operator not in values:
                    assert operator is not None
                    values[operator] = value(operator)
                table.append(values[operator])
            tables.append(np.array(table))
            stride = 1
            for dimension in reversed(slot.dimensions):
                if dimension.column >= 0:
                    self._strides[dimension.column, column] += stride
                stride *= len(dimension.choices)
        sizes = np.array([len(table) for table in tables])
        # float32 holds whole numbers up to 2**24 exactly, so the product below is exact
        assert sizes.sum() < 2**24
        self._offsets = (np.cumsum(sizes) - sizes).astype(np.float32)
        self._values = np.concatenate(tables)

    def __call__(self, genes: Genes) -> npt.NDArray[np.float64]:
        """The sums of a canonical population ``(N, G)``, shape ``(N,)``."""
        sums = np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            rows = genes[start : start + _CHUNK].astype(np.float32)
            index = (rows @ self._strides + self._offsets).astype(np.int32)
            self._values.take(index).sum(axis=1, out=sums[start : start + _CHUNK])
        return sums


def macs_of(space: Space, genes: Genes) -> npt.NDArray[np.int64]:
    """Multiply-adds of each subnet for one image, shape ``(N,)``."""
    return OperatorSum(space, lambda operator: operator.macs)(genes).astype(np.int64)


def params_of(space: Space, genes: Genes) -> npt.NDArray[np.int64]:
    """Learned values of each subnet, shape ``(N,)``."""
    return OperatorSum(space, lambda operator: operator.params)(genes).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRanges:
    """How many subnets a space has, and from where to where they reach."""

    subnets: int
    macs: tuple[int, int]
    """Smallest and largest subnet."""
    params: tuple[int, int]
    """Smallest and largest subnet."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def space_ranges(space: Space) -> SpaceRanges:
    """Size of a space."""
    ends = np.concatenate([smallest(space), largest(space)])
    macs, params = macs_of(space, ends).tolist(), params_of(space, ends).tolist()
    return SpaceRanges(
        subnets=count_subnets(space), macs=(macs[0], macs[1]), params=(params[0], params[1])
    )
