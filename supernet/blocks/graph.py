"""The operators of a network that is a graph."""

from __future__ import annotations

from typing import Any, Iterable, Sequence

__all__ = ["Wired", "reads_of"]


class Wired(list):  # type: ignore[type-arg]  # Python 3.8 has no list[Any] to inherit from
    """Operators in order, of which each need not read the output of the one before.

    Args:
        operators: `supernet.space.Operator` or whatever has its fields.
        reads: what each reads: 0 is the image, k the output of operator k, from 1.
    """

    def __init__(self, operators: Iterable[Any], reads: Iterable[Sequence[int]]) -> None:
        super().__init__(operators)
        self.reads = tuple(tuple(own) for own in reads)


def reads_of(operators: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """What each operator reads; in a plain sequence the output of the one before."""
    if isinstance(operators, Wired):
        return operators.reads
    return tuple((number,) for number in range(len(operators)))
