"""Published data sets by name: downloaded once by torchvision, kept as arrays of pixels.

Sets of small images are stored whole, with as many black pixels around as training
shifts them by; photographs as folders of images are (`supernet.data.folder`).
"""

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data._torchvision import open_half
from supernet.data.catalogue import NAMED, NamedSet
from supernet.data.decoding import Square, square_of
from supernet.data.folder import PHOTOGRAPHS, photograph_views, stored_side
from supernet.data.images import Dataset, ImageSet, Views, hold_out
from supernet.data.store import Stored, decoded
from supernet.errors import DataError
from supernet.files import atomic_path
from supernet.locks import alone
from supernet.places import user_folder
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading

__all__ = ["NAMED", "fetching", "is_kept", "load_named"]


def load_named(
    name: str,
    *,
    resolution: int,
    holdout_share: float = 0.1,
    seed: int = 0,
    reading: Reading = FRESH,
    progress: Progress = silent,
) -> Dataset:
    """A published data set; its training images give the hold-out, its test images the test.

    Downloaded into ``datasets/NAME`` of the user's folder where it is not there, and kept
    as arrays in ``images/NAME``, from which later runs map it into memory.

    Args:
        name: one of `NAMED`.
        resolution: largest input size that will be asked for; of effect on photographs.
        holdout_share: of every class's training images, kept for choosing subnets.
        seed: of that choice.
        reading: whose `fit` says how photographs become squares.
        progress: told about every decoded image.

    Raises:
        DataError: it cannot be downloaded, or what lies in its folder is not it.
        MissingPackageError: a package is needed to read it.
        StorageError: the disk refuses it.
    """
    info = NAMED[name]
    square = None if info.pixels else square_of(stored_side(resolution), reading)
    train, test = (_half(info, square, half, progress) for half in ("train", "test"))
    rest, held = hold_out(train.images, holdout_share, seed)
    return Dataset(
        name=name,
        classes=train.classes,
        train=rest,
        holdout=held,
        test=test.images,
        views=_views(info, train, reading),
        reading=replace(reading, looked=True),
    )


@dataclass(frozen=True, slots=True)
class _Stored:
    """One half of a data set as it is kept."""

    images: ImageSet
    size: int
    """Side of the images in pixels, without what was put around."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def _half(info: NamedSet, square: Square | None, half: str, progress: Progress) -> _Stored:
    kept = _kept(info, square, half)
    if kept is None:
        with fetching(info, progress):
            kept = _kept(info, square, half)
            if kept is None:
                _keep(info, square, half, progress)
                kept = _kept(info, square, half)
    if kept is None:
        raise DataError(f"{_cache(info, square, half)}: cannot be read back after it was written")
    return kept


@contextmanager
def fetching(info: NamedSet, progress: Progress) -> Iterator[None]:
    """No other process downloads or keeps the data set at the same time."""

    def waiting() -> None:
        progress(0, 1, f"waiting for another process that fetches {info.name}")

    with alone(user_folder() / "datasets" / f".{info.name}.lock", waiting=waiting):
        yield


def _cache(info: NamedSet, square: Square | None, half: str) -> Path:
    """The pixels; labels and the rest lie beside them as ``.npz``."""
    kind = "whole"
    if square:
        kind = f"{square.side}" if square.fit == "crop" else f"{square.side}-{square.fit}"
        kind += "-sides" if square.whole else ""
    return user_folder() / "images" / info.name / f"{half}-{kind}.npy"


def is_kept(info: NamedSet, square: Square, half: str) -> bool:
    """Whether a half of photographs lies decoded in the cache."""
    return _cache(info, square, half).exists()


def _kept(info: NamedSet, square: Square | None, half: str) -> _Stored | None:
    """What was kept, unless it is not there or damaged."""
    path = _cache(info, square, half)
    try:
        pixels: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r")
        with np.load(path.with_suffix(".npz")) as beside:
            labels, classes = beside["labels"], tuple(map(str, beside["classes"]))
            mean, std = (tuple(map(float, beside[key])) for key in ("mean", "std"))
            extents = beside["extents"] if square and square.whole else None
            images = ImageSet(pixels, labels, extents=extents)
            stored = _Stored(images, int(beside["size"]), classes, mean, std)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    around = 2 * info.shift if info.pixels else 0
    fits = len(pixels) == len(labels) and pixels.dtype == np.uint8 and pixels.ndim == 4
    return stored if fits and pixels.shape[1] == stored.size + around else None


def _keep(info: NamedSet, square: Square | None, half: str, progress: Progress) -> None:
    """Read a half of the data set with torchvision, and store it."""
    found = open_half(info, half, user_folder() / "datasets" / info.name)
    path = _cache(info, square, half)
    extents = np.empty((0, 2), np.int16)
    if square:
        store = decoded(found.paths, square, path, progress)
        _refuse_broken(store, found.paths)
        extents = store.rows.extent
        side = square.side
        mean, std = PHOTOGRAPHS.mean, PHOTOGRAPHS.std
    else:
        assert found.pixels is not None
        side = found.pixels.shape[1]
        mean, std = _statistics(found.pixels)
        margin = ((0, 0), (info.shift, info.shift), (info.shift, info.shift), (0, 0))
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.save(handle, np.pad(found.pixels, margin))
    with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as handle:
        np.savez(
            handle,
            labels=found.labels,
            classes=np.array(found.classes),
            size=np.array(side),
            extents=extents,
            mean=np.array(mean),
            std=np.array(std),
        )


def _refuse_broken(store: Stored, paths: Sequence[Path]) -> None:
    if store.rows.why:
        row = min(store.rows.why)
        raise DataError(
            f"{len(store.rows.why)} of {len(paths)} images cannot be decoded, the first is "
            f"{paths[row]} ({store.rows.why[row]})",
            hint="replace them, or remove that data set to download it again",
        )


def _statistics(pixels: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of values from 0 to 1.

    From counts of the 256 values, so that no order of summing shows in them.
    """
    values, mean, std = np.arange(256) / 255, [], []
    for channel in range(pixels.shape[-1]):
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(pixels), 1000):  # counting makes integers of 8 bytes
            some = pixels[start : start + 1000, ..., channel]
            counts += np.bincount(some.ravel(), minlength=256)
        share = counts / counts.sum()
        centre = float(share @ values)
        mean.append(round(centre, 4))
        std.append(round(math.sqrt(share @ (values - centre) ** 2), 4))
    return tuple(mean), tuple(std)


def _views(info: NamedSet, train: _Stored, reading: Reading) -> Views:
    if not info.pixels:
        return replace(photograph_views(reading), flip=info.flip)
    stored = train.size + 2 * info.shift
    seen = (train.size + 2 * info.margin) / stored
    return Views(
        mean=train.mean,
        std=train.std,
        frame=seen,
        crop_area=(seen**2, seen**2),
        crop_ratio=(1.0, 1.0),
        flip=info.flip,
    )
