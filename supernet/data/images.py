"""Image sets in memory or memory-mapped, and their class-balanced split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from supernet.errors import DataError

__all__ = ["Dataset", "ImageSet", "Views", "hold_out"]


class ImageSet:
    """Decoded images of one size, with their labels: a selection from a stored array.

    Args:
        stored: all images, shape ``(M, H, W, C)``; may be memory-mapped, and is then
            only read where needed.
        labels: class index of each stored image, shape ``(M,)``.
        rows: which of them, shape ``(N,)``; all when not given.
    """

    def __init__(
        self,
        stored: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._stored, self._labels = stored, labels
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

    def pixels(self, index: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.uint8]:
        """The images at `index`, shape ``(n, H, W, C)``; a copy."""
        return self._stored[self._rows[index]]

    def take(self, index: npt.NDArray[np.int64] | slice) -> "ImageSet":
        """The selection of the images at `index`, in that order; no pixels are copied."""
        return ImageSet(self._stored, self._labels, self._rows[index])


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
    flip: bool = True
    """Whether training images are mirrored half of the time."""


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

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return self.train.channels


def hold_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split into (rest, held out), the same share of every class, at random.

    Raises:
        DataError: a class has too few images to give one away.
    """
    rng = np.random.default_rng(seed)
    held = []
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        count = max(1, round(share * len(members)))
        if count >= len(members):
            raise DataError(
                f"class {label} has {len(members)} training images: too few to hold {count} out",
                hint="every class needs at least 2 training images",
            )
        held.append(rng.choice(members, count, replace=False))
    mask = np.zeros(len(images), dtype=bool)
    mask[np.concatenate(held)] = True
    return images.take(np.flatnonzero(~mask)), images.take(np.flatnonzero(mask))
