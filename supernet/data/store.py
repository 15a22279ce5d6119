"""Decoded pixels in one mapped file; what was decoded once is taken over, whatever else changes."""

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.decoding import Square
from supernet.data.files import ImageFile, identities_of
from supernet.data.rows import BROKEN, DONE, UNDONE, Ints, Rows
from supernet.errors import StorageError
from supernet.files import atomic_path
from supernet.progress import Progress, note, silent

__all__ = ["Stored", "beside", "check", "decoded", "opened", "room_bytes", "try_out"]

_FREE_AFTERWARDS = 0.1
"""Share of the free space that a cache of decoded images leaves."""
_COPIED = 256  # rows at once
_CHUNK = 16  # images that a thread decodes before it tells
_SAMPLE = 60  # such parts from all over the set, whose time tells that of all
_COLD = 48  # of them are not timed
_TIMED_S = 3.0  # after which it is told
_WORTH_TELLING_S, _WORTH_TELLING_BYTES = 5, 2**28


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """Decoded images."""

    pixels: npt.NDArray[np.uint8]
    """``(N, *square.shape)``, mapped; zeros where a file is broken."""
    rows: Rows

    @property
    def is_whole(self) -> bool:
        """Whether all was decoded that can be."""
        return bool((self.rows.state != UNDONE).all())


def room_bytes(stored: Path) -> float:
    """What may be written where a store is to lie."""
    folder = next(folder for folder in stored.absolute().parents if folder.exists())
    return shutil.disk_usage(folder).free * (1 - _FREE_AFTERWARDS)


def decoded(
    files: Sequence[ImageFile],
    square: Square,
    stored: Path,
    progress: Progress,
    *,
    earlier: Iterable[Path] = (),
    rows: Rows | None = None,
) -> Stored:
    """The pixels of image files; mapped, not read.

    They are decoded into the file `stored`, unless it has them; those of files that have not
    changed since are copied from there and from `earlier`. Where decoding is stopped, what
    was done is kept.

    Args:
        files: of the images.
        square: what they become.
        stored: the file of the pixels.
        progress: told about every decoded image.
        earlier: other such files, the newest first.
        rows: of the files, where they are known.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = rows or Rows.of(identities_of(files))
    known = opened(stored, square)
    if (
        known
        and known.is_whole
        and np.array_equal(known.rows.identity, rows.identity)
        and not any(_decodes(files[row], square) for row in known.rows.why)
    ):
        return known
    before = [known, *(opened(path, square) for path in earlier)]
    stopped: BaseException | None = None
    with atomic_path(stored) as temporary:
        pixels = _allocated(temporary, (len(files), *square.shape))
        _copy(pixels, rows, [store for store in before if store])
        kept = f"decoded they take {pixels.nbytes / 1e9:.2g} GB in {stored.parent}, kept for later"
        worth = pixels.nbytes >= _WORTH_TELLING_BYTES
        work = _Work(name="decoding", told=f"{kept} runs", always=worth)
        try:
            _decode_all(files, square, pixels, rows, progress, work)
        except BaseException as error:  # such as Ctrl-C
            if not rows.state.any():
                raise
            stopped = error
    rows.save(beside(stored))
    if stopped:
        raise stopped
    made = opened(stored, square)
    if made is None:
        raise StorageError(f"{stored}: cannot be read back after it was written")
    return made


def check(
    files: Sequence[ImageFile], square: Square, kept: Path, rows: Rows, progress: Progress
) -> None:
    """Decode the files that are undone, for what `rows` tells of them; no pixels are kept.

    Args:
        files: of the images.
        square: what they become.
        kept: the file that their pixels would have; what is found is kept beside it.
        rows: of the files; those that are undone are filled.
        progress: told about every image.
    """
    known = Rows.load(beside(kept))
    if known is not None:
        rows.take_over(*rows.shared_with(known, DONE), known)
        mine, its = rows.shared_with(known, BROKEN)
        still = np.array([not _decodes(files[row], square) for row in mine.tolist()], bool)
        rows.take_over(mine[still], its[still], known)
    if (rows.state != UNDONE).all():
        return
    text = "without a place for their pixels they are decoded again each time they are seen"
    try:
        _decode_all(
            files, square, None, rows, progress, _Work(name="checking", told=text, always=False)
        )
    finally:
        if rows.state.any():
            rows.save(beside(kept))


def try_out(files: Sequence[ImageFile], square: Square) -> Rows:
    """Decode files for what is known of them then; nothing is written."""
    rows = Rows.of(identities_of(files))
    work = _Work(name="decoding", told="", always=False)
    _decode_all(files, square, None, rows, silent, work)
    return rows


def _decodes(file: ImageFile, square: Square) -> bool:
    """Whether a file that could not be decoded can be now: a right or a disk may be back."""
    try:
        square.decoded(file)
    except Exception:  # noqa: BLE001  # a decoder may raise anything on damage
        return False
    return True


def beside(stored: Path) -> Path:
    """The file of a store's rows."""
    return stored.with_suffix(".rows.npz")


