"""Operators as plain values, as a kit carries them."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Spec"]


class Spec(NamedTuple):
    """An operator by the fields of `supernet.space.Operator`, in their order.

    Whatever takes one takes an `Operator` too: both have these attributes.
    """

    op: str
    in_channels: int
    mid_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    act: str = "none"
    se: int = 0
    shortcut: str = "none"
    bias: bool = False
    height: int = 1
    width: int = 1
    padding: str = "symmetric"
    start: int = 0
    gate: str = "hard_sigmoid"
    heads: int = 0
    reduction: int = 1

    @classmethod
    def of(cls, operator: Any) -> Spec:
        """The plain values of an `Operator`."""
        return cls(*[getattr(operator, name) for name in cls._fields])

    def row(self) -> list[Any]:
        """Its values as a plan lists them; without the last ones that are as they mostly are."""
        values = list(self)
        while values[_LEAST:] and values[-1] == self._field_defaults[self._fields[len(values) - 1]]:
            del values[-1]
        return values


_LEAST = 13  # listed always: as long as rows were at first
