"""What an operator is in terms of the choices of its space, for fits to whole networks.

A block is told apart by its channels, stride, activation and so on, and within these by
its kernel, its middle channels, and both together; each once as it is, once times its
output pixels, and partly times their square. Sums of such terms over the operators of a
network are what a whole-network latency is fitted to. Blocks of a stage that are equal
share their terms, so a network of twenty blocks needs some four hundred coefficients.
"""

from collections.abc import Iterator

from supernet.space import Operator

__all__ = ["OPTIONAL", "choice_terms", "order_of"]

OPTIONAL = "+ "
"""Begins the terms of a single input size, and of two choices together: where these were
not measured the terms are 0."""

_PIXELS = 1024.0  # unit of the pixels: coefficients stay of the order of milliseconds


def choice_terms(operator: Operator) -> Iterator[tuple[str, float]]:
    """Name and amount of each term; the amount is 1 or a power of the pixels."""
    o = operator
    family = f"{o.op} {o.in_channels}-{o.out_channels}"
    if o.op == "conv":
        yield f"{OPTIONAL}{o.height}x{o.width} {family}", 1.0
    family += f" s{o.stride} {o.act}" + " se" * (o.se > 0) + f" {o.shortcut}"
    family += f" g{o.groups}" * (o.groups > 1)
    pixels = o.out_height * o.out_width / _PIXELS
    kernel, middle = f"{family} k{o.kernel}", f"{family} m{o.mid_channels}"
    for name in (family, kernel, middle, f"{OPTIONAL}{kernel} m{o.mid_channels}"):
        yield name, 1.0
        yield f"{name} *p", pixels
    for name in (family, kernel, middle):
        yield f"{name} *p^2", pixels**2


def order_of(name: str) -> int:
    """How special a term is, from 0 to 2.

    0 for a choice by itself, 1 for its pixels or for two choices together, 2 for both of
    these, or for the square of the pixels.
    """
    joint = name.startswith(OPTIONAL) and " k" in name
    return joint + 2 * name.endswith("*p^2") + name.endswith("*p")
