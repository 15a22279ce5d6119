"""Zeros around what a convolution reads, as TensorFlow puts them (`same_pads`).

torch's convolutions pad all sides alike. So they pad with what all sides have at any size, and
what some sides have more is put there before.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from supernet.blocks import same_pads

__all__ = ["least_pad", "missing_pads", "padded"]


def least_pad(kernel: int, stride: int) -> int:
    """Zeros that all sides have, whatever the size is."""
    return max(kernel - stride, 0) // 2


def missing_pads(
    size: Sequence[int], kernels: Sequence[int], strides: Sequence[int]
) -> tuple[int, int, int, int]:
    """Zeros that are missing on the left, right, above and below.

    Args:
        size: rows and columns.
        kernels: rows and columns of a window, with those between its values.
        strides: from row to row and from column to column.
    """
    down, across = map(least_pad, kernels, strides)
    (top, bottom), (left, right) = map(same_pads, size, kernels, strides)
    return left - across, right - across, top - down, bottom - down


def padded(x: Tensor, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """An image with what a convolution that pads `least_pad` zeros lacks.

    Args:
        x: shape ``(N, C, H, W)``.
        kernels: as of `missing_pads`.
        strides: likewise.
    """
    return F.pad(x, missing_pads(x.shape[2:], kernels, strides))
