"""Digests of image files: of what they hold, whatever they are called and wherever they lie."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.errors import StorageError
from supernet.files import atomic_path
from supernet.progress import Progress

__all__ = ["digests_of", "listing_digest"]

_WHOLE = 1 << 16  # bytes; of larger files as many are read, in four pieces
_PIECES = 4
_TASK = 100  # files that a thread reads at a time
_STEP = 50 * _TASK  # files between two words about the progress


def digests_of(
    paths: Sequence[str], listing: str, cache: Path, progress: Progress
) -> npt.NDArray[np.uint64]:
    """A number for the content of each file, shape ``(N,)``.

    From its size and 64 KiB of it at most. Kept in the cache, so that files are read again
    only when one of them has another name, size or time.

    Args:
        paths: of the files.
        listing: `listing_digest` of them.
        cache: folder for the digests.
        progress: told about files that are read.
    """
    kept = cache / f"{listing}.digests"
    try:
        with kept.open("rb") as handle:
            known = np.load(handle)
        if known.shape == (len(paths),) and known.dtype == np.uint64:
            return np.asarray(known, dtype=np.uint64)
    except (OSError, ValueError, EOFError):  # not there yet, or damaged
        pass
    found = np.zeros(len(paths), dtype=np.uint64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), _STEP):
            end = min(start + _STEP, len(paths))
            tasks = [paths[task : min(task + _TASK, end)] for task in range(start, end, _TASK)]
            found[start:end] = np.concatenate(list(pool.map(_digests, tasks)))
            progress(end, len(paths), "reading images")
    try:
        with atomic_path(kept) as temporary, temporary.open("wb") as handle:
            np.save(handle, found)
    except StorageError:  # then they are read the next time, too
        pass
    return found


def _digests(paths: Sequence[str]) -> npt.NDArray[np.uint64]:
    return np.array(list(map(_digest, paths)), dtype=np.uint64)


def _digest(path: str) -> int:
    code = hashlib.blake2b(digest_size=8)
    try:
        with Path(path).open("rb", buffering=0) as handle:
            size = os.fstat(handle.fileno()).st_size
            code.update(size.to_bytes(8, "little"))
            if size <= _WHOLE:
                code.update(handle.read(_WHOLE))
            else:
                piece = _WHOLE // _PIECES
                for number in range(_PIECES):
                    handle.seek((size - piece) * number // (_PIECES - 1))
                    code.update(handle.read(piece))
    except OSError:  # decoding will name it
        code.update(os.fsencode(path))
    return int.from_bytes(code.digest(), "little")


def listing_digest(paths: Iterable[str], *others: int) -> str:
    """Changes when a file is added, removed, resized or written again.

    Args:
        paths: of the files.
        others: what else is to change it.
    """
    code = hashlib.sha256(repr(others).encode())
    folders: dict[str, str] = {}
    for path in paths:
        folder, _, name = path.rpartition(os.sep)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        try:
            stat = os.stat(path)  # noqa: PTH116  # to make a Path of each takes three times as long
            size, time = stat.st_size, stat.st_mtime_ns
        except OSError:  # it went away since the folder was listed: decoding will name it
            size, time = 0, 0
        code.update(os.fsencode(f"{folders[folder]}\0{name}\0{size}\0{time}\0"))
    return code.hexdigest()[:24]
