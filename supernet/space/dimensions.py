"""One choice to make, and one place where an operator may stand."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.space.operator import Operator

__all__ = [
    "PER_BLOCK",
    "Choice",
    "Dimension",
    "Genes",
    "Part",
    "Place",
    "Slot",
    "StageDimensions",
]

Genes: TypeAlias = npt.NDArray[np.int8]
Choice: TypeAlias = float | str
Part: TypeAlias = Literal["input", "stem", "stage", "head"]

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
    """From 1; 0 outside of stages."""
    block: int = 0
    """From 1; 0 where a whole stage, stem or head is meant."""

    @property
    def group(self) -> str:
        """The stage, or the part outside of stages: ``stage2``, ``stem``."""
        return f"{self.part}{self.stage or ''}"

    def __str__(self) -> str:
        return f"{self.group}.block{self.block}" if self.block else self.group


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

    def operators(self, resolution: float | None = None) -> Iterator[Operator | None]:
        """The operators for all choices, the last dimension fastest; at one size if given."""
        choices = [dimension.choices for dimension in self.dimensions]
        if resolution is not None and self.dimensions[0].kind == "resolution":
            choices[0] = (resolution,)
        for values in itertools.product(*choices):
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
