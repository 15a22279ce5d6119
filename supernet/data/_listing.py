"""The files that a data set consists of, where it consists of files; nothing is decoded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from supernet.data._torchvision import open_half
from supernet.data.catalogue import NAMED, NamedSet
from supernet.data.folder import _fingerprint, _list_images
from supernet.data.named import _cache
from supernet.files import user_folder

__all__ = ["Listing", "list_files"]

_HALVES = ("train", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files by half (``train``, ``test``) and class."""

    classes: tuple[str, ...]
    """Names, as the training has them."""
    files: Mapping[str, tuple[tuple[Path, ...], ...]]
    """Of each half, by class."""
    cache: Callable[[str, int], Path]
    """Where a half lies decoded at a side in pixels, once it does."""

    def paths(self, half: str) -> list[Path]:
        """All files of a half."""
        return [path for paths in self.files[half] for path in paths]


def list_files(data: str) -> Listing | None:
    """The files of a data set; None where its images are stored as pixels.

    Published ones are downloaded where they are not here.

    Raises:
        DataError: a folder lacks ``train`` or ``val``, classes or images.
    """
    if Path(data).is_dir():
        return _of_folder(Path(data))
    if data in NAMED and not NAMED[data].pixels:
        return _of_named(NAMED[data])
    return None


def _of_folder(folder: Path) -> Listing:
    splits = [_list_images(folder / split) for split in ("train", "val")]
    classes = tuple(splits[0])
    files = {
        half: tuple(tuple(found.get(name, ())) for name in classes)
        for half, found in zip(_HALVES, splits)
    }

    def cache(half: str, side: int) -> Path:
        paths = [path for own in files[half] for path in own]
        return user_folder() / "images" / f"{_fingerprint(paths, side)}.npy"

    return Listing(classes=classes, files=files, cache=cache)


def _of_named(info: NamedSet) -> Listing:
    halves = [open_half(info, half, user_folder() / "datasets" / info.name) for half in _HALVES]
    classes = halves[0].classes
    files = {
        half: tuple(
            tuple(found.paths[index] for index in np.flatnonzero(found.labels == label))
            for label in range(len(classes))
        )
        for half, found in zip(_HALVES, halves)
    }
    return Listing(classes=classes, files=files, cache=lambda half, side: _cache(info, side, half))
