"""Training views of pictures that are stored with what lies beside their central square."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.data.images import Views
from supernet.data.moving import moved
from supernet.data.views import Draws, drawn_view

__all__ = ["drawn_from_blocks"]


def drawn_from_blocks(
    blocks: Tensor,
    extents: npt.NDArray[np.float64],
    size: int,
    views: Views,
    draws: Draws,
) -> Tensor:
    """The drawn views of stored pictures, ``(N, C, size, size)``, normalised.

    Args:
        blocks: ``(N, side, long, C)`` uint8 as `ImageSet.blocks` gives them, on the device.
        extents: height and width of each picture in its block, shape ``(N, 2)``.
        size: of the views in pixels.
        views: how images are seen.
        draws: of boxes in the pictures.
    """
    count, side, long, channels = blocks.shape
    is_upright = extents[:, 0] > extents[:, 1]
    shape = (count, channels, size, size)
    out = torch.empty(shape, device=blocks.device, memory_format=torch.channels_last)
    for standing, height, width in ((False, side, long), (True, long, side)):
        rows = np.flatnonzero(is_upright == standing)
        if not len(rows):
            continue
        part = moved(torch.from_numpy(rows), blocks.device)
        pixels = blocks[part].view(len(rows), height, width, channels)
        share = extents[rows][:, ::-1] / [width, height]  # (n, 2): x, y
        own = draws[rows]
        placed = replace(own, centre=0.5 + (own.centre - 0.5) * share, half=own.half * share)
        out[part] = drawn_view(pixels, size, views, placed)
    return out
