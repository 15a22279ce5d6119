"""Image sets in memory or memory-mapped, and their class-balanced split."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Protocol, get_args

import numpy as np
import numpy.typing as npt

from supernet.data.policies import PolicyName
from supernet.data.record import ImageRecord
from supernet.errors import ConfigError, DataError
from supernet.reading import FRESH, Reading

__all__ = ["HOLDOUT_IMAGES", "Augment", "Dataset", "ImageSet", "Views", "hold_out"]

HOLDOUT_IMAGES = 10_000
"""Held out at most: the standard error of an accuracy of 75 % is then 0.43 points."""


class Pixels(Protocol):
    """What images are taken from: an array in memory or mapped, or one that decodes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(M, H, W, C)``."""

    def __getitem__(self, rows: npt.NDArray[np.int64], /) -> npt.NDArray[np.uint8]:
        """The images of these rows."""


class ImageSet:
    """Decoded images of one size, with their labels: a selection from a stored array.

    Args:
        stored: all images, shape ``(M, H, W, C)``; may be memory-mapped, and is then
            only read where needed.
        labels: class index of each stored image, shape ``(M,)``.
        rows: which of them, shape ``(N,)``; all when not given.
        extents: height and width of each stored picture, shape ``(M, 2)``, where what is stored
            has more than the central square; one that is higher than wide is then stored as
            ``(W, H, C)``, in the same place.
    """

    def __init__(
        self,
        stored: Pixels,
        labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64] | None = None,
        extents: npt.NDArray[np.int16] | None = None,
    ) -> None:
        self._stored, self._labels = stored, labels
        has_sides = stored.shape[1] != stored.shape[2]
        self._extents = extents if has_sides else None
        self._rows = np.arange(len(labels)) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class indices, shape ``(N,)``."""
        return self._labels[self._rows]

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return int(self._stored.shape[-1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images that `pixels` gives."""
        height, width = map(int, self._stored.shape[1:3])
        return (height, width) if self._extents is None else (height, height)

    def pixels(self, index: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.uint8]:
        """The images at `index`, shape ``(n, H, W, C)``; a copy."""
        blocks = self._stored[self._rows[index]]
        if self._extents is None:
            return blocks
        side, long, channels = blocks.shape[1:]
        start = (long - side) // 2
        squares = np.ascontiguousarray(blocks[:, :, start : start + side])
        high = np.flatnonzero(self.is_upright(index))
        standing = blocks[high].reshape(len(high), long, side, channels)
        squares[high] = standing[:, start : start + side]
        return squares

    @property
    def has_sides(self) -> bool:
        """Whether there is more than what `pixels` gives."""
        return self._extents is not None

    def blocks(self, index: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.uint8]:
        """What is stored of the images at `index`, sides included; a copy."""
        return self._stored[self._rows[index]]

    def extents(self, index: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float64]:
        """Height and width of the pictures in their blocks, shape ``(n, 2)``."""
        if self._extents is None:
            return np.tile(np.array(self.size, float), (len(self._rows[index]), 1))
        return self._extents[self._rows[index]].astype(float)

    def is_upright(self, index: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.bool_]:
        """Which of the pictures in blocks are higher than wide, shape ``(n,)``."""
        extents = self.extents(index)
        return np.greater(extents[:, 0], extents[:, 1])

    def take(self, index: npt.NDArray[np.int64] | slice) -> "ImageSet":
        """The selection of the images at `index`, in that order; no pixels are copied."""
        return ImageSet(self._stored, self._labels, self._rows[index], self._extents)

    def chosen(self, mask: npt.NDArray[np.bool_]) -> "ImageSet":
        """Those of the images that a mask over all stored ones, shape ``(M,)``, marks."""
        return self.take(np.flatnonzero(mask[self._rows]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """How an image becomes what the network sees."""

    mean: tuple[float, ...]
    """Per channel, of pixel values from 0 to 1."""
    std: tuple[float, ...]
    """Per channel, of pixel values from 0 to 1."""
    frame: float = 0.875
    """Side of the centred square seen in evaluation, as a share of the image's side;
    above 1 the image is framed in black."""
    crop_area: tuple[float, float] = (0.25, 1.0)
    """Area of a random training crop as a share of the image's, lowest and highest."""
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)
    """Width / height of a random training crop, lowest and highest."""
    whole: bool = False
    """Whether training crops may lie anywhere in a photograph, not in its central square alone;
    takes half as much disk again. Of effect on data sets of photographs."""
    flip: bool = True
    """Whether training images are mirrored half of the time."""
    brightness: float = 0.0
    """Training images are made brighter or darker by up to this share."""
    saturation: float = 0.0
    """Colours of training images are made stronger or weaker by up to this share."""
    auto: PolicyName = "none"
    """What else is done to training images, each by draws of its own: ``trivial``
    (TrivialAugment Wide, arXiv:2103.10158), ``rand`` (RandAugment, arXiv:1909.13719) or
    ``auto`` (AutoAugment's policy for ImageNet, arXiv:1805.09501)."""
    erasing: float = 0.0
    """Probability that a random box of a training image is erased (arXiv:1708.04896)."""
    mixup: float = 0.0
    """Alpha of the distribution of the share that an image keeps when another one is added
    (arXiv:1710.09412), such as 0.2; 0 for none."""
    cutmix: float = 0.0
    """Alpha likewise, of the area that a box of another image leaves (arXiv:1905.04899), such
    as 1; 0 for none. With `mixup` too, each has half of the images."""

    @property
    def mixes(self) -> bool:
        """Whether training images are mixed with others, and so have several classes."""
        return self.mixup > 0 or self.cutmix > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """What a recipe says about training views; None leaves it to the data set."""

    crop_area: tuple[float, float] | None = None
    """As in `Views`, like the others."""
    crop_ratio: tuple[float, float] | None = None
    whole: bool | None = None
    flip: bool | None = None
    brightness: float | None = None
    saturation: float | None = None
    auto: PolicyName | None = None
    erasing: float | None = None
    mixup: float | None = None
    cutmix: float | None = None

    def __post_init__(self) -> None:
        problems = []
        for name in ("crop_area", "crop_ratio"):
            value = getattr(self, name)
            if value is not None and not 0 < value[0] <= value[1] <= 4:
                problems.append(f"{name}: must be (low, high) above 0, at most 4, found {value}")
        highest = {"brightness": 1, "saturation": 1, "erasing": 1, "mixup": 100, "cutmix": 100}
        for name, high in highest.items():
            value = getattr(self, name)
            if value is not None and not 0 <= value <= high:
                problems.append(f"{name}: must be from 0 to {high}, found {value}")
        policies = get_args(PolicyName)
        if self.auto is not None and self.auto not in policies:
            problems.append(f"auto: must be one of {', '.join(policies)}, found {self.auto!r}")
        if problems:
            raise ConfigError(problems)

    def applied(self, views: Views) -> Views:
        """`views` with what is given here."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(views, **given)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Dataset:
    """Images to train on, images to choose by, and images to report on."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    """For weights and batch norm statistics."""
    holdout: ImageSet
    """Cut from the training images: for choosing subnets, never trained on."""
    test: ImageSet
    """For reported accuracy only."""
    views: Views
    record: ImageRecord | None = None
    """Which images of a folder these are; none of data sets that cannot change."""
    reading: Reading = FRESH
    """How its picture files became pixels."""

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return self.train.channels


def hold_out(
    images: ImageSet, share: float, seed: int, *, most: int = HOLDOUT_IMAGES
) -> tuple[ImageSet, ImageSet]:
    """Split into (rest, held out), the same share of every class, at random.

    Args:
        images: to split.
        share: of every class that is held out.
        seed: of the choice.
        most: held out in all; beyond it every class gives fewer, one at least. These
            are some of those that would be held out without it.

    Raises:
        DataError: a class has too few images to give one away.
    """
    rng = np.random.default_rng(seed)
    held = []
    kept = min(1.0, most / max(1.0, share * len(images)))
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        count = max(1, round(share * len(members)))
        if count >= len(members):
            raise DataError(
                f"class {label} has {len(members)} training images: too few to hold {count} out",
                hint="every class needs at least 2 training images",
            )
        chosen = rng.choice(members, count, replace=False)
        held.append(chosen[: max(1, math.floor(count * kept))])
    mask = np.zeros(len(images), dtype=bool)
    mask[np.concatenate(held)] = True
    return images.take(np.flatnonzero(~mask)), images.take(np.flatnonzero(mask))
