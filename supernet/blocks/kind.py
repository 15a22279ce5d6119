"""What a kind of block is: its parts, and what may be chosen of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.blocks.part import Part

__all__ = ["Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of block: parts that read each other, and a shortcut around them.

    Networks, weights that subnets share, the order of channels, costs, the work that takes
    time, ONNX graphs and reports are made from this description alone. Mostly each part reads
    the one before it; one that says its `inputs` reads those. The last one is the output.
    A depthwise or grouped convolution hands its channels on under their own numbers, and so
    do a batch norm and a scale.
    """

    name: str
    """As YAML and operators say it."""
    parts: Callable[[Any], Sequence[Part]]
    """Its parts for an operator, in the order in which they run and without sizes; those that
    the operator leaves out have the kernel 0. Called for every cost and every network."""
    middle: str = ""
    """What the middle channels are: ``in`` or ``out``, the expand ratio times the channels
    read or written; ``as_read``, those read; ``heads``, those of a query, of which each head has
    as many as a key; nothing where there are none."""
    starts: bool = False
    """Whether it has a choice of `start`, a kernel before the expansion, and both may be 0."""
    grouped: bool = False
    """Whether a convolution may have groups of a given width."""
    gates: str = "middle"
    """Where it may have squeeze-excite: ``middle``, before the last convolution, or after the only
    one; ``output``, after the last; nothing where it has none."""
    in_cells: bool = False
    """Whether it stands in cells, not in stages."""
    ends_in_act: bool = False
    """Whether the activation comes once more, after the shortcut."""
    unexpanded: str = ""
    """The kind that it is at an expand ratio of 1; itself when not given."""

    @property
    def expands(self) -> bool:
        """Whether an expand ratio has an effect."""
        return self.middle in ("in", "out")

    @property
    def attends(self) -> bool:
        """Whether it has heads, the size of their keys and a reduction of the pixels of these."""
        return self.middle == "heads"

    def gated_channels(self, middle: int, out: int) -> int:
        """How many channels squeeze-excite gates, of blocks with so many between and at the end."""
        return middle or out if self.gates == "middle" else out

    def has(self, choice: str) -> bool:
        """Whether a choice that each block has by itself has an effect on it.

        Args:
            choice: ``kernel``, ``expand``, ``start``, ``heads`` or ``key_size``.
        """
        own = {"expand": self.expands, "start": self.starts}
        return own.get(choice, choice == "kernel" or self.attends)
