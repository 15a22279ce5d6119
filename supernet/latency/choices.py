"""What an operator is in terms of the choices of its space, for fits to whole networks.

A block is told apart by its channels, stride, activation and so on, and within these by
its kernel, its middle channels, and both together; each once as it is, once times its
output pixels, and partly times their square. Blocks of a stage that are equal share these
terms, and all operators share the amounts of their work (`supernet.latency.work`): what
two hundred networks cannot tell of four hundred choices, the work of these says nearly.
Sums of such terms over the operators of a network are what a whole-network latency is
fitted to.
"""

from collections.abc import Iterator
from typing import NamedTuple

from supernet.latency.work import work_terms
from supernet.space import Operator

__all__ = ["Term", "choice_terms"]

_PIXELS = 1024.0  # unit of the pixels: coefficients stay of the order of milliseconds


class Term(NamedTuple):
    """One of the amounts that an operator is described by."""

    name: str
    """By which its coefficient is found again, in files too."""
    amount: float
    order: int = 1
    """How special it is: 0 for work that all operators share, 1 for a choice by itself, 2
    for its pixels or two choices together, 3 for both of these or the square of the pixels."""
    optional: bool = False
    """Whether an operator is known without it: work, a single input size, and two choices
    together, where these were not measured, count 0. Such names begin with a plus."""


def choice_terms(operator: Operator) -> Iterator[Term]:
    """Its work, its choices, and these times powers of the pixels."""
    for name, amount in work_terms(operator):
        yield Term(f"+ {name}", amount, order=0, optional=True)
    o = operator
    family = f"{o.op} {o.in_channels}-{o.out_channels}"
    if o.op == "conv":
        yield Term(f"+ {o.height}x{o.width} {family}", 1.0, optional=True)
    family += f" s{o.stride} {o.act}" + " se" * (o.se > 0) + f" {o.shortcut}"
    family += f" g{o.groups}" * (o.groups > 1) + f" h{o.heads} r{o.reduction}" * (o.heads > 0)
    pixels = o.out_height * o.out_width / _PIXELS
    kernel, middle = f"{family} {o.kernels}", f"{family} m{o.mid_channels}"
    for name in (family, kernel, middle):
        yield Term(name, 1.0)
        yield Term(f"{name} *p", pixels, order=2)
        yield Term(f"{name} *p^2", pixels**2, order=3)
    both = f"+ {kernel} m{o.mid_channels}"
    yield Term(both, 1.0, order=2, optional=True)
    yield Term(f"{both} *p", pixels, order=3, optional=True)
