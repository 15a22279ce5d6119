"""One choice to make, and one place where an operator may stand."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.space.operator import Operator

__all__ = [
    "PER_BLOCK",
    "CellDimensions",
    "Choice",
    "Dimension",
    "Genes",
    "NodeDimensions",
    "Part",
    "Place",
    "Slot",
    "StageDimensions",
]

Genes: TypeAlias = npt.NDArray[np.int8]
Choice: TypeAlias = float | str
Part: TypeAlias = Literal["input", "stem", "stage", "cell", "normal", "reduction", "head"]

PER_BLOCK = ("kernel", "expand", "start", "heads", "key_size")
"""What each block of a stage chooses by itself, as fields of `Stage` and of `Block`."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One choice to make."""

    name: str
    """Such as ``stage2.block1.kernel``."""
    choices: tuple[Choice, ...]
    """Allowed values, in the order of the space."""
    column: int
    """Its column in a row of genes; -1 when there is nothing to choose."""
    place: "Place"
    """Where in the network it is chosen."""
    kind: str
    """What is chosen: ``resolution``, ``kernel``, ``depth``, ..."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a network, and the stage and block in it."""

    part: Part
    stage: int = 0
    """Number of the stage or the cell, from 1; 0 outside of them."""
    block: int = 0
    """From 1; 0 where a whole stage, cell, stem or head is meant. In a cell that of a node."""

    @property
    def group(self) -> str:
        """The stage, or the part outside of stages: ``stage2``, ``stem``."""
        return f"{self.part}{self.stage or ''}"

    def __str__(self) -> str:
        inner = "node" if self.part in ("cell", "normal", "reduction") else "block"
        return f"{self.group}.{inner}{self.block}" if self.block else self.group


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the network where an operator may stand."""

    name: str
    """Such as ``stage2.block1``."""
    place: Place
    """The same as a value."""
    dimensions: tuple[Dimension, ...]
    """What its operator depends on; the resolution, where it is one of them, is first."""
    make: Callable[..., Operator | None]
    """The operator for one value per dimension; None where the slot is skipped."""
    reads: Callable[..., tuple[str, ...]] | None = None
    """Names of the slots whose outputs it reads; that of the slot before when not given. One that
    is skipped hands on what it reads."""
    picks: Callable[..., tuple[tuple[int, int], ...]] | None = None
    """Of all channels that it may read, the ranges that it reads; the first ones when not given."""
    weights: tuple[str, Callable[..., str]] | None = None
    """A group of slots that share modules, and the name of the module in it; those of the
    slot alone, by kind of operator, when not given."""
    alike: npt.NDArray[np.int64] | None = field(default=None, compare=False)
    """Numbers from 0, equal where combinations have the same operator and read the same; one axis
    per dimension. Given where there are many combinations and few operators."""

    def combinations(self, resolution: float | None = None) -> Iterator[tuple[Choice, ...]]:
        """Values of all dimensions, the last one fastest; at one size if given.

        Of those that are `alike` one.
        """
        choices = [dimension.choices for dimension in self.dimensions]
        if self.alike is not None:
            _, first = np.unique(self.alike, return_index=True)
            for index in zip(
                *(axis.tolist() for axis in np.unravel_index(first, self.alike.shape))
            ):
                values = tuple(own[i] for own, i in zip(choices, index))
                if resolution is None or self.dimensions[0].kind != "resolution":
                    yield values
                elif index[0] == 0:
                    yield resolution, *values[1:]
            return
        if resolution is not None and choices and self.dimensions[0].kind == "resolution":
            choices[0] = (resolution,)
        yield from itertools.product(*choices)

    def operators(self, resolution: float | None = None) -> Iterator[Operator | None]:
        """The operators of all `combinations`."""
        for values in self.combinations(resolution):
            yield self.make(*values)


@dataclass(frozen=True, slots=True)
class StageDimensions:
    """The choices of one stage."""

    block: Dimension
    width: Dimension
    depth: Dimension
    se: Dimension
    shortcut: Dimension
    kernel: tuple[Dimension, ...]
    """Per block; one and the same where the stage shares it."""
    expand: tuple[Dimension, ...]
    """Per block; one and the same where the stage shares it."""
    start: tuple[Dimension, ...]
    """Per block; one and the same where the stage shares it."""
    heads: tuple[Dimension, ...]
    """Per block; one and the same where the stage shares it."""
    key_size: tuple[Dimension, ...]
    """Per block; one and the same where the stage shares it."""

    def of_blocks(self) -> Iterator[tuple[str, tuple[Dimension, ...]]]:
        """Each of `PER_BLOCK` with its dimensions."""
        for name in PER_BLOCK:
            yield name, getattr(self, name)

    @property
    def shared(self) -> bool:
        """Whether all blocks have one kernel, one start, one expand ratio, and so on."""
        return len(self.kernel) > 1 and self.kernel[0] is self.kernel[1]


@dataclass(frozen=True, slots=True)
class NodeDimensions:
    """The choices of one node of a cell."""

    inputs: Dimension
    left: Dimension
    right: Dimension


@dataclass(frozen=True, slots=True)
class CellDimensions:
    """The choices of one of the two cells."""

    nodes: tuple[NodeDimensions, ...]

    @property
    def all(self) -> tuple[Dimension, ...]:
        """In order."""
        return tuple(d for node in self.nodes for d in (node.inputs, node.left, node.right))
