"""Digests of image files: of what they hold, whatever they are called and wherever they lie."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.files import Identities, ImageFile, pieces_of
from supernet.errors import StorageError
from supernet.files import atomic_path
from supernet.progress import Progress

__all__ = ["DIGEST_BYTES", "OLD_DIGEST_BYTES", "digests_of"]

DIGEST_BYTES = 1 << 14
"""Read of a file at most: its start, its end, and two pieces between."""
OLD_DIGEST_BYTES = 1 << 16
"""The same of older records."""
_PIECES = 4
_TASK = 100  # files that a thread reads at a time
_STEP = 50 * _TASK  # files between two words about the progress

_Numbers = npt.NDArray[np.uint64]


def digests_of(
    files: Sequence[ImageFile],
    identities: Identities,
    kept: Path,
    progress: Progress,
    *,
    most: int = DIGEST_BYTES,
) -> _Numbers:
    """A number for the content of each file, shape ``(N,)``: from its size and some KiB of it.

    Numbers are kept, so that only files are read that were not there before with this name,
    size and time.

    Args:
        files: to read.
        identities: `identities_of` them.
        kept: file for the numbers.
        progress: told about files that are read.
        most: bytes that are read of each.
    """
    found, is_known = _taken_over(identities, _load(kept))
    unread = np.flatnonzero(~is_known)
    if not len(unread):
        return found

    def read(rows: npt.NDArray[np.int64]) -> _Numbers:
        return np.array([digest(row) for row in rows.tolist()], dtype=np.uint64)

    def digest(row: int) -> int:
        try:
            is_known[row] = True
            return _digest(files[row], most)
        except OSError:  # decoding will name it
            is_known[row] = False
            name = os.fsencode(str(files[row]))
            return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(unread), _STEP):
            rows = unread[start : start + _STEP]
            tasks = [rows[first : first + _TASK] for first in range(0, len(rows), _TASK)]
            found[rows] = np.concatenate(list(pool.map(read, tasks)))
            progress(start + len(rows), len(unread), "reading images")
    try:
        with atomic_path(kept) as temporary, temporary.open("wb") as handle:
            np.save(handle, np.column_stack([_halves(identities), found])[is_known])
    except StorageError:  # then they are read the next time, too
        pass
    return found


def _load(kept: Path) -> _Numbers:
    """Both halves of the identities, and the digests, ``(N, 3)``; none where nothing was kept."""
    nothing = np.empty((0, 3), np.uint64)
    try:
        with kept.open("rb") as handle:
            known = np.asarray(np.load(handle))
    except (OSError, ValueError, EOFError):  # not there yet, or damaged
        return nothing
    fits = known.dtype == np.uint64 and known.ndim == 2 and known.shape[1] == nothing.shape[1]
    return known if fits else nothing


def _taken_over(identities: Identities, known: _Numbers) -> tuple[_Numbers, npt.NDArray[np.bool_]]:
    """The digests that are known, and of which files they are."""
    count = len(identities)
    if not len(known):
        return np.zeros(count, np.uint64), np.zeros(count, bool)
    halves = _halves(identities)
    known = known[np.argsort(known[:, 0])]
    place = np.searchsorted(known[:, 0], halves[:, 0]).clip(max=len(known) - 1)
    there = known[place]
    is_known = (there[:, :2] == halves).all(axis=1)
    return np.where(is_known, there[:, 2], 0), is_known


def _halves(identities: Identities) -> _Numbers:
    """Identities as two numbers each, ``(N, 2)``."""
    return np.ascontiguousarray(identities).view("<u8").astype(np.uint64)


def _digest(file: ImageFile, most: int) -> int:
    size, pieces = pieces_of(file, most // _PIECES, _PIECES)
    code = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=8)
    for piece in pieces:
        code.update(piece)
    return int.from_bytes(code.digest(), "little")
