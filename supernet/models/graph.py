"""In which order the layers of a network run, and what they read."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

__all__ = ["Steps", "run"]

Steps: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]
"""As of `supernet.blocks.held_places`; none of a chain, where each layer reads the one before."""


def run(layers: Sequence[Callable[..., Any]], steps: Steps, x: Tensor) -> Tensor:
    """The output of the last layer.

    Args:
        layers: in order.
        steps: of them, and of others that may follow.
        x: the image.
    """
    if not steps:
        for layer in layers:
            x = layer(x)
        return x
    held = {0: x}
    for layer, (reads, place) in zip(layers, steps):
        x = held[place] = layer(*[held[read] for read in reads])
    return x
