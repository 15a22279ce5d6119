"""A folder of class folders, decoded once into a memory-mapped cache."""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.images import Dataset, ImageSet, Views, hold_out
from supernet.errors import DataError
from supernet.files import atomic_path
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
    into memory.

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
    return ImageSet(decoded(paths, side, stored, progress), labels)


def decoded(
    paths: Sequence[Path], side: int, stored: Path, progress: Progress
) -> npt.NDArray[np.uint8]:
    """The centred squares of image files, shape ``(N, side, side, 3)``; mapped, not read.

    They are decoded into the file `stored`, unless that holds as many of this size.

    Raises:
        DataError: some cannot be decoded.
        StorageError: the cache cannot be written.
    """
    pixels = _cached(stored, (len(paths), side, side, 3))
    if pixels is None:
        with atomic_path(stored) as temporary:
            _decode_all(paths, side, temporary, progress)
        pixels = np.load(stored, mmap_mode="r")
    return pixels


def _cached(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
    """The decoded images, unless they are not there or damaged."""
    try:
        pixels: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


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


def _decode_all(paths: Sequence[Path], side: int, target: Path, progress: Progress) -> None:
    array = np.lib.format.open_memmap(
        target, mode="w+", dtype=np.uint8, shape=(len(paths), side, side, 3)
    )
    if hasattr(os, "posix_fallocate"):  # pages without a place on the disk would kill us
        with target.open("rb+") as handle:
            os.posix_fallocate(handle.fileno(), 0, target.stat().st_size)
    broken: list[str] = []

    def decode(index: int) -> None:
        try:
            array[index] = _decode(paths[index], side)
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
            broken.append(f"{paths[index]} ({' '.join(str(error).split())[:80]})")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(decode, range(len(paths))), start=1):
            progress(done, len(paths), "decoding images")
    if broken:
        raise DataError(
            f"{len(broken)} of {len(paths)} images cannot be decoded, the first is {min(broken)}",
            hint="remove or replace them",
        )
    array.flush()


def _decode(path: Path, side: int) -> npt.NDArray[np.uint8]:
    """The centred square of an image, ``(side, side, 3)``."""
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        image: Image.Image = opened
        image.draft("RGB", (side, side))
        if image.mode.startswith("I"):  # 16 bits: PIL would clip, not scale
            image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
        upright = ImageOps.exif_transpose(image).convert("RGB")
    square = ImageOps.fit(upright, (side, side), Image.Resampling.BICUBIC)
    return np.asarray(square)
