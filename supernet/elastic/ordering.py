"""What a channel is worth to the layers that read it, and the order that follows."""

import itertools
from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

__all__ = ["Importance", "importance", "ranked"]

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


def ranked(worth: Tensor, widths: Sequence[int]) -> Tensor:
    """Channels by falling importance within the bands that `widths` cut, shape ``(C,)``.

    The first ``widths[-1]`` channels stay among themselves, and so do those up to the
    next larger width: what subnets of these widths compute does not change.
    """
    cuts = sorted({0, len(worth), *(w for w in widths if w < len(worth))})
    bands = [
        start + worth[start:end].argsort(descending=True) for start, end in itertools.pairwise(cuts)
    ]
    return torch.cat(bands)
