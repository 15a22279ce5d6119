"""Lists of picture files become image sets: looked at, decoded, and what is odd told."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.decoding import Square, square_of
from supernet.data.files import ImageFile, place_of
from supernet.data.images import ImageSet
from supernet.data.looking import looked_at
from supernet.data.room import Kept, Room
from supernet.data.survey import Survey
from supernet.errors import DataError
from supernet.files import write_text
from supernet.progress import Progress, note
from supernet.reading import Reading

__all__ = ["image_sets"]

_LONG = 2.0  # times as long as wide: a part worth a word is outside of the central square
_WAY = "remove or replace them, or leave them out by --skip-broken; the rest is decoded and kept"


def image_sets(
    found: Survey, *, side: int, cache: Path, reading: Reading, progress: Progress
) -> tuple[list[ImageSet], Reading]:
    """The image set of each part of a data set, and how its files were read.

    Args:
        found: its files, and what each is used for.
        side: of the decoded squares, in pixels.
        cache: folder of the decoded pixels.
        reading: as asked for, or as it was found before.
        progress: told about every decoded image.

    Raises:
        DataError: files cannot be decoded, and are not to be left out.
    """
    root, first = found.root, not reading.looked
    files = [[file for some in part.by_class for file in some] for part in found.parts]
    if first:
        reading = looked_at([file for some in files for file in some], reading, progress)
    room = Room(found.parts, root, square_of(side, reading), cache)
    if not room.is_enough:
        note(progress, _no_room(room, cache))
    kept = [room.kept(number, progress) for number in range(len(files))]
    broken = {
        place_of(files[number][row], root): why
        for number, own in enumerate(kept)
        for row, why in own.rows.why.items()
    }
    total = sum(map(len, files))
    if first:
        _tell_odd(files, kept, square_of(side, reading), total, progress)
        reading = _without_broken(root, reading, broken, total, cache, progress)
    else:
        fresh = {name: why for name, why in broken.items() if name not in reading.left_out}
        _refuse(root, fresh, total, cache, "put back what was there, or remove them")
    out = set(reading.left_out)
    sets = []
    for some, part, own in zip(files, found.parts, kept):
        labels = part.labels
        rows = np.arange(len(labels))
        if out:
            rows = np.array([k for k in rows if place_of(some[k], root) not in out], int)
        _check_classes(part.by_class, labels[rows])
        sets.append(ImageSet(own.pixels, labels, rows, own.rows.extent))
    return sets, reading


def _no_room(room: Room, cache: Path) -> str:
    return (
        f"{cache}: no room for all decoded images: {room.streamed:,} images to train on are "
        "decoded each time they are seen, which is slower; name a folder with more room by "
        "SUPERNET_HOME"
    )


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


def _check_classes(by_class: Sequence[Sequence[ImageFile]], labels: npt.NDArray[np.int64]) -> None:
    """Refuse a class all of whose images are broken."""
    left = np.bincount(labels, minlength=len(by_class))
    for images, count in zip(by_class, left):
        if images and not count:
            raise DataError(
                f"{Path(str(images[0])).parent}: none of its {len(images)} images can be decoded",
                hint="replace them, or remove the class",
            )


def _tell_odd(
    files: Sequence[Sequence[ImageFile]],
    kept: Sequence[Kept],
    square: Square,
    total: int,
    progress: Progress,
) -> None:
    """One line about pictures of one colour, and one about long ones."""
    flat: list[tuple[ImageFile, tuple[int, ...]]] = []
    long: list[tuple[ImageFile, tuple[int, ...]]] = []
    for some, own in zip(files, kept):
        size, colour = own.rows.size, own.rows.colour
        odd = np.flatnonzero((colour >= 0).all(axis=1))
        flat += [(some[row], tuple(colour[row].tolist())) for row in odd.tolist()]
        odd = np.flatnonzero(size.max(axis=1) > _LONG * np.maximum(1, size.min(axis=1)))
        long += [(some[row], tuple(size[row].tolist())) for row in odd.tolist()]
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
