"""Boxes that are erased, and pairs of images that are mixed, with their labels.

What is drawn knows no size of a view; boxes become whole pixels when the size is known. The
labels of mixed images depend on these.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.data.images import Views
from supernet.data.moving import moved

__all__ = ["draw_erased", "draw_mixes", "erased", "mixed"]

Floats: TypeAlias = npt.NDArray[np.float64]

# torchvision's RandomErasing; the paper has (0.02, 0.4) and (0.3, 1 / 0.3)
_ERASED_AREA = 0.02, 0.33
_ERASED_RATIO = 0.3, 3.3
_TRIES = 10


def draw_erased(count: int, probability: float, rng: np.random.Generator) -> Floats:
    """A box in each of `count` views (random erasing, arXiv:1708.04896).

    Returns:
        Height and width as shares of the side, and the place from 0 (first row, first column)
        to 1, shape ``(count, 4)``; without height where nothing is erased, and ``(count, 0)``
        where nothing ever is.
    """
    if not probability:
        return np.zeros((count, 0))
    area = rng.uniform(*_ERASED_AREA, (count, _TRIES))
    low, high = map(math.log, _ERASED_RATIO)
    ratio = np.exp(rng.uniform(low, high, (count, _TRIES)))
    sides = np.sqrt(np.stack([area * ratio, area / ratio], axis=-1))  # (count, tries, 2)
    fits = np.all(sides < 1, axis=-1)  # (count, tries)
    first = sides[np.arange(count), np.argmax(fits, axis=1)]
    asked = (rng.random(count) < probability) & np.any(fits, axis=1)
    return np.concatenate([first * asked[:, None], rng.random((count, 2))], axis=1)


def erased(views: Tensor, drawn: Floats) -> Tensor:
    """Normalised views ``(N, C, size, size)`` with their boxes at the mean colour, in place."""
    if not drawn.shape[1]:
        return views
    size = views.shape[-1]
    sides = np.minimum(np.round(drawn[:, :2] * size), size - 1)
    start = np.floor(drawn[:, 2:] * (size - sides + 1))
    boxes = np.concatenate([start, start + sides], axis=1)  # top, left, bottom, right
    inside = _inside(moved(torch.from_numpy(boxes.astype(np.float32)), views.device), size)
    return views.masked_fill_(inside, 0)


def draw_mixes(count: int, views: Views, rng: np.random.Generator) -> Floats:
    """How each of `count` images is mixed with another one.

    By ``mixup`` (arXiv:1710.09412), the sum of both, or ``cutmix`` (arXiv:1905.04899), a box of
    the other; each for half of the images where both are asked for.

    Returns:
        Share of the image itself, 1 where a box is cut out and else 0, row and column of the
        centre of the box from 0 to 1, shape ``(count, 4)``; ``(count, 0)`` where nothing is mixed.
    """
    if not views.mixes:
        return np.zeros((count, 0))
    wanted = views.mixup > 0, views.cutmix > 0
    cut = rng.random(count) < (0.5 if all(wanted) else float(wanted[1]))
    share = np.empty(count)
    for by, alpha in ((~cut, views.mixup), (cut, views.cutmix)):
        if by.any():
            share[by] = rng.beta(alpha, alpha, int(by.sum()))
    return np.column_stack([share, cut, rng.random((count, 2))])


def mixed(
    views: Tensor, labels: Tensor, partner: npt.NDArray[np.int64], drawn: Floats, classes: int
) -> tuple[Tensor, Tensor]:
    """Views mixed with those of their partners, and what share of which class they then are.

    Args:
        views: shape ``(N, C, size, size)``.
        labels: class indices, shape ``(N,)``.
        partner: row that each is mixed with, shape ``(N,)``.
        drawn: as of `draw_mixes`.
        classes: how many there are.

    Returns:
        The views, and labels ``(N, classes)`` whose rows add up to 1.
    """
    size = views.shape[-1]
    share, cut = drawn[:, 0], drawn[:, 1] == 1
    boxes, outside = _cut_boxes(drawn, size)
    kept = np.where(cut, outside, share)  # of the label
    beside = np.where(cut, 1, share)  # of the pixels beside the box
    rows = np.column_stack([boxes, beside, kept, partner]).astype(np.float32)
    there = moved(torch.from_numpy(rows), views.device)
    other = there[:, 6].long()
    weight = there[:, 4].view(-1, 1, 1, 1)  # of the image itself, pixel by pixel
    if cut.any():
        weight = weight.expand(-1, 1, size, size).masked_fill(_inside(there, size), 0)
    views = torch.lerp(views.index_select(0, other), views, weight)
    both = torch.stack([labels, labels.index_select(0, other)], dim=1)  # (N, 2)
    shares = torch.stack([there[:, 5], 1 - there[:, 5]], dim=1)
    soft = shares.new_zeros(len(labels), classes).scatter_add_(1, both, shares)
    return views.contiguous(memory_format=torch.channels_last), soft


def _cut_boxes(drawn: Floats, size: int) -> tuple[Floats, Floats]:
    """Boxes of whole pixels ``(N, 4)``, empty where none is cut, and the share outside ``(N,)``."""
    side = np.sqrt(1 - drawn[:, 0]) * drawn[:, 1]
    half = np.floor(side / 2 * size)[:, None]
    centre = np.floor(drawn[:, 2:] * size)
    boxes = np.concatenate([centre - half, centre + half], axis=1).clip(0, size)
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes, 1 - height * width / size**2


def _inside(boxes: Tensor, size: int) -> Tensor:
    """Pixels of boxes (top, left, bottom, right in the first columns), ``(N, 1, size, size)``."""
    top, left, bottom, right = boxes[:, :4, None].unbind(1)  # (N, 1) each
    at = torch.arange(size, device=boxes.device)
    rows = (at >= top) & (at < bottom)
    columns = (at >= left) & (at < right)
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
