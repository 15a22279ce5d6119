"""Numbers that describe a subnet: its sizes, its costs, and what each stage is made of.

Costs of the whole and of each stage say in one number what many choices do together, and
let a model learn from a hundred subnets what single choices would need a thousand for.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from supernet.predict.contract import Values
from supernet.space import Genes, Space
from supernet.space.additive import operator_indices, operators_of
from supernet.space.layout import Dimension, StageDimensions, layout_of
from supernet.space.spec import EXPANDING, Stage

__all__ = ["Standardised", "describe"]

_CHUNK = 16384


@lru_cache(maxsize=8)
def _costs(space: Space) -> tuple[Values, Values]:
    """MACs and parameters of the operators, and 0 for none as the last."""
    operators = operators_of(space)
    macs = np.array([*(float(operator.macs) for operator in operators), 0.0])
    params = np.array([*(float(operator.params) for operator in operators), 0.0])
    return macs, params


def _value(dimension: Dimension, genes: Genes) -> Values:
    """What was chosen; a choice that is no number counts by its place."""
    choices = [
        float(index) if isinstance(choice, str) else float(choice)
        for index, choice in enumerate(dimension.choices)
    ]
    if dimension.column < 0:
        return np.full(len(genes), choices[0])
    return np.array(choices)[genes[:, dimension.column]]


def describe(space: Space, genes: Genes) -> Values:
    """Features of a canonical population ``(N, G)``, shape ``(N, F)``."""
    parts = [
        _describe(space, genes[start : start + _CHUNK])
        for start in range(0, max(len(genes), 1), _CHUNK)
    ]
    return np.concatenate(parts)


def _describe(space: Space, genes: Genes) -> Values:
    layout = layout_of(space)
    index = operator_indices(space, genes)
    macs, params = (cost[index] for cost in _costs(space))
    found = [np.log(macs.sum(1)), np.log(params.sum(1)), np.log(_value(layout.resolution, genes))]
    whole = (layout.stem_width, layout.stem_depth, layout.stem_out, layout.features)
    found += [_value(dimension, genes) for dimension in whole]
    for number, (own, stage) in enumerate(zip(layout.stages, space.stages), start=1):
        slots = [i for i, slot in enumerate(layout.slots) if slot.place.stage == number]
        found += [np.log(macs[:, slots].sum(1)), np.log(params[:, slots].sum(1))]
        found += _stage(own, stage, genes)
    return np.stack(found, axis=1)


def _stage(own: StageDimensions, stage: Stage, genes: Genes) -> list[Values]:
    """Choices of the stage, means over its blocks, and its blocks one by one."""
    depth = _value(own.depth, genes)
    there = np.arange(stage.max_depth) < depth[:, None]
    kernels = np.stack([_value(kernel, genes) for kernel in own.kernel], axis=1)
    expands = np.stack([_value(expand, genes) for expand in own.expand], axis=1)
    if own.block.column >= 0:
        plain = np.array([kind not in EXPANDING for kind in stage.block])
        expands = np.where(plain[genes[:, own.block.column]][:, None], 1.0, expands)
    whole = (own.depth, own.width, own.se, own.block, own.shortcut)
    found = [_value(dimension, genes) for dimension in whole]
    for per_block in (kernels, expands):
        found.append(np.where(there, per_block, 0).sum(1) / depth)
        if not stage.shared:
            found += list(np.where(there, per_block, 0).T)
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
