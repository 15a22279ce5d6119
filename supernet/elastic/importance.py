"""What a channel is worth to the layers that read it."""

from typing import Literal, Protocol, TypeAlias

from torch import Tensor

__all__ = ["Importance", "importance"]

Importance: TypeAlias = Literal["weights", "variance"]
"""``weights``: the L1 norm of those that read a channel (Once-for-All, section 3.3).
``variance``: what the channel causes of it in what reads it, its own times the squared weights.
The mean that is lost without the channel, recalibration gives back."""


class _Reader(Protocol):
    def reads(self, power: int = 1) -> Tensor: ...


class _Writer(Protocol):
    def varies(self) -> Tensor: ...


def importance(reader: _Reader, writer: _Writer, by: Importance) -> Tensor:
    """Of each channel that one layer writes and the next one reads, shape ``(C,)``."""
    return reader.reads() if by == "weights" else reader.reads(power=2) * writer.varies()
