"""Lists of picture files become image sets: looked at, decoded, and what is odd told."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.decoding import DecodedOnDemand, Square, square_of
from supernet.data.images import ImageSet
from supernet.data.looking import looked_at
from supernet.data.store import Rows, Stored, decoded, fits_on_disk
from supernet.errors import DataError
from supernet.files import write_text
from supernet.progress import Progress, note
from supernet.reading import Reading

__all__ = ["image_sets", "is_stored"]

_LONG = 2.0  # times as long as wide: a part worth a word is outside of the central square
_WAY = "remove or replace them, or leave them out by --skip-broken; the rest is decoded and kept"
_SUPERSEDED = 0.5  # of an older store's rows are in the new one


def image_sets(
    root: Path,
    splits: Mapping[str, Sequence[Sequence[Path]]],
    *,
    side: int,
    cache: Path,
    reading: Reading,
    progress: Progress,
) -> tuple[dict[str, ImageSet], Reading]:
    """The image sets of a data set, and how its files were read.

    Args:
        root: of all files.
        splits: files of each class, by the names of the splits.
        side: of the decoded squares, in pixels.
        cache: folder of the decoded pixels.
        reading: as asked for, or as it was found before.
        progress: told about every decoded image.

    Raises:
        DataError: files cannot be decoded, and are not to be left out.
    """
    first = not reading.looked
    paths = {split: [p for some in by_class for p in some] for split, by_class in splits.items()}
    if first:
        reading = looked_at([path for some in paths.values() for path in some], reading, progress)
    square = square_of(side, reading)
    stores = {
        split: _stored(some, root / split, square, cache, progress) for split, some in paths.items()
    }
    broken = {
        _name(paths[split][row], root): why
        for split, store in stores.items()
        if store
        for row, why in store.rows.why.items()
    }
    total = sum(map(len, paths.values()))
    if first:
        _tell_odd(paths, stores, square, total, progress)
        if None in stores.values():
            note(
                progress,
                f"{cache}: no room for the decoded images, so each batch decodes its own, which is "
                "slower; broken files are found only then",
            )
        reading = _without_broken(root, reading, broken, total, cache, progress)
    else:
        fresh = {name: why for name, why in broken.items() if name not in reading.left_out}
        _refuse(root, fresh, total, cache, "put back what was there, or remove them")
    out = set(reading.left_out)
    sets = {}
    for split, by_class in splits.items():
        labels = np.repeat(np.arange(len(by_class)), [len(images) for images in by_class])
        rows = np.arange(len(labels))
        if out:
            rows = np.array([k for k in rows if _name(paths[split][k], root) not in out], int)
        _check_classes(by_class, labels[rows])
        store = stores[split]
        if store:
            sets[split] = ImageSet(store.pixels, labels, rows, store.rows.extent)
        else:  # without what lies beside the squares
            alone = DecodedOnDemand(paths[split], replace(square, whole=False))
            sets[split] = ImageSet(alone, labels, rows)
    return sets, reading


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _stored(
    paths: Sequence[Path], place: Path, square: Square, cache: Path, progress: Progress
) -> Stored | None:
    """The decoded images; None where the disk has no room for them."""
    rows = Rows.of(paths)
    path, prefix = _path(rows, place, square, cache)
    if not fits_on_disk(len(paths), square, path):
        return None
    others = [other for other in cache.glob(f"{prefix}-*.npy") if other != path]
    store = decoded(paths, square, path, progress, earlier=others, rows=rows)
    for other in others:
        _remove_superseded(other, store.rows)
    return store


def is_stored(paths: Sequence[Path], place: Path, square: Square, cache: Path) -> bool:
    """Whether these files lie decoded in the cache; those of `place` are stored together."""
    return _path(Rows.of(paths), place, square, cache)[0].exists()


def _path(rows: Rows, place: Path, square: Square, cache: Path) -> tuple[Path, str]:
    """The file of the decoded images, and how the names of all those of this place begin."""
    asked = [str(place.resolve()), square.side, square.long, square.fit, square.levels]
    prefix = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    return cache / f"{prefix}-{rows.listing}.npy", prefix


def _remove_superseded(path: Path, rows: Rows) -> None:
    """Remove a store of the same folder, before files in it changed."""
    beside = path.with_suffix(".rows.npz")
    old = Rows.load(beside)
    if old is None:
        return
    known = {digest.tobytes() for digest in rows.digest}
    still = sum(digest.tobytes() in known for digest in old.digest)
    if still >= _SUPERSEDED * len(old.digest):
        path.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)


def _without_broken(
    root: Path,
    reading: Reading,
    broken: Mapping[str, str],
    total: int,
    cache: Path,
    progress: Progress,
) -> Reading:
    """The reading that leaves broken files out, if it was asked to."""
    if not reading.skip_broken:
        _refuse(root, broken, total, cache, _WAY)
    elif broken:
        note(
            progress,
            f"{len(broken):,} of {total:,} images cannot be decoded and are left out; they are "
            f"listed in {_list_of(root, broken, cache)}",
        )
    return replace(reading, left_out=tuple(sorted(broken)))


def _refuse(root: Path, broken: Mapping[str, str], total: int, cache: Path, way: str) -> None:
    if not broken:
        return
    name = min(broken)
    raise DataError(
        f"{len(broken):,} of {total:,} images cannot be decoded, the first is {root / name} "
        f"({broken[name]}); all are listed in {_list_of(root, broken, cache)}",
        hint=way,
    )


def _list_of(root: Path, broken: Mapping[str, str], cache: Path) -> Path:
    """A file that lists broken ones, a path and a reason a line."""
    digest = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]
    path = cache / f"broken-{root.name or 'images'}-{digest}.txt"
    write_text(path, "".join(f"{root / name}\t{why}\n" for name, why in sorted(broken.items())))
    return path


def _check_classes(by_class: Sequence[Sequence[Path]], labels: npt.NDArray[np.int64]) -> None:
    """Refuse a class all of whose images are broken."""
    left = np.bincount(labels, minlength=len(by_class))
    for images, count in zip(by_class, left):
        if images and not count:
            raise DataError(
                f"{images[0].parent}: none of its {len(images)} images can be decoded",
                hint="replace them, or remove the class",
            )


def _tell_odd(
    paths: Mapping[str, Sequence[Path]],
    stores: Mapping[str, Stored | None],
    square: Square,
    total: int,
    progress: Progress,
) -> None:
    """One line about pictures of one colour, and one about long ones."""
    flat: list[tuple[Path, tuple[int, ...]]] = []
    long: list[tuple[Path, tuple[int, ...]]] = []
    for split, store in stores.items():
        if store is None:
            continue
        size = store.rows.size
        colour = store.rows.colour
        odd = np.flatnonzero((colour >= 0).all(axis=1))
        flat += [(paths[split][row], tuple(colour[row].tolist())) for row in odd.tolist()]
        odd = np.flatnonzero(size.max(axis=1) > _LONG * np.maximum(1, size.min(axis=1)))
        long += [(paths[split][row], tuple(size[row].tolist())) for row in odd.tolist()]
    if flat:
        path, pixel = flat[0]
        note(
            progress,
            f"{len(flat):,} of {total:,} images come out of one colour, such as {path} "
            f"(red, green, blue: {', '.join(map(str, pixel))})",
        )
    if long and square.fit == "crop":
        path, (width, height) = long[0]
        note(
            progress,
            f"{len(long):,} of {total:,} images are more than twice as long as wide, such as "
            f"{path} ({width} x {height}): only their centre is seen; --fit pad shows them whole "
            "in black, --fit squash out of proportion",
        )
