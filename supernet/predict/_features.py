"""Numbers that describe a subnet: its sizes, its costs, and what each stage is made of.

Costs of the whole and of each stage say in one number what many choices do together, and
let a model learn from a hundred subnets what single choices would need a thousand for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from supernet.predict.contract import Values
from supernet.space import Genes, OperatorSum, Space, one_hot
from supernet.space.additive import operator_indices, operators_of
from supernet.space.cells import INPUTS, OPERATIONS, pair_of, state_names
from supernet.space.dimensions import PER_BLOCK
from supernet.space.layout import Dimension, layout_of
from supernet.space.stage import EXPANDING

__all__ = ["Standardised", "describe"]

_CHUNK = 16384
_OF_STAGE = "depth", "width", "se", "block", "shortcut"  # choices of a stage as a whole


def describe(space: Space, genes: Genes) -> Values:
    """Features of a canonical population ``(N, G)``, shape ``(N, F)``."""
    describer = _describer(space)
    parts = [
        describer(genes[start : start + _CHUNK]) for start in range(0, max(len(genes), 1), _CHUNK)
    ]
    return np.concatenate(parts)


@lru_cache(maxsize=8)
def _describer(space: Space) -> "_Describer | _CellDescriber":
    return _Describer(space) if space.cells is None else _CellDescriber(space)


class _CellDescriber:
    """Of cells: costs, how many states are loose, how often each operation is there, all choices.

    Whatever is chosen of a cell stands in all of its places, so choices are few and each has
    a column.
    """

    def __init__(self, space: Space) -> None:
        assert space.cells is not None
        self._space, self._cells = space, space.cells
        self._layout = layout_of(space)
        self._costs = [OperatorSum(space, lambda o: o.macs), OperatorSum(space, lambda o: o.params)]

    def __call__(self, genes: Genes) -> Values:
        """The features of some subnets."""
        columns = [np.log(cost(genes))[:, None] for cost in self._costs]
        for cell in self._layout.cells.values():
            counts = np.zeros((len(genes), len(OPERATIONS)))
            read = np.zeros((len(genes), len(cell.nodes) + len(INPUTS)), dtype=bool)
            for node in cell.nodes:
                for dimension in (node.left, node.right):
                    counts += _looked_up(dimension, genes, _operation_row)
                read |= _looked_up(node.inputs, genes, self._states_read) > 0
            columns += [counts, (~read).sum(axis=1, keepdims=True).astype(float)]
        columns.append(one_hot(self._space, genes).astype(float))
        features: Values = np.concatenate(columns, axis=1)
        return features

    def _states_read(self, inputs: str) -> list[float]:
        names = state_names(self._cells.nodes)
        return [float(name in pair_of(inputs)) for name in names]


def _operation_row(operation: str) -> list[float]:
    return [float(name == operation) for name in OPERATIONS]


def _looked_up(dimension: Dimension, genes: Genes, row: Callable[[str], list[float]]) -> Values:
    """A row of numbers for what each subnet chose in a dimension of words."""
    table = np.array([row(str(choice)) for choice in dimension.choices])
    chosen: Values = table[
        genes[:, dimension.column] if dimension.column >= 0 else [0] * len(genes)
    ]
    return chosen


class _Describer:
    """Looks up all choices of a population at once: a search asks for a few dozen subnets."""

    def __init__(self, space: Space) -> None:
        self._space, layout = space, layout_of(space)
        operators = operators_of(space)  # the last cost is that of none
        self._macs = np.array([*(float(operator.macs) for operator in operators), 0.0])
        self._params = np.array([*(float(operator.params) for operator in operators), 0.0])
        stages = range(1, len(space.stages) + 1)
        of_slot = np.array([slot.place.stage for slot in layout.slots])
        whole = np.ones((len(of_slot), 1))
        self._sums = np.concatenate([whole, of_slot[:, None] == np.array(stages)], axis=1)
        self._stage = np.repeat(np.arange(len(stages)), [s.max_depth for s in space.stages])
        self._block = np.concatenate([np.arange(s.max_depth) for s in space.stages])
        self._means = (self._stage[:, None] == np.arange(len(stages))).astype(float)
        first = (layout.resolution, layout.stem_width, layout.stem_depth, layout.stem_out)
        own = layout.stages
        self._whole = _Choices([*first, layout.features])
        self._depth = _Choices([stage.depth for stage in own])
        self._of_stage = _Choices([getattr(stage, kind) for stage in own for kind in _OF_STAGE])
        self._kernels = _Choices([kernel for stage in own for kernel in stage.kernel])
        self._expands = _Choices([expand for stage in own for expand in stage.expand])
        self._others = [
            _Choices([choice for stage in own for choice in getattr(stage, name)])
            for name in PER_BLOCK[2:]
            if any(len(getattr(stage, name)) > 1 for stage in space.stages)
        ]
        plain = [[float(k not in EXPANDING) for k in s.block] for s in space.stages]
        never = [stage.block.column < 0 for stage in own]
        plain = [[0.0] * len(row) if no else row for row, no in zip(plain, never)]
        self._plain = _Choices([stage.block for stage in own], plain)
        self._order = np.array(self._in_network_order(), dtype=np.int64)

    def __call__(self, genes: Genes) -> Values:
        """The features of some subnets."""
        index = operator_indices(self._space, genes)
        sums = [cost[index] @ self._sums for cost in (self._macs, self._params)]
        costs = [np.log(np.maximum(own, 1)) for own in sums]  # a stage that is left out costs 0
        whole, depth = self._whole(genes), self._depth(genes)
        there = self._block < depth[:, self._stage]
        plain = self._plain(genes)[:, self._stage] > 0
        kernels = np.where(there, self._kernels(genes), 0)
        expands = np.where(there, np.where(plain, 1.0, self._expands(genes)), 0)
        others = [np.where(there, choices(genes), 0) for choices in self._others]
        of_blocks = [kernels, expands, *others]
        means = [blocks @ self._means / np.maximum(depth, 1) for blocks in of_blocks]
        whole[:, 0] = np.log(whole[:, 0])  # the resolution
        found = np.concatenate([*costs, whole, self._of_stage(genes), *means, *of_blocks], axis=1)
        features: Values = found[:, self._order]
        return features

    def _in_network_order(self) -> list[int]:
        """The columns: of the whole, then stage by stage."""
        stages, blocks = len(self._space.stages), len(self._stage)
        kinds = range(2 + len(self._others))  # kernels, expand ratios, starts, ...
        firsts = np.cumsum([0, stages + 1, stages + 1, 5, len(_OF_STAGE) * stages])
        macs, params, whole, choices, mean = firsts.tolist()
        block = mean + len(kinds) * stages
        order = [macs, params, *range(whole, whole + 5)]
        for number, stage in enumerate(self._space.stages):
            order += [macs + 1 + number, params + 1 + number]
            order += [choices + len(_OF_STAGE) * number + i for i in range(len(_OF_STAGE))]
            own = [] if stage.shared else np.flatnonzero(self._stage == number).tolist()
            for kind in kinds:
                order += [mean + kind * stages + number, *(block + kind * blocks + i for i in own)]
        return order


class _Choices:
    """What was chosen in some dimensions; a choice that is no number counts by its place.

    Args:
        dimensions: of a space.
        values: of their choices, in place of the choices themselves.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], values: Sequence[Sequence[float]] | None = None
    ) -> None:
        own = values or [
            [float(i if isinstance(c, str) else c) for i, c in enumerate(dimension.choices)]
            for dimension in dimensions
        ]
        self._values = np.array([value for row in own for value in row])
        self._starts = np.cumsum([0, *map(len, own)])[:-1]
        self._columns = np.array([dimension.column for dimension in dimensions])
        self._fixed = self._columns < 0  # one choice, which is no gene

    def __call__(self, genes: Genes) -> Values:
        """Shape ``(N, D)``."""
        index = genes.take(self._columns, axis=1, mode="wrap").astype(np.int64)
        index[:, self._fixed] = 0
        index += self._starts
        found: Values = self._values.take(index)
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Standardised:
    """Features of mean 0 and variance 1 on the pairs; those that never vary are left out."""

    space: Space
    kept: npt.NDArray[np.int64]
    mean: Values
    scale: Values

    @classmethod
    def of(cls, space: Space, genes: Genes) -> "Standardised":
        """As `genes` are distributed."""
        features = describe(space, genes)
        spread = features.std(0)
        kept = np.flatnonzero(spread > 1e-9)
        return cls(space, kept, features[:, kept].mean(0), spread[kept])

    def __call__(self, genes: Genes) -> Values:
        """Shape ``(N, F)``; far outside the pairs the features stop growing."""
        features = (describe(self.space, genes)[:, self.kept] - self.mean) / self.scale
        clipped: Values = np.clip(features, -8, 8)
        return clipped
