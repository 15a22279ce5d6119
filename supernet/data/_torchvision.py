"""Images, labels and classes of a data set as torchvision downloads and reads it."""

import contextlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.data.catalogue import NamedSet
from supernet.errors import DataError, MissingPackageError

__all__ = ["Found", "open_half"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The training or the test images of a data set: as pixels, or as files."""

    pixels: npt.NDArray[np.uint8] | None
    """``(N, H, W, C)``; None where the images are files."""
    paths: tuple[Path, ...]
    """The files, in the order of the labels; empty where there are pixels."""
    labels: npt.NDArray[np.int64]
    """Class indices, ``(N,)``."""
    classes: tuple[str, ...]


def open_half(info: NamedSet, half: str, folder: Path) -> Found:
    """The ``train`` or ``test`` half of a data set.

    Args:
        info: which.
        half: of it.
        folder: where its files are, or are downloaded to.

    Raises:
        DataError: it cannot be downloaded, or what lies in the folder is not it.
        MissingPackageError: a package is needed to read it.
    """
    parts = _open(info, info.train if half == "train" else (info.test,), folder)
    labels = np.concatenate([_labels(info, part) for part in parts])
    return Found(
        pixels=np.concatenate([_pixels(info, p) for p in parts]) if info.pixels else None,
        paths=() if info.pixels else tuple(p for part in parts for p in _paths(info, part)),
        labels=labels,
        classes=_classes(info, parts[0], int(labels.max()) + 1),
    )


def _open(info: NamedSet, arguments: Sequence[Mapping[str, Any]], folder: Path) -> list[Any]:
    """Objects of torchvision's class, downloaded before if need be."""
    if info.needs and find_spec(info.needs) is None:
        raise MissingPackageError(
            f"the data set {info.name} needs the package {info.needs}",
            hint="pip install 'supernet[datasets]'",
        )
    if not folder.is_dir():
        _download(info, folder)
    try:
        return [_make(info, folder, keys, download=False) for keys in arguments]
    except Exception as error:  # noqa: BLE001  # damaged files make its readers raise anything
        raise DataError(
            f"{folder}: not what torchvision.datasets.{info.kind} expects: {_line(error)}",
            hint="remove that folder to download it again",
        ) from None


def _download(info: NamedSet, folder: Path) -> None:
    """Whole or not at all: torchvision takes a folder that was unpacked half for a whole one."""
    half_done = folder.with_name(f".{info.name}.tmp")
    shutil.rmtree(half_done, ignore_errors=True)
    try:
        half_done.mkdir(parents=True)
        for keys in (*info.train, info.test):
            _make(info, half_done, keys, download=True)
        half_done.rename(folder)
    except Exception as error:  # noqa: BLE001  # a download may raise anything
        raise DataError(
            f"{info.name}: cannot be downloaded: {_line(error)}",
            hint=f"put the files that torchvision.datasets.{info.kind}(root) reads into {folder}",
        ) from None
    finally:
        shutil.rmtree(half_done, ignore_errors=True)


def _make(info: NamedSet, root: Path, keys: Mapping[str, Any], *, download: bool) -> Any:
    from torchvision import datasets

    with contextlib.redirect_stdout(sys.stderr):  # older versions print there what they do
        return getattr(datasets, info.kind)(str(root), download=download, **keys)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _pixels(info: NamedSet, part: Any) -> npt.NDArray[np.uint8]:
    """``(N, H, W, C)``."""
    pixels = np.asarray(getattr(part, info.pixels), dtype=np.uint8)
    if pixels.ndim == 3:
        return pixels[..., None]
    return pixels.transpose(0, 2, 3, 1) if pixels.shape[1] == 3 else pixels


def _paths(info: NamedSet, part: Any) -> list[Path]:
    listed = getattr(part, info.files)
    return [Path(path) for path in (listed if info.labels else [path for path, _ in listed])]


def _labels(info: NamedSet, part: Any) -> npt.NDArray[np.int64]:
    if info.labels:
        return np.asarray(getattr(part, info.labels), dtype=np.int64)
    return np.array([label for _, label in getattr(part, info.files)], dtype=np.int64)


def _classes(info: NamedSet, part: Any, count: int) -> tuple[str, ...]:
    """Names; numbers where neither the record nor torchvision has any."""
    known = info.classes or getattr(part, "classes", None) or range(count)
    return tuple(name[0] if isinstance(name, tuple) else str(name) for name in known)
