"""A folder of class folders, decoded once into a memory-mapped cache."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from supernet.data.decoding import DecodedOnDemand, decoded, fits_on_disk
from supernet.data.images import Dataset, ImageSet, Views, hold_out
from supernet.errors import DataError
from supernet.progress import Progress, silent

__all__ = ["IMAGE_SUFFIXES", "PHOTOGRAPHS", "decoded", "load_folder", "stored_side"]

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
    sets = {
        split: _image_set(list(by_class.values()), side, cache, progress)
        for split, by_class in splits.items()
    }
    rest, held = hold_out(sets["train"], holdout_share, seed)
    return Dataset(
        name=folder.name,
        classes=classes,
        train=rest,
        holdout=held,
        test=sets["val"],
        views=PHOTOGRAPHS,
    )


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


def _image_set(
    by_class: Sequence[Sequence[Path]], side: int, cache: Path, progress: Progress
) -> ImageSet:
    paths = [path for images in by_class for path in images]
    labels = np.repeat(np.arange(len(by_class)), [len(images) for images in by_class])
    stored = cache / f"{_fingerprint(paths, side)}.npy"
    if not fits_on_disk(paths, side, stored):
        return ImageSet(DecodedOnDemand(paths, side), labels)
    return ImageSet(decoded(paths, side, stored, progress), labels)


def _fingerprint(paths: Sequence[Path], side: int) -> str:
    """Changes when a file is added, removed, resized or written again."""
    listing = [(str(path.resolve()), *_size_and_time(path)) for path in paths]
    return hashlib.sha256(json.dumps([side, listing]).encode()).hexdigest()[:24]


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # such as a link that leads nowhere: decoding will name it
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
