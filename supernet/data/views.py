"""From stored images to what the network sees, on the device, in one resampling.

Every view is a box of the image, resampled to the wanted size: the centred frame
in evaluation, a random crop (arXiv:1409.4842) in training. A box larger than the
image shows black around it. The size is an argument of a batch, never a state.
"""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.data.images import Views
from supernet.data.mixing import draw_erased, draw_mixes, erased
from supernet.data.moving import moved
from supernet.data.operations import operated
from supernet.data.policies import draw_operations

__all__ = ["Draws", "draw_views", "drawn_view", "eval_view", "train_view"]

Floats: TypeAlias = npt.NDArray[np.float64]
Extent: TypeAlias = int | Floats

_SHRUNK = 1.5  # times: bilinear sampling of more would miss pixels

_GREY = 0.299, 0.587, 0.114  # luma of red, green and blue (ITU-R BT.601)


def eval_view(images: Tensor, size: int, views: Views) -> Tensor:
    """``(N, H, W, C)`` uint8 to the centred frame, ``(N, C, size, size)``, normalised."""
    count = len(images)
    half = np.full((count, 2), views.frame / 2)
    return _resample(images, size, np.full((count, 2), 0.5), half, views)


@dataclass(frozen=True, slots=True)
class Draws:
    """What chance decided about training views of images, one row an image."""

    centre: Floats
    """Of the crop, x and y as shares of the image's sides, shape ``(N, 2)``."""
    half: Floats
    """Half of its sides, likewise; a negative width mirrors, shape ``(N, 2)``."""
    brightness: Floats
    """Factors on pixel values, shape ``(N,)``."""
    saturation: Floats
    """Factors on the distance from grey, shape ``(N,)``."""
    operations: npt.NDArray[np.int64]
    """As of `draw_operations`, shape ``(N, n, 3)``."""
    erased: Floats
    """As of `draw_erased`, shape ``(N, 4)`` or ``(N, 0)``."""
    mixes: Floats
    """As of `draw_mixes`, shape ``(N, 4)`` or ``(N, 0)``; of no effect on a single view."""

    def __getitem__(self, rows: npt.NDArray[np.int64] | slice) -> "Draws":
        return Draws(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_views(
    count: int, height: Extent, width: Extent, views: Views, rng: np.random.Generator
) -> Draws:
    """Draw the training views of `count` images of this size in pixels, or of these sizes."""
    area = rng.uniform(*views.crop_area, size=count)
    low, high = map(math.log, views.crop_ratio)
    ratio = np.exp(rng.uniform(low, high, count))
    size = np.broadcast_to(np.stack([width, height], axis=-1), (count, 2))  # (N, 2): x, y
    shape = size[:, 0] / size[:, 1]
    box = np.sqrt(np.stack([area * ratio / shape, area / ratio * shape], axis=1))
    if views.crop_area[1] <= 1:
        box = np.minimum(box, 1)
    # offsets in whole source pixels, so that a crop at scale 1 stays sharp
    room = np.abs(1 - box) / 2 * size
    centre = 0.5 + np.round(rng.uniform(-room, room)) / size
    half = box / 2
    if views.flip:
        half[:, 0] *= rng.choice([-1, 1], count)
    brightness, saturation = (
        1 + rng.uniform(-by, by, count) for by in (views.brightness, views.saturation)
    )
    # last, so that crops do not depend on what else is asked for
    operations = draw_operations(count, views.auto, rng)
    boxes = draw_erased(count, views.erasing, rng)
    mixes = draw_mixes(count, views, rng)
    return Draws(centre, half, brightness, saturation, operations, boxes, mixes)


def drawn_view(images: Tensor, size: int, views: Views, draws: Draws) -> Tensor:
    """``(N, H, W, C)`` uint8 to the drawn views, ``(N, C, size, size)``, normalised.

    Those are not mixed yet.
    """
    colour = None
    if views.brightness or views.saturation:
        colour = np.stack([draws.brightness, draws.saturation])
    seen = _resample(images, size, draws.centre, draws.half, views, colour, draws.operations)
    return erased(seen, draws.erased)


def train_view(images: Tensor, size: int, views: Views, rng: np.random.Generator) -> Tensor:
    """``(N, H, W, C)`` uint8 to random views, ``(N, C, size, size)``, normalised."""
    count, height, width = images.shape[:3]
    return drawn_view(images, size, views, draw_views(count, height, width, views, rng))


def _resample(
    images: Tensor,
    size: int,
    centre: Floats,
    half: Floats,
    views: Views,
    colour: Floats | None = None,
    operations: npt.NDArray[np.int64] | None = None,
) -> Tensor:
    given = _on_device(centre, half, views, colour, images.device)
    if _shrinks(images, size, centre, half):
        out = _averaged(images, size, given.theta)
    else:
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)  # (N, C, H, W)
        shape = [len(images), pixels.shape[1], size, size]
        grid = F.affine_grid(given.theta, shape, align_corners=False)
        out = F.grid_sample(pixels, grid, mode="bilinear", align_corners=False)
    if colour is not None:
        out = _jittered(out, given.colour, given.grey)
    if operations is not None and operations.size:
        out = operated(out, operations, views.auto)
    return out.sub_(given.mean).div_(given.std).contiguous(memory_format=torch.channels_last)


