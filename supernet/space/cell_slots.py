"""The slots of a network of cells: what fits the inputs, the operations of nodes, what joins them.

All cells of a kind read the same genes, so a cost is a sum over few tables. Which states are
concatenated, and so how many channels the next cells read, hangs on the inputs of all nodes: an
exact table over these, in which few operators stand (`Slot.alike`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from supernet.space.cells import (
    INPUTS,
    OPERATIONS,
    CellKind,
    Cells,
    kept_states,
    pair_of,
    state_names,
)
from supernet.space.dimensions import CellDimensions, Choice, Dimension, Place, Slot
from supernet.space.operator import Operator, Padding

__all__ = ["CellNetwork", "Joined"]

_Size = Callable[[int], int]
"""Rows (and columns) at an input size."""


@dataclass(frozen=True, eq=False, slots=True)
class Joined:
    """What a slot writes that cells (or the head) read."""

    name: str
    """Of the slot."""
    unit: int
    """Channels of each of its states."""
    size: _Size
    states: tuple[int, ...] = (0,)
    """Those that may be in it; a single one where it is no cell."""
    dimensions: tuple[Dimension, ...] = ()
    """On which it depends, which are."""
    kept: Callable[..., tuple[int, ...]] = lambda: (0,)
    """Which are, for a choice of each."""
    classes: npt.NDArray[np.int64] | None = None
    """Numbers of the sets of them, one axis per dimension."""

    @property
    def varies(self) -> bool:
        """Whether subnets have different states in it."""
        return self.classes is not None

    def channels(self, *chosen: Choice) -> int:
        """How many it has."""
        return self.unit * len(self.kept(*chosen))

    def ranges(self, *chosen: Choice) -> tuple[tuple[int, int], ...]:
        """Where its states stand among the channels of all that may be in it."""
        starts = [self.unit * self.states.index(state) for state in self.kept(*chosen)]
        return tuple((start, start + self.unit) for start in starts)

    def alike(self, resolution: Dimension | None = None) -> npt.NDArray[np.int64] | None:
        """`Slot.alike` of what depends on it, and on the resolution if given."""
        if self.classes is None or resolution is None:
            return self.classes
        sizes = np.arange(len(resolution.choices)) * (int(self.classes.max()) + 1)
        return sizes.reshape(-1, *[1] * self.classes.ndim) + self.classes


@dataclass(frozen=True, eq=False, slots=True)
class _Place:
    """One cell of the network."""

    number: int
    kind: CellKind
    filters: int
    cur: Joined
    prev: Joined
    raw: bool
    """Whether its `prev` is not fitted."""
    size: _Size
    """Of what it reads."""

    @property
    def name(self) -> str:
        return f"cell{self.number}"

    @property
    def stride(self) -> int:
        return 2 if self.kind == "reduction" else 1

    def out_size(self, resolution: int) -> int:
        return (self.size(resolution) - 1) // self.stride + 1


class CellNetwork:
    """Makes the slots between stem and head.

    Args:
        cells: of the space.
        resolution: the dimension of the input size.
        own: the dimensions of both cells.
        padding: of the space.
    """

    def __init__(
        self,
        cells: Cells,
        resolution: Dimension,
        own: dict[CellKind, CellDimensions],
        padding: Padding,
    ) -> None:
        self._cells, self._resolution, self._own = cells, resolution, own
        self._padding: Padding = padding
        self._joining = {kind: _joining(cells, kind, own[kind]) for kind in own}

    def slots(self, stem: Joined) -> tuple[list[Slot], Joined]:
        """The slots of all cells, and what the head reads."""
        outputs, slots = [stem], list[Slot]()
        for place in self._places(outputs):
            slots += self._cell(place)
            outputs.append(self._output(place))
        return slots, outputs[-1]

    def _places(self, outputs: Sequence[Joined]) -> Iterator[_Place]:
        """The cells in order; `outputs` holds what all before have written."""
        cells = self._cells
        filters = cells.filters >> cells.stem_cells
        normal: list[CellKind] = ["normal"] * cells.repeats
        kinds: list[CellKind] = ["reduction"] * cells.stem_cells
        kinds += [*normal, "reduction", *normal, "reduction", *normal]
        for number, kind in enumerate(kinds, start=1):
            if kind == "reduction" and number > 1:
                filters *= 2
            in_stem = number <= cells.stem_cells + 1
            late = cells.early and not in_stem and kinds[number - 2] == "reduction"
            prev = outputs[-3 if late else -2] if number > 1 else outputs[0]
            cur = outputs[-1]
            raw = number == 1 and cells.stem_cells > 0
            if number == cells.stem_cells + 1 and number > 1:
                filters = cells.filters
            yield _Place(number, kind, filters, cur, prev, raw, cur.size)

    def _output(self, place: _Place) -> Joined:
        states, dimensions, kept, classes = self._joining[place.kind]
        return Joined(
            f"{place.name}.out",
            place.filters,
            place.out_size,
            states=states,
            dimensions=dimensions,
            kept=kept,
            classes=classes,
        )

    def _cell(self, place: _Place) -> Iterator[Slot]:
        if not place.raw:
            yield self._fit(place, "prev", place.prev)
        yield self._fit(place, "cur", place.cur)
        operation = cache(self._operation(place))
        for number, node in enumerate(self._own[place.kind].nodes, start=1):
            for side, dimension in enumerate((node.left, node.right)):
                reads = (self._resolution, node.inputs, dimension)
                yield from self._edges(place, number, side, reads, operation)
            yield self._sum(place, number)
        yield self._concat(place)

    def _fit(self, place: _Place, name: str, source: Joined) -> Slot:
        """The 1x1 convolution that an input of a cell passes first."""

        def make(resolution: int, *chosen: Choice) -> Operator:
            size = source.size(resolution)
            halves = size != place.size(resolution)
            return Operator(
                op="reduce" if halves else "fit",
                in_channels=source.channels(*chosen),
                out_channels=place.filters,
                stride=2 if halves else 1,
                act="relu",
                height=size,
                width=size,
            )

        return Slot(
            f"{place.name}.{name}",
            Place("cell", place.number),
            (self._resolution, *source.dimensions),
            make,
            reads=lambda *_: (source.name,),
            picks=(lambda _, *chosen: source.ranges(*chosen)) if source.varies else None,
            alike=source.alike(self._resolution),
        )

    def _operation(self, place: _Place) -> Callable[[int, str, str], Operator | None]:
        """Makes the operator of an operation on a state."""

        def make(resolution: int, state: str, operation: str) -> Operator | None:
            op, kernel = OPERATIONS[operation]
            outer = state in INPUTS
            stride = place.stride if outer else 1
            size = place.size(resolution) if outer else place.out_size(resolution)
            raw = place.raw and state == "prev"
            before = place.prev.channels() if raw else place.filters
            if not op:
                if stride == 1 and before == place.filters:
                    return None
                op = "reduce" if stride == 2 else "fit"
            pools = op in ("avgpool", "maxpool")
            return Operator(
                op=op,
                in_channels=before,
                out_channels=before if pools else place.filters,
                kernel=kernel,
                stride=stride,
                act="none" if pools else "relu",
                height=size,
                width=size,
                padding="symmetric" if 1 in (kernel, stride) else self._padding,
            )

        return make

    def _edges(
        self,
        place: _Place,
        number: int,
        side: int,
        dimensions: tuple[Dimension, ...],
        operation: Callable[[int, str, str], Operator | None],
    ) -> Iterator[Slot]:
        """What a node does with one of its states; pooling a state of another width, two steps."""
        where, name = Place("cell", place.number, number), ("left", "right")[side]
        slot = f"{place.name}.node{number}.{name}"

        def make(resolution: int, inputs: str, chosen: str) -> Operator | None:
            return operation(resolution, pair_of(inputs)[side], chosen)

        def reads(resolution: int, inputs: str, chosen: str) -> tuple[str, ...]:  # noqa: ARG001  # all have these
            return (_state_name(place, pair_of(inputs)[side]),)

        def weights(resolution: int, inputs: str, chosen: str) -> str:  # noqa: ARG001  # all have these
            first, second = pair_of(inputs)
            again = "_again" * (side == 1 and first == second)
            return f"{(first, second)[side]}_{chosen}{again}"

        group = f"{place.name}.node{number}.of"
        yield Slot(slot, where, dimensions, make, reads=reads, weights=(group, weights))
        if not place.raw:
            return

        def fit(resolution: int, inputs: str, chosen: str) -> Operator | None:
            before = make(resolution, inputs, chosen)
            if before is None or before.out_channels == place.filters:
                return None
            return Operator(
                op="fit",
                in_channels=before.out_channels,
                out_channels=place.filters,
                act="relu",
                height=before.out_height,
                width=before.out_width,
            )

        yield Slot(
            f"{slot}.fit",
            where,
            dimensions,
            fit,
            reads=lambda *_: (slot,),
            weights=(f"{group}.fit", weights),
        )

    def _sum(self, place: _Place, number: int) -> Slot:
        name = f"{place.name}.node{number}"

        def make(resolution: int) -> Operator:
            return _joint("add", place, resolution, 1)

        ends = tuple(f"{name}.{side}{'.fit' * place.raw}" for side in ("left", "right"))
        where = Place("cell", place.number, number)
        return Slot(name, where, (self._resolution,), make, reads=lambda *_: ends)

    def _concat(self, place: _Place) -> Slot:
        own = self._output(place)
        names = state_names(self._cells.nodes)

        def make(resolution: int, *chosen: Choice) -> Operator | None:
            count = len(own.kept(*chosen))
            return _joint("concat", place, resolution, count) if count > 1 else None

        return Slot(
            own.name,
            Place("cell", place.number),
            (self._resolution, *own.dimensions),
            make,
            reads=lambda _, *chosen: tuple(
                _state_name(place, names[state]) for state in own.kept(*chosen)
            ),
            alike=own.alike(self._resolution),
        )


def _joint(op: str, place: _Place, resolution: int, count: int) -> Operator:
    """What joins states of a cell."""
    size, filters = place.out_size(resolution), place.filters
    return Operator(
        op=op, in_channels=filters, out_channels=filters * count, height=size, width=size
    )


def _state_name(place: _Place, state: str) -> str:
    """The slot whose output a state of a cell is."""
    if state == "prev" and place.raw:
        return place.prev.name
    return f"{place.name}.{state}"


_Joining = tuple[
    tuple[int, ...],
    tuple[Dimension, ...],
    Callable[..., tuple[int, ...]],
    npt.NDArray[np.int64] | None,
]


def _joining(cells: Cells, kind: CellKind, own: CellDimensions) -> _Joining:
    """Which states of a cell may be in its output, and which are, by the inputs of its nodes."""
    joined, names = cells.cell(kind).joined, state_names(cells.nodes)
    if set(names[2:]) <= set(joined):
        states = tuple(n for n, name in enumerate(names) if name in joined)
        return states, (), lambda: states, None
    dimensions = tuple(node.inputs for node in own.nodes)

    @cache
    def kept(*inputs: str) -> tuple[int, ...]:
        return kept_states(joined, inputs)

    read = np.zeros([1] * len(dimensions), dtype=np.int64)  # a bit for each state
    for axis, dimension in enumerate(dimensions):
        bits = [
            sum({1 << names.index(state) for state in pair_of(str(pair))})
            for pair in dimension.choices
        ]
        read = read | np.array(bits).reshape([-1 if a == axis else 1 for a in range(read.ndim)])
    always = sum(1 << names.index(state) for state in joined)
    never = int(np.bitwise_and.reduce(read, axis=None)) | 3  # an input is no loose end
    states = tuple(n for n in range(len(names)) if always >> n & 1 or not never >> n & 1)
    _, classes = np.unique(read | always, return_inverse=True)
    return states, dimensions, kept, classes.reshape(read.shape)
