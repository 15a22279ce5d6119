"""A folder of class folders, decoded once into a memory-mapped cache."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from supernet.data.images import Dataset, Views, hold_out
from supernet.data.photographs import image_sets
from supernet.errors import DataError
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading

__all__ = ["IMAGE_SUFFIXES", "PHOTOGRAPHS", "load_folder", "photograph_views", "stored_side"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
PHOTOGRAPHS = Views(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Of ImageNet's pixels, which published networks were trained with."""

_LAYOUT = "the folder needs train/<class>/<image> and val/<class>/<image>"


def load_folder(
    folder: Path,
    *,
    resolution: int,
    cache: Path,
    holdout_share: float = 0.1,
    seed: int = 0,
    reading: Reading = FRESH,
    progress: Progress = silent,
) -> Dataset:
    """Images from ``train/<class>/`` (weights, hold-out) and ``val/<class>/`` (test).

    Every image is decoded once, its short side resized and its centre kept, with a
    margin of 1/7 for random crops, into one array below `cache` that later runs map
    into memory. Where the disk has no room for it, images are decoded batch by batch.

    Args:
        folder: holds ``train`` and ``val``.
        resolution: largest input size that will be asked for.
        cache: folder for the decoded arrays.
        holdout_share: of every class's training images, kept for choosing subnets.
        seed: of that choice.
        reading: how picture files become pixels: as asked for, or as it was found before.
        progress: told about every decoded image.

    Raises:
        DataError: a folder is missing or empty, classes differ, or images cannot be
            decoded.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint=_LAYOUT)
    splits = {split: _list_images(folder / split) for split in ("train", "val")}
    classes = tuple(splits["train"])
    _check_classes(folder, classes, tuple(splits["val"]))
    side = stored_side(resolution)
    sets, reading = image_sets(
        folder,
        {split: list(by_class.values()) for split, by_class in splits.items()},
        side=side,
        cache=cache,
        reading=reading,
        progress=progress,
    )
    rest, held = hold_out(sets["train"], holdout_share, seed)
    return Dataset(
        name=folder.name,
        classes=classes,
        train=rest,
        holdout=held,
        test=sets["val"],
        views=photograph_views(reading),
        reading=reading,
    )


def photograph_views(reading: Reading) -> Views:
    """How photographs are seen: whole where they were made square without a cut."""
    return PHOTOGRAPHS if reading.fit == "crop" else replace(PHOTOGRAPHS, frame=1.0)


def stored_side(resolution: int) -> int:
    """Side of a decoded image in pixels: a margin of 1/7 around what is asked for at most."""
    return math.ceil(resolution * 8 / 7)


def _list_images(folder: Path) -> dict[str, list[Path]]:
    """Images by class name, both sorted."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint=_LAYOUT)
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and _seen(path))
    if not classes:
        raise DataError(f"{folder}: no class folders in it", hint=_LAYOUT)
    found = {
        path.name: sorted(
            p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and _seen(p)
        )
        for path in classes
    }
    empty = [name for name, images in found.items() if not images]
    if empty:
        raise DataError(
            f"{folder / empty[0]}: no image in it ({len(empty)} such class folders)",
            hint=f"remove the folder or add images ({' '.join(IMAGE_SUFFIXES)})",
        )
    return found


def _seen(path: Path) -> bool:
    """Not hidden: tools leave folders and files behind that start with a dot."""
    return not path.name.startswith(".")


def _check_classes(folder: Path, train: Sequence[str], val: Sequence[str]) -> None:
    if len(train) < 2:
        raise DataError(f"{folder / 'train'}: needs at least 2 class folders, found {len(train)}")
    differ = sorted(set(train) ^ set(val))
    if differ:
        where = "train" if differ[0] in train else "val"
        raise DataError(
            f"{folder}: train and val must have the same classes; {differ[0]!r} is only in "
            f"{where} ({len(differ)} differ)"
        )
