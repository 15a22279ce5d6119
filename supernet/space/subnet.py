"""A subnet: one point of a space, as a value."""

import hashlib
import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.blocks import KINDS, Wired
from supernet.errors import ConfigError
from supernet.space.cells import CellChoice, pair_of
from supernet.space.layout import Choice, Dimension, Layout, Slot, layout_of
from supernet.space.operator import Operator, Shortcut
from supernet.space.spec import Space
from supernet.space.stage import BlockKind

__all__ = [
    "Block",
    "StageChoice",
    "Subnet",
    "operators",
    "slot_operators",
    "slot_reads",
    "stage_operators",
    "subnet_values",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What was chosen for one block."""

    kernel: int
    expand: float
    start: int = 0
    """Kernel of a depthwise convolution before the expansion; 0 where there is none."""
    heads: int = 0
    """Of an attention; 0 where there is none."""
    key_size: int = 0
    """Channels of the keys of an attention; 0 for the width divided by the heads, or for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChoice:
    """What was chosen for one stage; its depth is the number of blocks."""

    width: int
    block: BlockKind
    """Kind of all its blocks."""
    se: float
    """Squeeze-excite, as a share; 0 for none."""
    shortcut: Shortcut
    """Of all its blocks, wherever shapes allow."""
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One point of a space; hashable and comparable. It holds no weights."""

    space: str
    """Name of its space."""
    space_hash: str
    """Content hash of its space."""
    resolution: int
    """Input size in pixels."""
    stem_width: int
    """Output channels of the first convolution."""
    stem_depth: int
    """Residual convolutions that follow it."""
    stem_out: int
    """Output channels of the stem's last convolution; 0 where the space has none."""
    stages: tuple[StageChoice, ...]
    features: int
    """Outputs of the linear layer before the classifier; 0 where the space has none."""
    cells: tuple[CellChoice, ...] = ()
    """The normal and the reduction cell, where the space has cells."""

    @property
    def key(self) -> str:
        """16 hex digits over the space's hash and all choices: what storage knows it by.

        Equal subnets have equal keys, in every process and however a subnet is printed.
        """
        stem = (self.stem_width, self.stem_depth, self.stem_out)
        chosen: list[Any] = [self.resolution, stem, [_plain(s) for s in self.stages], self.features]
        for cell in self.cells:
            chosen.append([[node.inputs, node.left, node.right] for node in cell.nodes])
        text = json.dumps([self.space_hash, chosen], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        stem = "-".join(str(width) for width in (self.stem_width, self.stem_out) if width)
        stem += f"x{self.stem_depth + 1}" * (self.stem_depth > 0)
        features = [f"features {self.features}"] * (self.features > 0)
        stages = [_line(stage) for stage in self.stages] + [_cell_line(c) for c in self.cells]
        return " | ".join([f"{self.resolution}px, stem {stem}", *stages, *features])


def _plain(stage: StageChoice) -> list[Any]:
    """The choices of a stage for `Subnet.key`; ratios, starts, heads where blocks have them."""
    kind = KINDS[stage.block]
    blocks = [
        [
            *(b.kernel, float(b.expand) if kind.expands else 0.0),
            *[b.start] * kind.starts,
            *[b.heads, b.key_size] * kind.attends,
        ]
        for b in stage.blocks
    ]
    return [stage.width, stage.block, float(stage.se), stage.shortcut, blocks]


def _line(stage: StageChoice) -> str:
    """A stage in a few words: what is usual is left out."""
    kind = KINDS[stage.block]
    words: list[str] = [] if stage.block == "mbconv" else [stage.block]
    words += [
        "k"
        + f"{b.start}-" * kind.starts
        + f"{b.kernel}"
        + f"e{b.expand:g}" * kind.expands
        + f"h{b.heads}" * kind.attends
        + f"d{b.key_size}" * (b.key_size > 0)
        for b in stage.blocks
    ]
    words += [f"se{stage.se:g}"] * (stage.se > 0)
    words += [f"shortcut-{stage.shortcut}"] * (stage.shortcut != "identity")
    return f"{stage.width}: {' '.join(words)}"


def _cell_line(cell: CellChoice) -> str:
    nodes = (
        f"{node.left}({first}) + {node.right}({second})"
        for node in cell.nodes
        for first, second in [pair_of(node.inputs)]
    )
    return f"{cell.kind}: {', '.join(nodes)}"


def operators(space: Space, subnet: Subnet) -> list[Operator]:
    """The operators of `subnet`, in network order; `Wired` where they are a graph.

    Raises:
        ConfigError: the subnet is of another space, or holds a value that its
            space does not allow; all problems at once.
    """
    found = [operator for _, operator in stage_operators(space, subnet)]
    if space.cells is None:
        return found
    layout = layout_of(space)
    values = subnet_values(layout, subnet)
    there = {
        slot.name: slot.make(*(values[d.name] for d in slot.dimensions)) is not None
        for slot in layout.slots
    }
    return Wired(found, slot_reads(layout, values, there))


def stage_operators(space: Space, subnet: Subnet) -> list[tuple[str, Operator]]:
    """As `operators`, each with the name of its slot (``stage2.block1``)."""
    return [(slot.name, operator) for slot, operator in slot_operators(space, subnet)]


def slot_operators(space: Space, subnet: Subnet) -> list[tuple[Slot, Operator]]:
    """As `operators`, each with its slot."""
    layout = layout_of(space)
    values = subnet_values(layout, subnet)
    found = []
    for slot in layout.slots:
        operator = slot.make(*(values[dimension.name] for dimension in slot.dimensions))
        if operator is not None:
            found.append((slot, operator))
    return found


def slot_reads(
    layout: Layout, values: Mapping[str, Choice], there: Mapping[str, bool]
) -> tuple[tuple[int, ...], ...]:
    """What each operator reads: 0 is the image, k the output of operator k.

    Args:
        layout: of the space.
        values: by the name of a dimension.
        there: whether a slot is, by its name.
    """
    outputs: dict[str, int] = {}
    last, found = 0, []
    for slot in layout.slots:
        if slot.reads is None:
            own: tuple[int, ...] = (last,)
        else:
            names = slot.reads(*(values[dimension.name] for dimension in slot.dimensions))
            own = tuple(outputs[name] for name in names)
        if there[slot.name]:
            found.append(own)
            last = len(found)
            outputs[slot.name] = last
        else:  # it hands on what it reads
            outputs[slot.name] = last = own[0]
    return tuple(found)


def subnet_values(layout: Layout, subnet: Subnet) -> dict[str, Choice]:
    """Value of every dimension by name; those without effect get the first choice.

    Raises:
        ConfigError: as `operators`.
    """
    _check_space(layout, subnet)
    chosen: list[tuple[Dimension, Choice]] = [
        (layout.resolution, subnet.resolution),
        (layout.stem_width, subnet.stem_width),
        (layout.stem_depth, subnet.stem_depth),
        (layout.stem_out, subnet.stem_out),
        (layout.features, subnet.features),
    ]
    for own, stage in zip(layout.stages, subnet.stages):
        blocks = stage.blocks
        chosen += [(own.width, stage.width), (own.depth, len(blocks)), (own.block, stage.block)]
        chosen += [(own.se, stage.se), (own.shortcut, stage.shortcut)]
        for name, dimensions in own.of_blocks():
            chosen += [(d, getattr(block, name)) for d, block in zip(dimensions, blocks)]
    values = _checked([*chosen, *_cell_choices(layout, subnet)])
    for own in layout.stages:
        for _, dimensions in own.of_blocks():
            for dimension in dimensions:
                values.setdefault(dimension.name, dimension.choices[0])
    return values


def _checked(chosen: Sequence[tuple[Dimension, Choice]]) -> dict[str, Choice]:
    """The values by the names of their dimensions.

    Raises:
        ConfigError: values that these do not allow, all at once.
    """
    values: dict[str, Choice] = {}
    problems: list[str] = []
    for dimension, value in chosen:
        if value not in dimension.choices:
            allowed = ", ".join(
                f"{choice:g}" if isinstance(choice, float) else str(choice)
                for choice in dimension.choices
            )
            problems.append(
                f"{dimension.name}: must be one of {allowed}, found {reprlib.repr(value)}"
            )
        elif values.setdefault(dimension.name, value) != value:
            problems.append(
                f"{dimension.name}: one for all blocks, found {values[dimension.name]} and {value}"
            )
    if problems:
        raise ConfigError(problems)
    return values


def _check_space(layout: Layout, subnet: Subnet) -> None:
    if subnet.space_hash != layout.space_hash:
        raise ConfigError(
            f"the subnet is of space {subnet.space!r} ({subnet.space_hash}), "
            f"not of {layout.space!r} ({layout.space_hash})",
            hint="give the run or the space that the subnet was found in",
        )
    if len(subnet.stages) != len(layout.stages):
        raise ConfigError(
            f"stages: the space has {len(layout.stages)}, the subnet {len(subnet.stages)}"
        )


def _cell_choices(layout: Layout, subnet: Subnet) -> Iterator[tuple[Dimension, Choice]]:
    shapes = [(cell.kind, len(cell.nodes)) for cell in subnet.cells]
    own = [(kind, len(cell.nodes)) for kind, cell in layout.cells.items()]
    if shapes != own:
        raise ConfigError(f"cells: the space has {_counted(own)}, the subnet {_counted(shapes)}")
    for cell, dimensions in zip(subnet.cells, layout.cells.values()):
        for node, dimension in zip(cell.nodes, dimensions.nodes):
            yield dimension.inputs, node.inputs
            yield dimension.left, node.left
            yield dimension.right, node.right


def _counted(cells: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{kind} of {count} nodes" for kind, count in cells) or "none"
