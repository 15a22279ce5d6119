"""Published policies of augmentation: which operations an image gets, and how strong.

Spaces and strengths are those of torchvision, which a test compares them with. Nothing here
depends on the size of a view; pixels follow in `strengths`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["Operation", "PolicyName", "draw_operations", "strengths"]

PolicyName: TypeAlias = Literal["none", "trivial", "rand", "auto"]
Ints: TypeAlias = npt.NDArray[np.int64]


class Operation(IntEnum):
    """What may be done to an image."""

    IDENTITY = 0
    SHEAR_X = 1
    SHEAR_Y = 2
    TRANSLATE_X = 3
    TRANSLATE_Y = 4
    ROTATE = 5
    BRIGHTNESS = 6
    COLOR = 7
    CONTRAST = 8
    SHARPNESS = 9
    POSTERIZE = 10
    SOLARIZE = 11
    AUTO_CONTRAST = 12
    EQUALIZE = 13
    INVERT = 14


_SIGNED = frozenset(range(Operation.SHEAR_X, Operation.POSTERIZE))
_DRAWN = len(Operation) - 1  # all but the last, which only the sub-policies of ``auto`` have


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strengths:
    """Of all operations at the highest level; they rise evenly from level 0, which does nothing."""

    levels: int
    shear: float
    """Tangent of the angle."""
    translate_pixels: float = 0.0
    translate_share: float = 0.0
    """Of the side of the view; one of the two is given."""
    rotate: float
    """Degrees."""
    blend: float
    """Distance from 1 of the factor of brightness, colour, contrast, sharpness."""
    bits: int
    """That posterizing takes, of 8."""


_SHARE = 150 / 331  # AutoAugment's 150 pixels of images of 331
_STRENGTHS = {
    "trivial": _Strengths(
        levels=31, shear=0.99, translate_pixels=32.0, rotate=135.0, blend=0.99, bits=6
    ),
    "rand": _Strengths(
        levels=31, shear=0.3, translate_share=_SHARE, rotate=30.0, blend=0.9, bits=4
    ),
    "auto": _Strengths(
        levels=10, shear=0.3, translate_share=_SHARE, rotate=30.0, blend=0.9, bits=4
    ),
}
_RAND_OPERATIONS, _RAND_LEVEL = 2, 9  # N and M of arXiv:1909.13719 for a ResNet-50

_Op = Operation
# Operation, probability, level (0 where it has none), twice: arXiv:1805.09501, table 9. Some
# stand there twice.
_SUB_POLICIES: tuple[tuple[Operation, float, int, Operation, float, int], ...] = (
    (_Op.POSTERIZE, 0.4, 8, _Op.ROTATE, 0.6, 9),
    (_Op.SOLARIZE, 0.6, 5, _Op.AUTO_CONTRAST, 0.6, 0),
    (_Op.EQUALIZE, 0.8, 0, _Op.EQUALIZE, 0.6, 0),
    (_Op.POSTERIZE, 0.6, 7, _Op.POSTERIZE, 0.6, 6),
    (_Op.EQUALIZE, 0.4, 0, _Op.SOLARIZE, 0.2, 4),
    (_Op.EQUALIZE, 0.4, 0, _Op.ROTATE, 0.8, 8),
    (_Op.SOLARIZE, 0.6, 3, _Op.EQUALIZE, 0.6, 0),
    (_Op.POSTERIZE, 0.8, 5, _Op.EQUALIZE, 1.0, 0),
    (_Op.ROTATE, 0.2, 3, _Op.SOLARIZE, 0.6, 8),
    (_Op.EQUALIZE, 0.6, 0, _Op.POSTERIZE, 0.4, 6),
    (_Op.ROTATE, 0.8, 8, _Op.COLOR, 0.4, 0),
    (_Op.ROTATE, 0.4, 9, _Op.EQUALIZE, 0.6, 0),
    (_Op.EQUALIZE, 0.0, 0, _Op.EQUALIZE, 0.8, 0),
    (_Op.INVERT, 0.6, 0, _Op.EQUALIZE, 1.0, 0),
    (_Op.COLOR, 0.6, 4, _Op.CONTRAST, 1.0, 8),
    (_Op.ROTATE, 0.8, 8, _Op.COLOR, 1.0, 2),
    (_Op.COLOR, 0.8, 8, _Op.SOLARIZE, 0.8, 7),
    (_Op.SHARPNESS, 0.4, 7, _Op.INVERT, 0.6, 0),
    (_Op.SHEAR_X, 0.6, 5, _Op.EQUALIZE, 1.0, 0),
    (_Op.COLOR, 0.4, 0, _Op.EQUALIZE, 0.6, 0),
    (_Op.EQUALIZE, 0.4, 0, _Op.SOLARIZE, 0.2, 4),
    (_Op.SOLARIZE, 0.6, 5, _Op.AUTO_CONTRAST, 0.6, 0),
    (_Op.INVERT, 0.6, 0, _Op.EQUALIZE, 1.0, 0),
    (_Op.COLOR, 0.6, 4, _Op.CONTRAST, 1.0, 8),
    (_Op.EQUALIZE, 0.8, 0, _Op.EQUALIZE, 0.6, 0),
)


def draw_operations(count: int, policy: PolicyName, rng: np.random.Generator) -> Ints:
    """What is done to each of `count` images, one operation after the other.

    ``trivial`` draws one operation and its level (TrivialAugment Wide, arXiv:2103.10158),
    ``rand`` two operations at level 9 of 30 (RandAugment, arXiv:1909.13719), ``auto`` one of 25
    sub-policies of two operations with probabilities (AutoAugment, arXiv:1805.09501).

    Returns:
        Operation, level, and sign (-1 or 1), shape ``(count, n, 3)``; n is 0 for ``none``.
    """
    if policy == "none":
        return np.zeros((count, 0, 3), dtype=np.int64)
    if policy == "auto":
        table = np.array(_SUB_POLICIES).reshape(-1, 2, 3)
        drawn = table[rng.integers(len(table), size=count)]  # (count, 2, 3)
        skipped = rng.random((count, 2)) >= drawn[..., 1]
        operation = np.where(skipped, Operation.IDENTITY, drawn[..., 0])
        level = drawn[..., 2]
    else:
        size = (count, 1 if policy == "trivial" else _RAND_OPERATIONS)
        operation = rng.integers(_DRAWN, size=size)
        wide = policy == "trivial"
        levels = _STRENGTHS[policy].levels
        level = rng.integers(levels, size=size) if wide else np.full(size, _RAND_LEVEL)
    sign = np.where(np.isin(operation, list(_SIGNED)), rng.choice([-1, 1], operation.shape), 1)
    return np.stack([operation, level, sign], axis=-1).astype(np.int64)


def strengths(policy: PolicyName, size: int) -> npt.NDArray[np.float64]:
    """Of each operation at each level in views of `size` pixels, shape ``(operations, levels)``.

    Tangents of shears, pixels of translations, degrees, distances of factors from 1, bits that
    are kept, and the pixel value from which on solarizing inverts; 0 where there is none.
    """
    most = _STRENGTHS[policy]
    found = np.zeros((len(Operation), most.levels))
    found[[_Op.SHEAR_X, _Op.SHEAR_Y]] = _rising(most.shear, most.levels)
    shift = most.translate_pixels + most.translate_share * size
    found[[_Op.TRANSLATE_X, _Op.TRANSLATE_Y]] = np.floor(_rising(shift, most.levels))
    found[_Op.ROTATE] = _rising(most.rotate, most.levels)
    found[[_Op.BRIGHTNESS, _Op.COLOR, _Op.CONTRAST, _Op.SHARPNESS]] = _rising(
        most.blend, most.levels
    )
    found[_Op.POSTERIZE] = np.round(8 - np.arange(most.levels) / ((most.levels - 1) / most.bits))
    found[_Op.SOLARIZE] = 255 * _rising(0.0, most.levels, start=1.0)
    return found


def _rising(high: float, levels: int, start: float = 0.0) -> npt.NDArray[np.float64]:
    # by torch, since whole pixels depend on how it rounds
    return torch.linspace(start, high, levels).numpy().astype(np.float64)
