"""The files that a data set consists of, where it consists of files; nothing is decoded."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data._torchvision import open_half
from supernet.data.catalogue import NAMED, NamedSet
from supernet.data.decoding import Square
from supernet.data.files import ImageFile
from supernet.data.images import HOLDOUT_IMAGES
from supernet.data.named import fetching, is_kept
from supernet.data.record import SPLITS
from supernet.data.room import Room
from supernet.data.shards import names_shards
from supernet.data.survey import HOLDOUT_SHARE, survey
from supernet.places import user_folder
from supernet.progress import Progress

__all__ = ["Listing", "Stay", "list_files"]

_HALVES = ("train", "test")
_TRAIN, _HOLDOUT, _TEST = range(len(SPLITS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """Where the pixels of a data set stay when it is decoded."""

    undone: Sequence[ImageFile]
    """Files that are still to be decoded before the training begins."""
    new_bytes: int
    """To be written."""
    streamed: int
    """Training images without a place, decoded each time they are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files, in groups that are decoded together, and what they are used for."""

    classes: tuple[str, ...]
    """Names, as the training has them."""
    groups: tuple[tuple[ImageFile, ...], ...]
    """Files; those to train on are in the first."""
    train_counts: tuple[int, ...]
    """Of each class, without those that will be held out."""
    holdout_images: int
    """That will be held out."""
    test_counts: tuple[int, ...]
    """Of each class."""
    stay: Callable[[Square], Stay]
    """Where their pixels are, decoded so."""
    notes: tuple[str, ...] = ()
    """What a user should know of the folder, as loading it says."""


def list_files(data: str, seed: int, progress: Progress) -> Listing | None:
    """The files of a data set; None where its images are stored as pixels.

    Published ones are downloaded where they are not here.

    Raises:
        DataError: files that cannot be trained on.
    """
    if Path(data).is_dir() or names_shards(data):
        return _of_folder(Path(data), seed, progress)
    if data in NAMED and not NAMED[data].pixels:
        return _of_named(NAMED[data], progress)
    return None


def _of_folder(source: Path, seed: int, progress: Progress) -> Listing:
    cache = user_folder() / "images"
    found = survey(source, cache, seed=seed, progress=progress)
    record, classes = found.record, found.record.classes

    def stay(square: Square) -> Stay:
        room = Room(found.parts, found.root, square, cache)
        return Stay(undone=room.undone, new_bytes=room.new_bytes, streamed=room.streamed)

    return Listing(
        classes=classes,
        groups=tuple(
            tuple(file for images in part.by_class for file in images) for part in found.parts
        ),
        train_counts=_counts(record.labels[record.splits == _TRAIN], len(classes)),
        holdout_images=int((record.splits == _HOLDOUT).sum()),
        test_counts=_counts(record.labels[record.splits == _TEST], len(classes)),
        stay=stay,
        notes=tuple(found.notes),
    )


def _of_named(info: NamedSet, progress: Progress) -> Listing:
    folder = user_folder() / "datasets" / info.name
    with nullcontext() if folder.is_dir() else fetching(info, progress):
        halves = [open_half(info, half, folder) for half in _HALVES]
    counts, test_counts = (_counts(half.labels, len(halves[0].classes)) for half in halves)
    held = [max(1, round(HOLDOUT_SHARE * count)) if count else 0 for count in counts]
    kept = min(1.0, HOLDOUT_IMAGES / sum(held))
    held = [max(1, int(kept * count)) if count else 0 for count in held]

    def stay(square: Square) -> Stay:
        undone = [
            path
            for name, half in zip(_HALVES, halves)
            if not is_kept(info, square, name)
            for path in half.paths
        ]
        num_bytes = len(undone) * int(np.prod(square.shape))
        return Stay(undone=undone, new_bytes=num_bytes, streamed=0)

    return Listing(
        classes=halves[0].classes,
        groups=tuple(tuple(half.paths) for half in halves),
        train_counts=tuple(count - given for count, given in zip(counts, held)),
        holdout_images=sum(held),
        test_counts=test_counts,
        stay=stay,
    )


def _counts(labels: npt.NDArray[np.integer], classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())
