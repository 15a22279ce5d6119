"""Decoded pixels in one mapped file; what was decoded once is taken over, whatever else changes."""

import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.decoding import Square, told
from supernet.errors import StorageError
from supernet.files import atomic_path
from supernet.progress import Progress, note

__all__ = ["Rows", "Stored", "decoded", "fits_on_disk"]

_FREE_AFTERWARDS = 0.1
"""Share of the free space that a cache of decoded images leaves."""
_DIGEST_BYTES = 16
_COPIED = 256  # rows at once
_CHUNK = 16  # images that a thread decodes before it tells
_SAMPLE = 48  # images from all over the set, whose time tells that of all
_WORTH_TELLING_S, _WORTH_TELLING_BYTES = 5, 2**28
_FLAT = 2  # grey levels between the darkest and the brightest pixel of one colour

UNDONE, DONE, BROKEN = 0, 1, 2


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """What is known of each image of a store, one row each."""

    digest: npt.NDArray[np.uint8]
    """Of the file's path, size and time, ``(N, 16)``."""
    state: npt.NDArray[np.uint8]
    """`UNDONE`, `DONE` or `BROKEN`, ``(N,)``."""
    size: npt.NDArray[np.int32]
    """Width and height of the picture in its file, ``(N, 2)``."""
    extent: npt.NDArray[np.int16]
    """Height and width of the picture in its pixels, ``(N, 2)``."""
    colour: npt.NDArray[np.int16]
    """Red, green and blue of an image of one colour, else -1, ``(N, 3)``."""
    why: dict[int, str]
    """What the decoder said of broken ones."""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "Rows":
        """Rows of files of which nothing was decoded yet."""
        count = len(paths)
        return cls(
            np.frombuffer(b"".join(map(_digest, paths)), np.uint8).reshape(count, _DIGEST_BYTES),
            np.full(count, UNDONE, np.uint8),
            np.zeros((count, 2), np.int32),
            np.ones((count, 2), np.int16),
            np.full((count, 3), -1, np.int16),
            {},
        )

    @property
    def listing(self) -> str:
        """Changes when a file is added, removed, resized or written again."""
        return hashlib.sha256(self.digest.tobytes()).hexdigest()[:16]

    def take_over(self, row: int, other: "Rows", its_row: int) -> None:
        """What another store knows of the same file."""
        for name in ("state", "size", "extent", "colour"):
            getattr(self, name)[row] = getattr(other, name)[its_row]

    def save(self, path: Path) -> None:
        """Write them beside their pixels."""
        rows = sorted(self.why)
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez(
                handle,
                digest=self.digest,
                state=self.state,
                size=self.size,
                extent=self.extent,
                colour=self.colour,
                broken=np.array(rows, np.int64),
                why=np.array([self.why[row] for row in rows], np.str_),
            )

    @classmethod
    def load(cls, path: Path) -> "Rows | None":
        """Those of a store, unless they are not there or damaged."""
        try:
            with path.open("rb") as handle, np.load(handle) as kept:
                why = dict(zip(kept["broken"].tolist(), map(str, kept["why"].tolist())))
                return cls(
                    kept["digest"], kept["state"], kept["size"], kept["extent"], kept["colour"], why
                )
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None


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


def _digest(path: Path) -> bytes:
    try:
        stat = path.stat()
        size, when = stat.st_size, stat.st_mtime_ns
    except OSError:  # such as a link that leads nowhere: decoding will name it
        size, when = 0, 0
    name = os.fsencode(_real(path.parent) + os.sep + path.name)
    return hashlib.blake2b(b"%s|%d|%d" % (name, size, when), digest_size=_DIGEST_BYTES).digest()


@lru_cache(maxsize=10_000)
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


def fits_on_disk(count: int, square: Square, stored: Path) -> bool:
    """Whether the pixels of so many images are all in `stored`, or there is room for them."""
    known = _opened(stored, square)
    if known and known.is_whole:
        return True
    folder = next(folder for folder in stored.absolute().parents if folder.exists())
    room = shutil.disk_usage(folder).free * (1 - _FREE_AFTERWARDS)
    return count * int(np.prod(square.shape)) <= room


