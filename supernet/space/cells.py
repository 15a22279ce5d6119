"""What may be chosen of a cell: a graph of nodes that a whole network repeats.

A *state* is what a node can read: ``prev`` and ``cur``, the outputs of the last cell but one and
of the last one, and the nodes before it, ``node1``, ``node2``, ... A node adds up what two
operations make of two states. What no node reads (a loose end) is concatenated to the output.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeAlias

from supernet.errors import ConfigError

__all__ = [
    "CELL_KINDS",
    "INPUTS",
    "LIGHT_OPERATIONS",
    "OPERATIONS",
    "Cell",
    "CellChoice",
    "CellKind",
    "Cells",
    "Node",
    "NodeChoice",
    "kept_states",
    "pair_choices",
    "pair_of",
    "state_names",
]

CellKind: TypeAlias = Literal["normal", "reduction"]
CELL_KINDS: tuple[CellKind, ...] = ("normal", "reduction")
INPUTS = ("prev", "cur")

OPERATIONS: dict[str, tuple[str, int]] = {
    "identity": ("", 1),
    "avg3": ("avgpool", 3),
    "max3": ("maxpool", 3),
    "conv1": ("fit", 1),
    "dil3": ("dilated", 3),
    "dil5": ("dilated", 5),
    "sep3": ("separable_twice", 3),
    "sep5": ("separable_twice", 5),
    "sep7": ("separable_twice", 7),
    "flat7": ("flat", 7),
}
"""What a node may do with a state: kind of operator and kernel, in the order of their work.
``identity`` is no operator, but ``reduce`` where rows and columns are halved."""

LIGHT_OPERATIONS = tuple(name for name in OPERATIONS if name != "flat7")
"""All but the one whose convolutions mix all channels at each step of a window."""

_MOST_NODES = 8
_MOST_INPUTS = 1_000_000
"""Combinations of the inputs of all nodes: tables of channels have a place for each."""


def state_names(nodes: int) -> tuple[str, ...]:
    """The states of a cell of so many nodes."""
    return (*INPUTS, *(f"node{n}" for n in range(1, nodes + 1)))


@lru_cache(maxsize=64)
def pair_choices(node: int, *, twice: bool) -> tuple[str, ...]:
    """The pairs of states that a node, counted from 1, may read, such as ``prev+node1``.

    Latest states first, so that the last choice leaves the most loose ends. The first node reads
    both inputs, as in all published cells: so none is made for nothing.

    Args:
        node: its number.
        twice: whether both may be the same.
    """
    names = state_names(node - 1)
    if node == 1:
        return ("+".join(INPUTS),)
    pairs = [(a, b) for b in range(len(names)) for a in range(b + 1) if twice or a < b]
    pairs.sort(key=lambda pair: (pair[1] < 2, pair == (0, 1), -pair[1], -pair[0]))
    return tuple(f"{names[a]}+{names[b]}" for a, b in pairs)


@lru_cache(maxsize=1024)
def pair_of(inputs: str) -> tuple[str, str]:
    """The two states of a pair."""
    first, _, second = inputs.partition("+")
    return first, second


def kept_states(joined: Sequence[str], inputs: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the states that are concatenated: loose ends, and those always joined.

    Args:
        joined: states that always are.
        inputs: the pair of each node.
    """
    names = state_names(len(inputs))
    read = {state for pair in inputs for state in pair_of(pair)}
    loose = {name for name in names[2:] if name not in read}
    return tuple(n for n, name in enumerate(names) if name in loose or name in joined)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What may be chosen of one node."""

    inputs: tuple[str, ...] = ()
    """Choices of the two states that it reads, such as ``prev+node1``; all that there are when
    not given."""
    left: tuple[str, ...] = ()
    """Choices of the operation on the first of them; `Cells.operations` when not given."""
    right: tuple[str, ...] = ()
    """Choices of the operation on the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One of the two cells that a network repeats."""

    nodes: tuple[Node, ...] = ()
    """What may be chosen of each node; everything when not given."""
    joined: tuple[str, ...] = ()
    """States that are concatenated though nodes may read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChoice:
    """What was chosen for one node of a cell."""

    inputs: str
    """The two states that it reads, such as ``prev+node1``."""
    left: str
    """Operation on the first."""
    right: str
    """Operation on the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChoice:
    """What was chosen for one of the two cells of a network."""

    kind: CellKind
    nodes: tuple[NodeChoice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A network of cells: three groups of normal ones, a reduction cell between two groups."""

    nodes: int = 5
    """Nodes of each cell."""
    repeats: int
    """Normal cells in each group (N)."""
    filters: int
    """Channels of each state in the first group (F); a reduction cell doubles them."""
    stem_cells: int = 0
    """Reduction cells before the first group, as for large images; of F / 4 and F / 2 channels
    where there are two. The first reads the stem as its `prev` without fitting it."""
    operations: tuple[str, ...] = LIGHT_OPERATIONS
    """Choices of each operation, in the order of `OPERATIONS`; all but ``flat7``, several times
    as much work as any other, when not given."""
    twice: bool = True
    """Whether both inputs of a node may be the same state."""
    early: bool = False
    """Whether the cell after a reduction cell has its `prev`, not the cell before it, as in
    NASNet-A large."""
    normal: Cell = field(default_factory=Cell)
    """The cell that keeps rows and columns."""
    reduction: Cell = field(default_factory=Cell)
    """The cell that halves them: what reads `prev` or `cur` has stride 2."""

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.nodes <= _MOST_NODES:
            found = f"found {self.nodes}" + ": it has no output" * (self.nodes == 0)
            problems.append(f"nodes: a cell has 1 to {_MOST_NODES}, {found}")
        if not 1 <= self.repeats <= 16:
            problems.append(f"repeats: must be from 1 to 16, found {self.repeats}")
        if not 0 <= self.stem_cells <= 3:
            problems.append(f"stem_cells: must be from 0 to 3, found {self.stem_cells}")
        elif self.filters % 2**self.stem_cells or not 2 <= self.filters <= 4096:
            problems.append(
                f"filters: must be from 2 to 4096 and a multiple of {2**self.stem_cells}, "
                f"found {self.filters}"
            )
        problems += _operation_problems("operations", self.operations or ("",))
        if not problems:
            for kind in CELL_KINDS:
                problems += _cell_problems(self, kind) or _size_problems(self, kind)
        if problems:
            raise ConfigError(problems)

    @property
    def second_group_ends(self) -> int:
        """Number, from 1, of the last normal cell of the second group."""
        return self.stem_cells + 2 * self.repeats + 1

    def cell(self, kind: CellKind) -> Cell:
        """The cell of a kind."""
        return self.normal if kind == "normal" else self.reduction

    def node(self, kind: CellKind, number: int) -> Node:
        """The choices of a node, counted from 1, written out."""
        cell = self.cell(kind)
        own = cell.nodes[number - 1] if cell.nodes else Node()
        return Node(
            inputs=own.inputs or pair_choices(number, twice=self.twice),
            left=own.left or self.operations,
            right=own.right or self.operations,
        )

    def fixed(self, chosen: Sequence[CellChoice]) -> "Cells":
        """The same with these cells as the only ones."""
        own = {
            cell.kind: replace(
                self.cell(cell.kind),
                nodes=tuple(
                    Node(inputs=(node.inputs,), left=(node.left,), right=(node.right,))
                    for node in cell.nodes
                ),
            )
            for cell in chosen
        }
        return replace(self, normal=own["normal"], reduction=own["reduction"])


