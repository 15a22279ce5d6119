"""Gradients for weights that a subnet does not use, so that processes can add theirs up.

`DistributedDataParallel` waits for every weight, and a subnet uses some only. Its own
answer, ``find_unused_parameters``, walks the graph in every forward pass and cannot follow
gradients that several backward passes add up. Here the walk is made once a step, and
backward then passes by the unused weights without computing anything.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["attach_unused_parameters"]


@contextmanager
def attach_unused_parameters(loss: Tensor, parameters: Iterable[nn.Parameter]) -> Iterator[Tensor]:
    """`loss`, with a graph that leads to all `parameters`; use it for backward within.

    Weights that have no gradient afterwards, in any process, have none then too, not zeros
    (which would decay them).
    """
    used = _leaves(loss)
    unused = [p for p in parameters if id(p) not in used]
    without = [p for p in unused if p.grad is None]
    attached: Tensor = _Attach.apply(loss, *unused)
    yield attached
    for parameter in without:
        parameter.grad = None


class _Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, *unused: Tensor) -> Tensor:
        ctx.unused = len(unused)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return gradient, *[None] * ctx.unused


def _leaves(loss: Tensor) -> set[int]:
    """Identities of the weights that the graph of `loss` leads to."""
    found: set[int] = set()
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):  # where a gradient is added to a weight
            found.add(id(node.variable))
        waiting += [following for following, _ in node.next_functions]
    return found
