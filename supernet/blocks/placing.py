"""The parts of a block put together: who reads whom, at which sizes, from where in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from supernet.blocks.part import INPUT, Part

__all__ = ["Step", "held_places", "linked", "placed", "program"]


class Step(NamedTuple):
    """One part, run: a block holds a few tensors at a time, by numbers, of which 0 is its input."""

    name: str
    """Of the part."""
    reads: tuple[int, ...]
    writes: int
    gated: bool
    """Whether squeeze-excite follows, where the block has one."""


def linked(parts: Sequence[Part], there: Collection[str]) -> list[Part]:
    """The parts that are there with the names of what they read, past those that are not.

    Args:
        parts: of a kind, in order.
        there: names of those that are there.
    """
    found: list[Part] = []
    known = {INPUT: INPUT}
    before = INPUT
    for part in parts:
        names = tuple([known[name] for name in part.inputs]) if part.inputs else (before,)
        if part.name in there:
            found.append(part._replace(inputs=names))
            known[part.name] = before = part.name
        else:
            known[part.name] = names[0]
    return found


def placed(parts: Sequence[Part], operator: Any, *, gates: str = "") -> list[Part]:
    """The parts of an operator that it does not leave out, with the sizes of what they read.

    Args:
        parts: of its kind.
        operator: with its sizes.
        gates: where its kind has squeeze-excite, as of `Kind`.
    """
    there = linked(parts, {part.name for part in parts if part.kernel})
    gated = _gated(there, gates)
    sizes: dict[str, tuple[int, int, tuple[int, ...]]] = {
        INPUT: (operator.height, operator.width, (operator.in_channels,))
    }
    found: list[Part] = []
    for index, part in enumerate(there):
        height, width, read = sizes[part.inputs[0]]
        if part.what == "concat":
            read = tuple([width for name in part.inputs for width in sizes[name][2]])
        keys, segments = 0, read
        if part.what == "attention":
            rows, columns, _ = sizes[part.inputs[1]]
            keys, segments = rows * columns, (part.writes // part.heads,) * part.heads
            query = next(n for n, own in enumerate(found) if own.name == part.inputs[0])
            read = (part.reads // part.heads,) * part.heads
            found[query] = found[query]._replace(segments=read)
        elif part.mixes:
            segments = (part.writes,)
        padded = part.kernel > 1 and part.stride > 1
        part = part._replace(  # noqa: PLW2901  # the same, with all that is known now
            height=height,
            width=width,
            padding=operator.padding if padded or operator.padding == "valid" else "symmetric",
            gated=index == gated,
            keys=keys,
            segments=segments,
            read_segments=read,
        )
        sizes[part.name] = part.out_height, part.out_width, segments
        found.append(part)
    return found


def _gated(parts: Sequence[Part], gates: str) -> int:
    """Behind which of them squeeze-excite stands; -1 where it may not."""
    convs = [n for n, part in enumerate(parts) if part.what == "conv"]
    if not convs or not gates:
        return -1
    return convs[-1] if gates == "output" else max(convs[-1] - 1, 0)


def program(parts: Sequence[Part]) -> tuple[Step, ...]:
    """In which order the parts of an operator run, and where each finds what it reads.

    Args:
        parts: as of `supernet.blocks.parts_of`.
    """
    number = {INPUT: 0}
    for part in parts:
        number[part.name] = len(number)
    reads = [[number[name] for name in part.inputs] for part in parts]
    return tuple(
        [Step(part.name, *own, part.gated) for part, own in zip(parts, held_places(reads))]
    )


def held_places(
    reads: Sequence[Sequence[int]],
) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Where each step of a graph finds what it reads, and where it leaves what it writes.

    No more tensors are held than are still to be read.

    Args:
        reads: of each step in order: 0 is the input, k the output of step k, from 1.

    Returns:
        Numbers of places, of which 0 holds the input at first.
    """
    last = {read: n for n, own in enumerate(reads) for read in own}
    held: dict[int, int] = {0: 0}
    free: list[int] = []
    steps = []
    for n, own in enumerate(reads):
        places = tuple([held[read] for read in own])
        free += [held.pop(read) for read in dict.fromkeys(own) if last[read] == n]
        place = min(free, default=len(held))
        if free:
            free.remove(place)
        held[n + 1] = place
        steps.append((places, place))
    return tuple(steps)
