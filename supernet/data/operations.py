"""Operations of augmentation on whole batches, each image with a strength of its own.

torchvision's kernels have one strength for all images that they are given, and some of them wait
for the device. A test compares these with torchvision's, image by image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.data.moving import moved
from supernet.data.policies import Operation, PolicyName, strengths

__all__ = ["operated"]

Floats: TypeAlias = npt.NDArray[np.float64]

_GREY = 0.2989, 0.587, 0.114  # torchvision's


def operated(pixels: Tensor, drawn: npt.NDArray[np.int64], policy: PolicyName) -> Tensor:
    """Square images after the operations that were drawn for them.

    Images that get the same operation are gathered, changed together, and put back.

    Args:
        pixels: from 0 to 255, shape ``(N, C, size, size)``; rounded to whole numbers first.
        drawn: as of `draw_operations`, shape ``(N, n, 3)``.
        policy: that they were drawn from.
    """
    out = pixels.round().clamp_(0, 255).to(torch.uint8).contiguous()
    size = pixels.shape[-1]
    groups = _groups(drawn, strengths(policy, size), size)
    # all of them in two copies, since small copies cost as much as large ones
    rows = moved(torch.from_numpy(_joined([group[1] for group in groups], np.int64)), out.device)
    flat = [group[2].ravel() for group in groups]
    values = moved(torch.from_numpy(_joined(flat, np.float32)), out.device)
    own = torch.split(rows, [len(group[1]) for group in groups])
    strong = torch.split(values, [part.size for part in flat])
    for (kernel, _, given), row, strength in zip(groups, own, strong):
        some = out.index_select(0, row)
        out.index_copy_(0, row, kernel(some, strength.view(given.shape)))
    return out.to(pixels.dtype)


Kernel: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From uint8 images ``(n, C, H, W)`` and strengths, ``(n, 1, 1, 1)`` or ``(n, 2, 3)``."""


def _groups(
    drawn: npt.NDArray[np.int64], table: Floats, size: int
) -> list[tuple[Kernel, npt.NDArray[np.int64], Floats]]:
    """Kernel, rows and strengths, in the order in which they are applied."""
    groups: list[tuple[Kernel, npt.NDArray[np.int64], Floats]] = []
    for operation, level, sign in np.moveaxis(drawn, 0, -1):  # (3, N) each
        strength = table[operation, level] * sign
        rows = np.flatnonzero((operation >= Operation.SHEAR_X) & (operation <= Operation.ROTATE))
        if len(rows):
            groups.append((_warped, rows, _warps(operation[rows], strength[rows], size)))
        for kind, kernel in _KERNELS.items():
            rows = np.flatnonzero(operation == kind)
            if len(rows):
                given = strength[rows] + (kind in _BLENDS)
                groups.append((kernel, rows, given.reshape(-1, 1, 1, 1)))
    return groups


def _joined(parts: Sequence[npt.NDArray[Any]], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *parts]).astype(kind)


def _warps(operation: npt.NDArray[np.int64], strength: Floats, size: int) -> Floats:
    """Where pixels come from, as `affine_grid` takes it, shape ``(n, 2, 3)``."""
    found = np.tile(np.eye(2, 3), (len(operation), 1, 1))
    x, y = operation == Operation.SHEAR_X, operation == Operation.SHEAR_Y
    # the first line of pixels stays, as with Pillow's transform
    found[x, 0, 1:] = strength[x, None]
    found[y, 1, 0] = found[y, 1, 2] = strength[y]
    for axis, kind in enumerate((Operation.TRANSLATE_X, Operation.TRANSLATE_Y)):
        along = operation == kind
        found[along, axis, 2] = -2 * strength[along] / size
    turned = operation == Operation.ROTATE
    angle = np.radians(strength[turned])
    found[turned, 0, 0] = found[turned, 1, 1] = np.cos(angle)
    found[turned, 0, 1], found[turned, 1, 0] = -np.sin(angle), np.sin(angle)
    return found


def _warped(pixels: Tensor, theta: Tensor) -> Tensor:
    """Interpolated between pixels, black where there were none."""
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    found = F.grid_sample(pixels.to(torch.float32), grid, mode="bilinear", align_corners=False)
    return found.round_().to(torch.uint8)


def _blended(pixels: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`other` at factor 0, the pixels at 1, beyond them above."""
    return (pixels * factor).addcmul_(other, 1 - factor).clamp_(0, 255).to(torch.uint8)


def _brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    return (pixels * factor).clamp_(0, 255).to(torch.uint8)


def _color(pixels: Tensor, factor: Tensor) -> Tensor:
    if pixels.shape[1] != len(_GREY):  # no colours
        return pixels
    return _blended(pixels, _grey(pixels), factor)


def _contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    return _blended(pixels, _grey(pixels).mean((1, 2, 3), keepdim=True), factor)


def _grey(pixels: Tensor) -> Tensor:
    """Luma of colour images, others as they are."""
    if pixels.shape[1] != len(_GREY):
        return pixels.to(torch.float32)
    parts = [channel * weight for channel, weight in zip(pixels.unbind(1), _GREY)]
    return (parts[0] + parts[1] + parts[2]).floor_().unsqueeze(1)


def _sharpness(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blended with a blurred image, of which the border stays."""
    exact = pixels.to(torch.float32)
    inner = exact[..., 1:-1, 1:-1]
    # a kernel of ones with a 5 in the middle
    lines = exact[..., :-2, :] + exact[..., 1:-1, :] + exact[..., 2:, :]
    around = lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]
    blurred = around.add_(inner, alpha=4).div_(13).round_()
    inner.addcmul_(blurred.sub_(inner), 1 - factor)
    return exact.clamp_(0, 255).to(torch.uint8)


def _posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    return pixels & (256 - torch.exp2(8 - bits)).to(torch.uint8)


def _solarize(pixels: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(pixels >= threshold, ~pixels, pixels)


def _auto_contrast(pixels: Tensor, _: Tensor) -> Tensor:
    exact = pixels.to(torch.float32)
    low, high = exact.amin((2, 3), keepdim=True), exact.amax((2, 3), keepdim=True)
    plain = low == high  # channels of one value stay
    low, scale = low.masked_fill(plain, 0), ((high - low) * (1 / 255)).masked_fill(plain, 1)
    return exact.sub_(low).div_(scale).clamp_(0, 255).to(torch.uint8)


def _equalize(pixels: Tensor, _: Tensor) -> Tensor:
    from torchvision.transforms.v2 import functional  # takes a second, for those who need it

    found: Tensor = functional.equalize(pixels)
    return found


def _invert(pixels: Tensor, _: Tensor) -> Tensor:
    return ~pixels


_BLENDS = Operation.BRIGHTNESS, Operation.COLOR, Operation.CONTRAST, Operation.SHARPNESS
_KERNELS: Mapping[Operation, Kernel] = {
    Operation.BRIGHTNESS: _brightness,
    Operation.COLOR: _color,
    Operation.CONTRAST: _contrast,
    Operation.SHARPNESS: _sharpness,
    Operation.POSTERIZE: _posterize,
    Operation.SOLARIZE: _solarize,
    Operation.AUTO_CONTRAST: _auto_contrast,
    Operation.EQUALIZE: _equalize,
    Operation.INVERT: _invert,
}
