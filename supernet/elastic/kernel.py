"""Smaller kernels from larger ones."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.blocks import sides
from supernet.elastic.form import Elastic

__all__ = ["KernelTransform"]


class KernelTransform(Elastic):
    """The centre of each larger kernel, times a learned matrix where there is one.

    The matrices are shared over channels and start as identity (Once-for-All,
    arXiv:1908.09791, section 3.2); they are named as in ``7to5``.

    Args:
        kernels: sizes that can be asked for.
        learned: whether to have matrices; the centre alone otherwise.
        along: as of `supernet.blocks.Part`.
    """

    def __init__(self, kernels: Sequence[int], *, learned: bool, along: str = "") -> None:
        super().__init__(())
        sizes = sorted(set(kernels), reverse=True)
        steps = []
        for large, small in itertools.pairwise(sizes):
            name = f"{large}to{small}"
            window, margins = sides(small, along), sides((large - small) // 2, along, 0)
            matrix = nn.Parameter(torch.eye(window[0] * window[1])) if learned else None
            self.register_parameter(name, matrix)
            # by name: whoever replaces the parameters of a module replaces what is used here
            steps.append((*window, *margins, name if learned else None))
        self._steps_to = {size: tuple(steps[:count]) for count, size in enumerate(sizes)}

    def activate(self, kernel: int) -> None:
        """Make kernels of this size."""
        self.form[:] = [self._steps_to[kernel]]

    def forward(self, weight: Tensor) -> Tensor:
        """``(O, I, K, K')`` of the largest size to the active one."""
        for rows, columns, top, left, name in self.form[0]:
            weight = weight[:, :, top : top + rows, left : left + columns]
            if name is not None:
                weight = F.linear(weight.flatten(2), getattr(self, name))  # (O, I, rows * columns)
                weight = weight.view(*weight.shape[:2], rows, columns)
        return weight