def opened(stored: Path, square: Square) -> Stored | None:
    """The decoded images, unless they are not there or damaged."""
    rows = Rows.load(beside(stored))
    try:
        pixels: npt.NDArray[np.uint8] = np.load(stored, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    if rows is None or pixels.dtype != np.uint8:
        return None
    return Stored(pixels, rows) if pixels.shape == (len(rows.state), *square.shape) else None


def _allocated(target: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    array = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # pages without a place on the disk would kill us
        with target.open("rb+") as handle:
            os.posix_fallocate(handle.fileno(), 0, target.stat().st_size)
    return array


def _copy(pixels: npt.NDArray[np.uint8], rows: Rows, stores: Sequence[Stored]) -> None:
    """Take over what other stores have of the same files."""
    for store in stores:
        mine, its = rows.shared_with(store.rows, DONE)
        for start in range(0, len(mine), _COPIED):
            some = slice(start, start + _COPIED)
            pixels[mine[some]] = store.pixels[its[some]]
        rows.take_over(mine, its, store.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is done with many images."""

    name: str
    """Such as ``decoding``."""
    told: str
    """What becomes of them, told with the time."""
    always: bool
    """Whether it is told however short the time is."""


def _decode_all(
    files: Sequence[ImageFile],
    square: Square,
    pixels: npt.NDArray[np.uint8] | None,
    rows: Rows,
    progress: Progress,
    work: _Work,
) -> None:
    """Fill the rows that are undone, some from all over the set first; and their pixels."""

    def decode_some(chunk: Ints) -> int:
        for row in chunk.tolist():
            try:
                picture = square.decoded(files[row])
            except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
                rows.note(row, error)
                continue
            if pixels is not None:
                pixels[row] = picture.pixels
            rows.note(row, picture)
        return len(chunk)

    undone = np.flatnonzero(rows.state == UNDONE)
    chunks = [undone[start : start + _CHUNK] for start in range(0, len(undone), _CHUNK)]
    step = max(1, len(chunks) // _SAMPLE)
    first = chunks[::step]
    rest = [chunk for number, chunk in enumerate(chunks) if number % step]
    done, total = len(rows.state) - len(undone), len(rows.state)
    estimate = _Estimate(progress, total, len(undone), work)
    warned = bool(rows.why)
    pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="supernet-decoding")
    try:
        for part in (first, rest):
            for some in pool.map(decode_some, part):
                done += some
                progress(done, total, f"{work.name} images")
                estimate.add(some)
                if rows.why and not warned:
                    row, warned = min(rows.why), True
                    note(
                        progress,
                        f"{files[row]} cannot be decoded ({rows.why[row]}); looking for others",
                    )
            estimate.tell()
    finally:
        pool.shutdown(cancel_futures=True)


class _Estimate:
    """Tells once how long many images will take, by the time of some from all over the set.

    Args:
        progress: told.
        total: images there are.
        left: of them to be done.
        work: with them.
    """

    def __init__(self, progress: Progress, total: int, left: int, work: _Work) -> None:
        self._progress, self._total, self._left, self._work = progress, total, left, work
        self._done, self._told = 0, False
        self._begun = time.perf_counter()
        self._since, self._before = self._begun, 0

    def add(self, images: int) -> None:
        """So many more are done."""
        self._done += images
        if not self._before and self._done >= _COLD:  # threads and disks begin slowly
            self._since, self._before = time.perf_counter(), self._done
        elif self._before and time.perf_counter() - self._since > _TIMED_S:
            self.tell()

    def tell(self) -> None:
        """The size and the time of what is going to be done, where it is worth a line."""
        left, timed, since = self._left - self._done, self._done - self._before, self._since
        if self._told or not left or not self._done:
            return
        self._told = True
        if not timed:
            timed, since = self._done, self._begun
        seconds = (time.perf_counter() - since) / timed * left
        if seconds < _WORTH_TELLING_S and not self._work.always:
            return
        minutes = f"{seconds / 60:.{int(seconds < 600)}f} minutes"
        took = f"{seconds:.0f} s" if seconds < 100 else minutes
        text = f"{self._work.name} {left:,} of {self._total:,} images takes about {took}"
        note(self._progress, f"{text}; {self._work.told}")
