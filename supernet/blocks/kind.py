"""What a kind of block is: its convolutions, and what may be chosen of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.blocks.part import Part

__all__ = ["Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of block: convolutions one after the other, and a shortcut around them.

    Networks, weights that subnets share, the order of channels, costs, the work that takes
    time, ONNX graphs and reports are made from this description alone. Squeeze-excite stands
    before the last convolution, or after the only one. A depthwise or grouped convolution hands
    its channels on under their own numbers; what lies between two others has the middle
    channels.
    """

    name: str
    """As YAML and operators say it."""
    parts: Callable[[Any], Sequence[Part]]
    """Its convolutions for an operator, in order and without sizes; those that the operator
    leaves out have the kernel 0. Called for every cost and every network."""
    middle: str = ""
    """What the middle channels are: ``in`` or ``out``, the expand ratio times the channels
    read or written; ``as_read``, those read; nothing where there are none."""
    starts: bool = False
    """Whether it has a choice of `start`, a kernel before the expansion, and both may be 0."""
    grouped: bool = False
    """Whether a convolution may have groups of a given width."""
    gated: bool = True
    """Whether it may have squeeze-excite."""
    in_cells: bool = False
    """Whether it stands in cells, not in stages."""
    starts_in_act: bool = False
    """Whether the activation comes first, on what is read."""
    ends_in_act: bool = False
    """Whether the activation comes once more, after the shortcut."""
    unexpanded: str = ""
    """The kind that it is at an expand ratio of 1; itself when not given."""

    @property
    def expands(self) -> bool:
        """Whether an expand ratio has an effect."""
        return self.middle in ("in", "out")