def _shrinks(images: Tensor, size: int, centre: Floats, half: Floats) -> bool:
    """Whether boxes within their images are made smaller by so much that pixels are missed."""
    height, width = images.shape[1:3]
    half = np.abs(half)
    within = (half <= np.minimum(centre, 1 - centre) + 1e-9).all()
    return bool(within and (2 * half * [width, height]).max() > _SHRUNK * size)


def _averaged(images: Tensor, size: int, theta: Tensor) -> Tensor:
    """Boxes of ``(N, H, W, C)``, ``(N, C, size, size)``, each pixel a mean of what it covers.

    By triangles as wide as the step from pixel to pixel, as Pillow and torchvision shrink.
    """
    count, height, width, channels = images.shape
    across = _triangles(theta[:, 0, 0], theta[:, 0, 2], size, width)
    down = _triangles(theta[:, 1, 1], theta[:, 1, 2], size, height)
    rows = images.view(count, height, width * channels).to(torch.float32)
    rows = torch.bmm(down, rows).view(count, size, width, channels)
    columns = rows.transpose(1, 2).reshape(count, width, size * channels)
    out = torch.bmm(across, columns).view(count, size, size, channels)  # (N, x, y, C)
    return out.permute(0, 3, 2, 1)


def _triangles(scale: Tensor, shift: Tensor, size: int, extent: int) -> Tensor:
    """Weights of source pixels for each of `size` pixels along one side, ``(N, size, extent)``."""
    device = scale.device
    place = (2 * torch.arange(size, device=device) + 1) / size - 1
    middle = (scale[:, None] * place + shift[:, None] + 1) * (extent / 2)
    wide = (scale.abs() * (extent / size)).clamp(min=1)
    source = torch.arange(extent, device=device) + 0.5
    away = (source - middle[:, :, None]).abs()
    weights = (1 - away / wide[:, None, None]).clamp_(min=0)
    return weights / weights.sum(dim=2, keepdim=True)


class _Given(NamedTuple):
    """What the host decided, on the device of the images."""

    theta: Tensor
    """Of `affine_grid`, shape ``(N, 2, 3)``."""
    mean: Tensor
    """Of pixels from 0 to 255, shape ``(C, 1, 1)``."""
    std: Tensor
    """Likewise."""
    grey: Tensor
    """Shape ``(3, 1, 1)``."""
    colour: Tensor
    """Brightness and saturation, shape ``(2, N)``, or empty."""


def _on_device(
    centre: Floats, half: Floats, views: Views, colour: Floats | None, device: torch.device
) -> _Given:
    """All of it in one copy, since small copies cost as much as large ones."""
    box = np.stack([half, centre], axis=1).astype(np.float32)  # (N, 2, 2)
    theta = np.zeros((len(box), 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = 2 * box[:, 0, 0], 2 * box[:, 0, 1]
    theta[:, :, 2] = 2 * box[:, 1] - 1
    mean, std = (np.array(values, np.float32) * 255 for values in (views.mean, views.std))
    factors = np.empty((2, 0)) if colour is None else colour
    parts = [theta, mean, std, np.array(_GREY, np.float32), factors.astype(np.float32)]
    shapes = [theta.shape, *[(-1, 1, 1)] * 3, factors.shape]
    there = moved(torch.from_numpy(np.concatenate([part.ravel() for part in parts])), device)
    pieces = torch.split(there, [part.size for part in parts])
    return _Given(*(piece.view(shape) for piece, shape in zip(pieces, shapes)))


def _jittered(pixels: Tensor, colour: Tensor, grey_weights: Tensor) -> Tensor:
    """Pixels ``(N, C, H, W)`` times ``colour[0]``, their colours times ``colour[1]``."""
    brightness, saturation = colour.view(2, -1, 1, 1, 1)
    pixels = pixels * brightness
    if pixels.shape[1] == len(_GREY):
        grey = (pixels * grey_weights).sum(1, keepdim=True)
        pixels = grey + saturation * (pixels - grey)
    return pixels.clamp(0, 255)