def decoded(
    paths: Sequence[Path],
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
        paths: of the images.
        square: what they become.
        stored: the file of the pixels.
        progress: told about every decoded image.
        earlier: other such files, the newest first.
        rows: of the paths, where they are known.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = rows or Rows.of(paths)
    known = _opened(stored, square)
    if (
        known
        and known.is_whole
        and np.array_equal(known.rows.digest, rows.digest)
        and not any(_decodes(paths[row], square) for row in known.rows.why)
    ):
        return known
    before = [known, *(_opened(path, square) for path in earlier)]
    stopped: BaseException | None = None
    with atomic_path(stored) as temporary:
        pixels = _allocated(temporary, (len(paths), *square.shape))
        _copy(pixels, rows, [store for store in before if store])
        try:
            _decode_all(paths, square, pixels, rows, progress, stored)
        except BaseException as error:  # such as Ctrl-C
            if not rows.state.any():
                raise
            stopped = error
    rows.save(_beside(stored))
    if stopped:
        raise stopped
    made = _opened(stored, square)
    if made is None:
        raise StorageError(f"{stored}: cannot be read back after it was written")
    return made


def _decodes(path: Path, square: Square) -> bool:
    """Whether a file that could not be decoded can be now: a right or a disk may be back."""
    try:
        square.decoded(path)
    except Exception:  # noqa: BLE001  # a decoder may raise anything on damage
        return False
    return True


def _beside(stored: Path) -> Path:
    return stored.with_suffix(".rows.npz")


def _opened(stored: Path, square: Square) -> Stored | None:
    """The decoded images, unless they are not there or damaged."""
    rows = Rows.load(_beside(stored))
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
    wanted = {digest.tobytes(): row for row, digest in enumerate(rows.digest)}
    for store in stores:
        pairs = [
            (row, its_row)
            for its_row, digest in enumerate(store.rows.digest)
            if store.rows.state[its_row] == DONE
            and (row := wanted.get(digest.tobytes())) is not None
            and rows.state[row] == UNDONE
        ]
        for start in range(0, len(pairs), _COPIED):
            some = np.array(pairs[start : start + _COPIED])
            pixels[some[:, 0]] = store.pixels[some[:, 1]]
        for row, its_row in pairs:
            rows.take_over(row, store.rows, its_row)


def _decode_all(
    paths: Sequence[Path],
    square: Square,
    pixels: npt.NDArray[np.uint8],
    rows: Rows,
    progress: Progress,
    stored: Path,
) -> None:
    """Fill the rows that are undone, some from all over the set first."""

    def decode(row: int) -> None:
        try:
            picture = square.decoded(paths[row])
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
            rows.why[row], rows.state[row] = told(error), BROKEN
            return
        made = picture.pixels
        pixels[row], rows.size[row], rows.extent[row] = made, picture.size, picture.extent
        if _flat(made):
            rows.colour[row] = made[0, 0]
        rows.state[row] = DONE

    def decode_some(chunk: npt.NDArray[np.int64]) -> int:
        for row in chunk.tolist():
            decode(row)
        return len(chunk)

    undone = np.flatnonzero(rows.state == UNDONE)
    first = undone[:: max(1, len(undone) // _SAMPLE)]
    rest = np.setdiff1d(undone, first)
    done, total, since = len(rows.state) - len(undone), len(rows.state), time.perf_counter()
    warned = False
    pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="supernet-decoding")
    try:
        for part in (first, rest):
            chunks = [part[start : start + _CHUNK] for start in range(0, len(part), _CHUNK)]
            for some in pool.map(decode_some, chunks):
                done += some
                progress(done, total, "decoding images")
                if rows.why and not warned:
                    row, warned = min(rows.why), True
                    note(
                        progress,
                        f"{paths[row]} cannot be decoded ({rows.why[row]}); looking for others",
                    )
            if part is first and len(rest):
                seconds = (time.perf_counter() - since) / len(first) * len(rest)
                _tell(progress, total, len(rest), pixels.nbytes, seconds, stored)
    finally:
        pool.shutdown(cancel_futures=True)


def _flat(pixels: npt.NDArray[np.uint8]) -> bool:
    some = pixels[::16, ::16, 0]  # which tell most
    if int(some.max()) - int(some.min()) > _FLAT:
        return False
    return bool(np.ptp(pixels, axis=(0, 1)).max() <= _FLAT)


def _tell(
    progress: Progress, total: int, left: int, num_bytes: int, seconds: float, stored: Path
) -> None:
    """The size and the time of what is going to be done, where it is worth a line."""
    if seconds < _WORTH_TELLING_S and num_bytes < _WORTH_TELLING_BYTES:
        return
    took = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    note(
        progress,
        f"decoding {left:,} of {total:,} images takes about {took}; decoded they take "
        f"{num_bytes / 1e9:.2g} GB in {stored.parent}, kept for later runs",
    )
