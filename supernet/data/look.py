"""A cheap look at images before any training: how many, of which classes, how large.

Of files names and some headers are read, and of each some KiB once, by which the training splits
them too; a few are decoded to see how long that takes.
"""

import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from supernet.data._listing import Listing, list_files
from supernet.data.decoding import Square, square_of
from supernet.data.files import ImageFile, source_of
from supernet.data.folder import stored_side
from supernet.data.images import ImageSet
from supernet.data.load import load_dataset
from supernet.data.store import try_out
from supernet.errors import DataError
from supernet.places import user_folder
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading

__all__ = ["Decoding", "Look", "image_seconds", "look_at"]

_HEADERS = 200
"""Files that are opened at most."""
_DECODED = 640
"""Files that are decoded at most."""
_DECODED_S, _DECODED_SHARE = (1.0, 5.0), 0.03
"""Seconds, at least and at most, after which no more are, and their share of all that it takes."""
_TURNS = 10
"""Into which they are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """What is decoded for a training, and how long that takes."""

    images: int = 0
    """That are decoded before it begins."""
    image_s: float = 0.0
    """Seconds for one of them, by all cores together."""
    new_bytes: int = 0
    """That decoded ones take on the disk, without those that are there already."""
    streamed: int = 0
    """Training images that the disk has no room for: they are decoded each time they are seen."""

    @property
    def seconds(self) -> float:
        """Before the training begins."""
        return self.images * self.image_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What images are, as far as names and headers tell."""

    name: str
    """As given to ``--data``."""
    classes: tuple[str, ...]
    """Their names."""
    train_counts: tuple[int, ...]
    """Training images of each class, without those that will be held out."""
    holdout_images: int
    """Images that will be held out, within a few."""
    test_counts: tuple[int, ...]
    """Test images of each class."""
    short_sides: tuple[int, int, int]
    """Of the images, in pixels: a tenth are smaller than the first, half than the second, a
    tenth larger than the third."""
    long_share: float
    """Long side over short side of the median image."""
    channels: int
    """Of what the network will see."""
    pixels_side: int
    """Side of the stored images in pixels where they are stored as such; 0 for files."""
    reading: Reading
    """How files become pixels."""
    listing: Listing | None
    """Their files; None for pixels."""
    notes: tuple[str, ...] = ()
    """What a user should know of the folder, as a training says when it loads the images."""

    @property
    def train_images(self) -> int:
        """Training images, without those that will be held out."""
        return sum(self.train_counts)

    @property
    def test_images(self) -> int:
        """Images that are only reported on."""
        return sum(self.test_counts)

    def side(self, resolution: int) -> int:
        """Side of the decoded images where `resolution` is the largest input size."""
        return self.pixels_side or stored_side(resolution)

    def decoding(self, resolution: int, *, whole: bool = False) -> Decoding:
        """What is decoded before a training at this size begins; some images are, to time it.

        Args:
            resolution: largest input size.
            whole: keep what lies beside the squares.
        """
        if self.listing is None:
            return Decoding()
        square = square_of(stored_side(resolution), replace(self.reading, whole=whole))
        stay = self.listing.stay(square)
        image_s = 0.0
        if stay.undone or stay.streamed:
            image_s = image_seconds(stay.undone or self.listing.groups[0], square)
        return Decoding(
            images=len(stay.undone),
            image_s=image_s,
            new_bytes=stay.new_bytes,
            streamed=stay.streamed,
        )

    def free_disk_bytes(self) -> int:
        """Free space where decoded images are kept."""
        kept = user_folder() if self.listing else Path()
        there = next(folder for folder in (kept, *kept.absolute().parents) if folder.exists())
        return shutil.disk_usage(there).free


def look_at(
    data: str, *, seed: int = 0, reading: Reading = FRESH, progress: Progress = silent
) -> Look:
    """Look at a data set; published ones are downloaded where they are not here.

    Args:
        data: as for `load_dataset`.
        seed: of the hold-out.
        reading: how files become pixels.
        progress: told about files that are read.

    Raises:
        DataError: the folder is missing or empty, or no image in it can be read.
        MissingPackageError: the data set needs a package that is not there.
    """
    listing = list_files(data, seed, progress)
    if listing is None:
        return _of_pixels(data, seed)
    sides = _sides(_some(listing.groups[0], _HEADERS))
    return Look(
        name=data,
        classes=listing.classes,
        train_counts=listing.train_counts,
        holdout_images=listing.holdout_images,
        test_counts=listing.test_counts,
        short_sides=_tenths([min(side) for side in sides]),
        long_share=float(np.median([max(side) / min(side) for side in sides])),
        channels=3,
        pixels_side=0,
        reading=reading,
        listing=listing,
        notes=listing.notes,
    )


def _of_pixels(data: str, seed: int) -> Look:
    """The look at images that are stored as pixels, which loading them only maps."""
    dataset = load_dataset(data, resolution=32, seed=seed)
    count = len(dataset.classes)
    side = min(dataset.train.size)
    seen = round(side * dataset.views.frame)
    return Look(
        name=data,
        classes=dataset.classes,
        train_counts=_counts(dataset.train, count),
        holdout_images=len(dataset.holdout),
        test_counts=_counts(dataset.test, count),
        short_sides=(seen, seen, seen),
        long_share=max(dataset.train.size) / side,
        channels=dataset.in_channels,
        pixels_side=side,
        reading=FRESH,
        listing=None,
    )


def _counts(images: ImageSet, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(images.labels, minlength=classes).tolist())


def _some(files: Sequence[ImageFile], count: int) -> list[ImageFile]:
    """At most so many, spread over all of them; always the same."""
    rows = np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)
    return [files[row] for row in rows]


def image_seconds(
    files: Sequence[ImageFile], square: Square, clock: Callable[[], float] = time.perf_counter
) -> float:
    """How long one of them takes, by decoding some from all over.

    Args:
        files: to be decoded.
        square: what they become.
        clock: of the seconds.
    """
    some = _some(files, _DECODED)
    try_out(some[:1], square)  # what is done once is not counted
    since, done, spent = clock(), 0, 0.0
    for turn in range(_TURNS):
        own = some[turn::_TURNS]
        try_out(own, square)
        done, spent = done + len(own), clock() - since
        share = _DECODED_SHARE * spent / done * len(files)
        if spent > min(max(_DECODED_S[0], share), _DECODED_S[1]):
            break
    return spent / done


def _tenths(values: Sequence[int]) -> tuple[int, int, int]:
    low, middle, high = np.percentile(values, [10, 50, 90]).round().astype(int).tolist()
    return low, middle, high


def _sides(files: Sequence[ImageFile]) -> list[tuple[int, int]]:
    """Width and height of the images whose headers can be read.

    Raises:
        DataError: none can.
    """
    from PIL import Image

    found = []
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of size: decoding will say what it makes of it
                with Image.open(source_of(file)) as image:
                    found.append(image.size)
        except Exception:  # noqa: BLE001, S112  # readers raise anything; decoding names it
            continue
    if not found:
        where = Path(str(files[0])).parents[1]
        raise DataError(
            f"{where}: none of {len(files)} images that were opened can be read",
            hint=f"the first is {files[0]}",
        )
    return found
