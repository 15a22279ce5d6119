"""Image files become pixels: all at once into a mapped file, or those of a batch on demand."""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.errors import DataError
from supernet.files import atomic_path
from supernet.progress import Progress

__all__ = ["DecodedOnDemand", "decoded", "fits_on_disk"]

_FREE_AFTERWARDS = 0.1
"""Share of the free space that a cache of decoded images leaves."""


def fits_on_disk(paths: Sequence[Path], side: int, stored: Path) -> bool:
    """Whether the squares of image files are decoded in `stored`, or there is room for them."""
    if stored.exists():
        return True
    folder = next(folder for folder in stored.absolute().parents if folder.exists())
    room = shutil.disk_usage(folder).free * (1 - _FREE_AFTERWARDS)
    return len(paths) * side * side * 3 <= room


class DecodedOnDemand:
    """The centred squares of image files as an array that decodes what is asked for.

    For data sets that are larger, decoded, than the disk. Decoding is most of the time
    then, and takes as many threads as there are processors.

    Args:
        paths: of the images.
        side: of the squares in pixels.
    """

    def __init__(self, paths: Sequence[Path], side: int) -> None:
        self._paths, self._side = paths, side

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(N, side, side, 3)``."""
        return len(self._paths), self._side, self._side, 3

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images of these rows, shape ``(n, side, side, 3)``.

        Raises:
            DataError: one of them cannot be decoded.
        """
        return np.stack(list(self._pool.map(self._square, rows.tolist())))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="supernet-decoding")

    def _square(self, row: int) -> npt.NDArray[np.uint8]:
        try:
            return _decode(self._paths[row], self._side)
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
            raise DataError(
                f"{self._paths[row]} cannot be decoded: {' '.join(str(error).split())[:80]}",
                hint="remove or replace it",
            ) from None


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