def _operation_problems(where: str, operations: Sequence[str]) -> list[str]:
    known = tuple(OPERATIONS)
    unknown = [operation for operation in operations if operation not in known]
    if unknown:
        return [f"{where}: must be of {', '.join(known)}; found {unknown[0]!r}"]
    if list(operations) != sorted(set(operations), key=known.index):
        order = ", ".join(known)
        return [f"{where}: without repeats and in the order {order}; found {list(operations)}"]
    return []


def _cell_problems(cells: Cells, kind: CellKind) -> list[str]:
    cell, count = cells.cell(kind), cells.nodes
    problems = []
    if cell.nodes and len(cell.nodes) != count:
        problems.append(f"{kind}.nodes: {len(cell.nodes)} are given, a cell has {count}")
    names = state_names(count)
    may_join = names if kind == "normal" else names[2:]
    for name in cell.joined:
        if name not in may_join:
            problems.append(f"{kind}.joined: {name!r} is none of {', '.join(may_join)}")
    for number, node in enumerate(cell.nodes, start=1):
        where = f"{kind}.nodes[{number - 1}]"
        problems += _operation_problems(f"{where}.left", node.left)
        problems += _operation_problems(f"{where}.right", node.right)
        problems += _pair_problems(cells, f"{where}.inputs", number, node.inputs)
    return problems


def _size_problems(cells: Cells, kind: CellKind) -> list[str]:
    """That the channels of a cell hang on too many combinations of inputs."""
    own = state_names(cells.nodes)[2:]
    if set(own) <= set(cells.cell(kind).joined):  # its channels hang on none
        return []
    numbers = range(1, cells.nodes + 1)
    count = math.prod(len(cells.node(kind, number).inputs) for number in numbers)
    if count <= _MOST_INPUTS:
        return []
    return [
        f"{kind}: the inputs of its {cells.nodes} nodes have {count:,} combinations, at most "
        f"{_MOST_INPUTS:,} are possible: give fewer nodes, fewer inputs in {kind}.nodes, or join "
        f"all nodes ({kind}.joined: [{', '.join(own)}])"
    ]


def _pair_problems(cells: Cells, where: str, node: int, inputs: Sequence[str]) -> list[str]:
    """What a node cannot read: itself, later nodes, what is not there."""
    allowed, count = pair_choices(node, twice=cells.twice), cells.nodes
    problems = []
    for pair in inputs:
        if pair not in allowed:
            later = [state for state in pair_of(pair) if state in state_names(count)[node + 1 :]]
            unknown = [state for state in pair_of(pair) if state not in state_names(count)]
            why = f" ({later[0]} is not there before it)" if later else ""
            why = f" (no state is called {unknown[0][:40]!r})" if unknown else why
            shown = ", ".join(itertools.islice(allowed, 8)) + ", ..." * (len(allowed) > 8)
            problems.append(f"{where}: node {node} may read {shown}; found {pair!r}{why}")
    if len(set(inputs)) < len(inputs):
        problems.append(f"{where}: choices must not repeat, found {list(inputs)}")
    elif not problems and list(inputs) != sorted(inputs, key=allowed.index):
        ordered = sorted(inputs, key=allowed.index)
        problems.append(f"{where}: choices must be in the order {', '.join(ordered)}")
    return problems
