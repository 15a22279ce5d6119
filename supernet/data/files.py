"""Image files: each in a place of its own, or one after the other inside of tar files."""

import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "IDENTITY_BYTES",
    "Identities",
    "ImageFile",
    "Member",
    "identities_of",
    "listing_of",
    "pieces_of",
    "place_of",
    "source_of",
    "suffix_of",
]

IDENTITY_BYTES = 16

Identities: TypeAlias = npt.NDArray[np.uint8]
"""What tells a file from others and from itself after a change, shape ``(N, 16)``."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside of a tar file that is not compressed."""

    archive: str
    """Path of the tar file."""
    name: str
    """In it."""
    offset: int
    """Of its first byte."""
    size: int
    """In bytes."""

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read(self) -> bytes:
        """All of it."""
        with io.FileIO(self.archive) as handle:
            handle.seek(self.offset)
            return handle.read(self.size)


ImageFile: TypeAlias = str | Path | Member
"""A path, or what lies in a tar file; paths are texts where there are very many."""


def source_of(file: ImageFile) -> str | Path | io.BytesIO:
    """What Pillow opens."""
    return io.BytesIO(file.read()) if isinstance(file, Member) else file


def suffix_of(file: ImageFile) -> str:
    """The end of its name, in small letters, such as ``.jpg``."""
    return os.path.splitext(file.name if isinstance(file, Member) else file)[1].lower()  # noqa: PTH122  # to make a Path of each takes longer


def place_of(file: ImageFile, root: Path) -> str:
    """Where it lies below a folder, with slashes."""
    return Path(str(file)).relative_to(root).as_posix()


def pieces_of(file: ImageFile, piece: int, count: int) -> tuple[int, list[bytes]]:
    """Its size and its content; of a larger file so many pieces, from its start to its end.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(file, Member):
        path, first, size = file.archive, file.offset, file.size
    else:
        path, first, size = str(file), 0, -1
    with io.FileIO(path) as handle:
        if size < 0:
            size = os.fstat(handle.fileno()).st_size
        starts = [0]
        if size > piece * count:
            starts = [(size - piece) * number // (count - 1) for number in range(count)]
        else:
            piece = size
        found = []
        for start in starts:
            if first + start:
                handle.seek(first + start)
            found.append(handle.read(piece))
    return size, found


def identities_of(files: Iterable[ImageFile]) -> Identities:
    """What changes when a file is moved, resized or written again; nothing is opened."""
    found = bytearray()
    folders: dict[str, bytes] = {}
    archives: dict[str, bytes] = {}
    for file in files:
        if isinstance(file, Member):
            known = archives.get(file.archive)
            if known is None:
                known = archives[file.archive] = _told(file.archive, folders)
            text = b"%s|%d|%d|%s" % (known, file.offset, file.size, os.fsencode(file.name))
        else:
            text = _told(str(file), folders)
        found += hashlib.blake2b(text, digest_size=IDENTITY_BYTES).digest()
    return np.frombuffer(bytes(found), np.uint8).reshape(-1, IDENTITY_BYTES)


def listing_of(identities: Identities) -> str:
    """Changes when one of the files does, or another is there."""
    return hashlib.sha256(identities.tobytes()).hexdigest()[:16]


def _told(path: str, folders: dict[str, bytes]) -> bytes:
    """The real folder, name, size and time of a file."""
    folder, _, name = path.rpartition(os.sep)
    known = folders.get(folder)
    if known is None:
        known = folders[folder] = os.fsencode(_real(folder) + os.sep)
    try:
        stat = os.stat(path)  # noqa: PTH116  # to make a Path of each takes three times as long
        size, when = stat.st_size, stat.st_mtime_ns
    except OSError:  # such as a link that leads nowhere: decoding will name it
        size, when = 0, 0
    return b"%s|%d|%d" % (known + os.fsencode(name), size, when)


@lru_cache(maxsize=10_000)
def _real(folder: str) -> str:
    return os.path.realpath(folder)
