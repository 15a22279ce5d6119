"""Which channels of the widest form a narrower one has, where they are not the first ones.

Channels may stand in segments (`supernet.blocks.Part.segments`): those of each head of an
attention, those of each part of a concatenation. A narrower form has the first of each.
"""

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["Spans", "picked", "spans_of", "widest"]

Spans: TypeAlias = tuple[tuple[int, int], ...] | None
"""Start and end of runs of channels; None where they are the first ones."""


def widest(segments: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The segments that hold those of all forms, each as wide as the widest."""
    return tuple(max(sizes) for sizes in itertools.zip_longest(*segments, fillvalue=0))


def spans_of(active: Sequence[int], whole: Sequence[int]) -> Spans:
    """Where the channels of a form stand among those of the widest.

    Args:
        active: widths of the form's segments.
        whole: those of `widest`.
    """
    found: list[tuple[int, int]] = []
    for start, size in zip(itertools.accumulate(whole, initial=0), active):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], start + size
        else:
            found.append((start, start + size))
    return None if len(found) == 1 and found[0][0] == 0 else tuple(found)


def picked(values: Tensor, count: int, spans: Spans, axis: int = 0) -> Tensor:
    """The first `count` of an axis, or those of `spans`."""
    if spans is None:
        return values.narrow(axis, 0, count)
    return torch.cat([values.narrow(axis, start, end - start) for start, end in spans], axis)
