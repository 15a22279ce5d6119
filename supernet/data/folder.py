"""A folder of class folders, decoded once into a memory-mapped cache."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from supernet.data.decoding import DecodedOnDemand, decoded, fits_on_disk
from supernet.data.digests import listing_digest
from supernet.data.images import Dataset, ImageSet, Views, hold_out
from supernet.data.record import SPLITS, ImageRecord
from supernet.data.survey import HOLDOUT_SHARE, Survey, survey
from supernet.progress import Progress, note, silent

__all__ = ["PHOTOGRAPHS", "decoded", "load_folder", "stored_side"]

PHOTOGRAPHS = Views(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Of ImageNet's pixels, which published networks were trained with."""


def load_folder(
    folder: Path,
    *,
    resolution: int,
    cache: Path,
    holdout_share: float = HOLDOUT_SHARE,
    seed: int = 0,
    known: ImageRecord | None = None,
    seeded: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Images of class folders, split as `supernet.data.layout` says.

    Every image is decoded once, its short side resized and its centre kept, with a
    margin of 1/7 for random crops, into one array below `cache` that later runs map
    into memory. Where the disk has no room for it, images are decoded batch by batch.

    Args:
        folder: of the images.
        resolution: largest input size that will be asked for.
        cache: folder for the decoded arrays.
        holdout_share: of every class's training images, kept for choosing subnets.
        seed: of that choice.
        known: images whose use is decided, such as those that a run was trained on.
        seeded: hold out by numbers of images, as runs were split that keep no record.
        progress: told about every image, and what a user should know of the folder.

    Raises:
        DataError: a folder is missing or empty, classes differ, or images cannot be
            decoded.
    """
    found = survey(folder, cache, holdout_share, seed, known=known, progress=progress)
    if known is None and not seeded:
        for text in found.notes:
            note(progress, text)
    side = stored_side(resolution)
    sets = [
        _image_set([list(map(Path, images)) for images in part.by_class], side, cache, progress)
        for part in found.parts
    ]
    if seeded and len(sets) > 1:
        rest, held = hold_out(sets[0], holdout_share, seed)
        test = sets[1]
    else:
        rest, held, test = (_used(found, sets, split) for split in range(len(SPLITS)))
    return Dataset(
        name=folder.name,
        classes=found.record.classes,
        train=rest,
        holdout=held,
        test=test,
        views=PHOTOGRAPHS,
        record=None if seeded else found.record,
    )


def stored_side(resolution: int) -> int:
    """Side of a decoded image in pixels: a margin of 1/7 around what is asked for at most."""
    return math.ceil(resolution * 8 / 7)


def _used(found: Survey, sets: Sequence[ImageSet], split: int) -> ImageSet:
    """The images of a split, which are all in one part of the folder."""
    owner = [(part.splits == split).any() for part in found.parts].index(True)
    return sets[owner].chosen(found.parts[owner].splits == split)


def _image_set(
    by_class: Sequence[Sequence[Path]], side: int, cache: Path, progress: Progress
) -> ImageSet:
    paths = [path for images in by_class for path in images]
    labels = np.repeat(np.arange(len(by_class)), [len(images) for images in by_class])
    stored = cache / f"{listing_digest(map(str, paths), side)}.npy"
    if not fits_on_disk(paths, side, stored):
        return ImageSet(DecodedOnDemand(paths, side), labels)
    return ImageSet(decoded(paths, side, stored, progress), labels)
