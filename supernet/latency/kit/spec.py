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

    @classmethod
    def of(cls, operator: Any) -> Spec:
        """The plain values of an `Operator`."""
        return cls(*[getattr(operator, name) for name in cls._fields])

    def row(self) -> list[Any]:
        """Its values as a plan lists them; without a padding that is symmetric."""
        return list(self[:-1] if self.padding == "symmetric" else self)

    @property
    def pads(self) -> list[int]:
        """As `Operator.pads`."""
        if self.padding == "symmetric":
            return [self.kernel // 2] * 4
        (top, bottom), (left, right) = (
            _same_pads(size, self.kernel, self.stride) for size in (self.height, self.width)
        )
        return [top, left, bottom, right]


def _same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((size - 1) // stride * stride + kernel - size, 0)
    return total // 2, total - total // 2
