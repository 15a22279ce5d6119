"""A folder of class folders, decoded once into a memory-mapped cache."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from supernet.data.images import Dataset, ImageSet, Views, hold_out
from supernet.data.photographs import image_sets
from supernet.data.record import SPLITS, ImageRecord
from supernet.data.survey import HOLDOUT_SHARE, USES, Survey, survey
from supernet.errors import DataError
from supernet.progress import Progress, note, silent
from supernet.reading import FRESH, Reading

__all__ = ["PHOTOGRAPHS", "load_folder", "photograph_views", "stored_side"]

PHOTOGRAPHS = Views(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Of ImageNet's pixels, which published networks were trained with."""


def load_folder(
    folder: Path,
    *,
    resolution: int,
    cache: Path,
    seed: int = 0,
    known: ImageRecord | None = None,
    seeded: bool = False,
    reading: Reading = FRESH,
    progress: Progress = silent,
) -> Dataset:
    """Images of class folders or of tar files, split as `supernet.data.layout` says.

    Every image is decoded once, its short side resized and its centre kept, with a
    margin of 1/7 for random crops, into one array below `cache` that later runs map
    into memory. Where the disk has no room for all, the others are decoded batch by batch.

    Args:
        folder: of the images, or a name for tar files.
        resolution: largest input size that will be asked for.
        cache: folder for the decoded arrays.
        seed: of the choice of the images that are held out.
        known: images whose use is decided, such as those that a run was trained on.
        seeded: hold out by numbers of images, as runs were split that keep no record.
        reading: how picture files become pixels: as asked for, or as it was found before.
        progress: told about every image, and what a user should know of the folder.

    Raises:
        DataError: a folder is missing or empty, classes differ, or images cannot be
            decoded.
    """
    found = survey(folder, cache, HOLDOUT_SHARE, seed, known=known, progress=progress)
    if known is None and not seeded:
        for text in found.notes:
            note(progress, text)
    sets, reading = image_sets(
        found, side=stored_side(resolution), cache=cache, reading=reading, progress=progress
    )
    if seeded and len(sets) > 1:
        rest, held = hold_out(sets[0], HOLDOUT_SHARE, seed)
        test = sets[1]
    else:
        rest, held, test = (_used(found, sets, split) for split in range(len(SPLITS)))
    return Dataset(
        name=found.root.name,
        classes=found.record.classes,
        train=rest,
        holdout=held,
        test=test,
        views=photograph_views(reading),
        record=None if seeded else found.record,
        reading=reading,
    )


def photograph_views(reading: Reading) -> Views:
    """How photographs are seen: whole where they were made square without a cut."""
    return PHOTOGRAPHS if reading.fit == "crop" else replace(PHOTOGRAPHS, frame=1.0)


def stored_side(resolution: int) -> int:
    """Side of a decoded image in pixels: a margin of 1/7 around what is asked for at most."""
    return math.ceil(resolution * 8 / 7)


def _used(found: Survey, sets: Sequence[ImageSet], split: int) -> ImageSet:
    """The images of a split, which are all in one part of the folder.

    Raises:
        DataError: none of them can be decoded.
    """
    owner = [(part.splits == split).any() for part in found.parts].index(True)
    chosen = found.parts[owner].splits == split
    used = sets[owner].chosen(chosen)
    if not len(used):
        raise DataError(
            f"{found.root}: none of the {int(chosen.sum()):,} images {USES[split]} can be decoded",
            hint="replace the broken ones, or remove them: others are cut in their place",
        )
    return used
