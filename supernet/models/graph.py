"""In which order the layers of a network run, and what they read."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

__all__ = ["Reads", "Steps", "run", "steps_of"]

Reads: TypeAlias = Sequence[Sequence[int]]
"""As of `supernet.blocks.Wired`: 0 is the image, k the output of layer k."""

Steps: TypeAlias = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
"""What each layer reads, and which outputs nobody reads after it."""


def steps_of(reads: Reads) -> Steps:
    """The steps of a graph; none of a chain, where each reads the output of the one before."""
    last = {read: number for number, own in enumerate(reads) for read in own}
    return tuple(
        (tuple(own), tuple(read for read in dict.fromkeys(own) if last[read] == number))
        for number, own in enumerate(reads)
    )


def run(layers: Sequence[Callable[..., Any]], steps: Steps, x: Tensor) -> Tensor:
    """The output of the last layer; outputs that nobody reads any more are let go.

    Args:
        layers: in order.
        steps: of them, and of others that may follow.
        x: the image.
    """
    if not steps:
        for layer in layers:
            x = layer(x)
        return x
    outputs: dict[int, Tensor] = {0: x}
    for number, (layer, (reads, over)) in enumerate(zip(layers, steps), start=1):
        x = layer(*(outputs[read] for read in reads))
        for read in over:
            del outputs[read]
        outputs[number] = x
    return x
