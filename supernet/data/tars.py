"""What a tar file of images holds, by WebDataset's rules: where each image is, and its label.

Members whose names are alike up to the first dot belong together: ``key.jpg`` with ``key.cls``,
a whole number, or with ``key.json``, whose ``label`` is a whole number or the name of a class.
The headers are read once, by `tarfile`, and kept.
"""

import contextlib
import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from supernet.data.files import Member
from supernet.data.walk import image_suffixes
from supernet.errors import DataError, StorageError
from supernet.files import write_text

__all__ = ["Label", "Tar", "read_tar"]

Label: TypeAlias = int | str
"""A class: its number, or its name."""

_WHOLE = "copy it again, whole"
_BLOCK = 512  # bytes
_MOST_LABEL = 1 << 20  # bytes of a label's file
_LABEL_KEYS = ("label", "cls", "class")
_LABELS = ("cls", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tar:
    """The images of one tar file."""

    images: tuple[tuple[Member, Label], ...]
    """In their order, each with its label."""
    left_out: Mapping[str, int]
    """Members that are neither images nor labels, by what they are."""


def read_tar(path: Path, cache: Path) -> Tar:
    """The images of a tar file and their labels.

    Args:
        path: of the file.
        cache: folder where it is kept what was found.

    Raises:
        DataError: it is no tar file, compressed, cut off, or images in it have no label.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    told = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{sorted(image_suffixes())}"
    kept = cache / f"{hashlib.sha256(told.encode(errors='replace')).hexdigest()[:16]}.tar.json"
    known = _kept(kept, str(path))
    if known is not None:
        return known
    found = _Members(path).read()
    rows = [[one.name, one.offset, one.size, label] for one, label in found.images]
    with contextlib.suppress(StorageError):  # then it is read the next time, too
        write_text(kept, json.dumps({"images": rows, "left_out": found.left_out}))
    return found


def _kept(kept: Path, archive: str) -> Tar | None:
    try:
        told = json.loads(kept.read_bytes())
        images = tuple(
            (Member(archive, name, offset, size), label)
            for name, offset, size, label in told["images"]
        )
        return Tar(images=images, left_out=told["left_out"])
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged
        return None


class _Members:
    """The members of a tar file on their way to samples.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: dict[str, Member] = {}
        self._labels: dict[str, Label] = {}
        self._left_out: Counter[str] = Counter()

    def read(self) -> Tar:
        """All of it."""
        try:
            with tarfile.open(self._path, "r:") as tar:
                for member in tar:
                    if member.isreg():
                        self._add(tar, member)
                self._check_end(tar.offset)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise self._damaged(error) from None
        without = self._images.keys() - self._labels.keys()
        if without:
            name = min(self._images[key].name for key in without)
            key = min(without)
            raise DataError(
                f"{self._path}: {len(without):,} of {len(self._images):,} images have no label, "
                f"the first is {name}",
                hint=f"add {key}.cls with the number of the class, or {key}.json with a 'label'",
            )
        alone = len(self._labels.keys() - self._images.keys())
        if alone:
            self._left_out["labels without an image"] += alone
        images = tuple((image, self._labels[key]) for key, image in self._images.items())
        return Tar(images=images, left_out=dict(self._left_out))

    def _add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = PurePosixPath(member.name)
        stem, _, kind = path.name.partition(".")
        kind = kind.lower()
        if not stem:  # hidden
            return
        key = str(path.with_name(stem))
        if kind in _LABELS:
            label = self._label(tar, member, kind)
            if label is not None:
                self._set_label(key, label, kind)
        elif path.suffix.lower() in image_suffixes():
            if key in self._images:
                raise DataError(
                    f"{self._path}: {self._images[key].name} and {member.name} are two images of "
                    "one key",
                    hint="leave one image to each key: a name up to its first dot",
                )
            self._images[key] = Member(
                str(self._path), member.name, member.offset_data, member.size
            )
        elif path.suffix.lower() not in (".txt", ".id"):  # texts that go with images
            self._left_out[f"{path.suffix or 'without a suffix'} in tar files"] += 1

    def _set_label(self, key: str, label: Label, kind: str) -> None:
        known = self._labels.get(key, label)
        if type(known) is type(label) and known != label:
            raise DataError(
                f"{self._path}: {key} has two labels, {known!r} and {label!r}",
                hint="leave one of them",
            )
        if kind == "cls" or key not in self._labels:  # numbers go first
            self._labels[key] = label

    def _label(self, tar: tarfile.TarFile, member: tarfile.TarInfo, kind: str) -> Label | None:
        """What the file of a label says; nothing where a description has no label."""
        handle = tar.extractfile(member)
        text = handle.read(_MOST_LABEL).decode("utf-8-sig", "replace").strip() if handle else ""
        label: Any = text
        if kind == "json":
            try:
                told = json.loads(text)
            except ValueError:
                raise self._no_label(member, text, "JSON") from None
            told = told if isinstance(told, dict) else {"label": told}
            label = next((told[name] for name in _LABEL_KEYS if name in told), None)
            if label is None or (isinstance(label, str) and label):
                return label
        try:
            number = int(label)
        except (TypeError, ValueError):
            number = -1
        if number < 0 or isinstance(label, bool | float):
            raise self._no_label(member, label, "a whole number from 0")
        return number

    def _no_label(self, member: tarfile.TarInfo, found: object, wanted: str) -> DataError:
        return DataError(
            f"{self._path}: {member.name} must hold {wanted}, the number of a class, found "
            f"{str(found)[:40]!r}"
        )

    def _check_end(self, offset: int) -> None:
        """Refuse a file without the empty block that ends it: what follows was cut off."""
        with self._path.open("rb") as handle:
            handle.seek(offset)
            block = handle.read(_BLOCK)
        if block != bytes(_BLOCK):
            what = "is cut off" if len(block) < _BLOCK else "is damaged"
            raise DataError(f"{self._path}: {what} after {len(self._images):,} images", hint=_WHOLE)

    def _damaged(self, error: Exception) -> DataError:
        with self._path.open("rb") as handle:
            start = handle.read(6)
        compressed = start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
        if compressed:
            return DataError(
                f"{self._path}: is compressed, so no image in it can be read by itself",
                hint="unpack it to a plain .tar, for example by gunzip",
            )
        if self._images or self._labels:
            return DataError(
                f"{self._path}: is cut off after {len(self._images):,} images", hint=_WHOLE
            )
        return DataError(f"{self._path}: is no tar file: {error}"[:200], hint=_WHOLE)
