"""From stored images to what the network sees, on the device, in one resampling.

Every view is a box of the image, resampled to the wanted size: the centred frame
in evaluation, a random crop (arXiv:1409.4842) in training. A box larger than the
image shows black around it. The size is an argument of a batch, never a state.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.data.images import Views

__all__ = ["eval_view", "train_view"]


def eval_view(images: Tensor, size: int, views: Views) -> Tensor:
    """``(N, H, W, C)`` uint8 to the centred frame, ``(N, C, size, size)``, normalised."""
    count = len(images)
    half = np.full((count, 2), views.frame / 2)
    return _resample(images, size, np.full((count, 2), 0.5), half, views)


def train_view(images: Tensor, size: int, views: Views, rng: np.random.Generator) -> Tensor:
    """``(N, H, W, C)`` uint8 to random crops, ``(N, C, size, size)``, normalised."""
    count, height, width = images.shape[:3]
    area = rng.uniform(*views.crop_area, size=count)
    low, high = map(math.log, views.crop_ratio)
    ratio = np.exp(rng.uniform(low, high, count))
    box = np.sqrt(np.stack([area * ratio, area / ratio], axis=1))  # (N, 2): x, y
    if views.crop_area[1] <= 1:
        box = np.minimum(box, 1)
    # offsets in whole source pixels, so that a crop at scale 1 stays sharp
    room = np.abs(1 - box) / 2 * [width, height]
    centre = 0.5 + np.round(rng.uniform(-room, room)) / [width, height]
    half = box / 2
    if views.flip:
        half[:, 0] *= rng.choice([-1, 1], count)
    return _resample(images, size, centre, half, views)


def _resample(
    images: Tensor,
    size: int,
    centre: npt.NDArray[np.float64],
    half: npt.NDArray[np.float64],
    views: Views,
) -> Tensor:
    device = images.device
    theta = torch.zeros(len(images), 2, 3, device=device)
    box = torch.from_numpy(np.stack([half, centre], axis=1)).to(device, torch.float32)
    theta[:, 0, 0], theta[:, 1, 1] = 2 * box[:, 0, 0], 2 * box[:, 0, 1]
    theta[:, :, 2] = 2 * box[:, 1] - 1
    pixels = images.permute(0, 3, 1, 2).to(torch.float32)  # (N, C, H, W)
    grid = F.affine_grid(theta, [len(images), pixels.shape[1], size, size], align_corners=False)
    out = F.grid_sample(pixels, grid, mode="bilinear", align_corners=False)
    mean = torch.tensor(views.mean, device=device).view(1, -1, 1, 1) * 255
    std = torch.tensor(views.std, device=device).view(1, -1, 1, 1) * 255
    return ((out - mean) / std).contiguous(memory_format=torch.channels_last)
