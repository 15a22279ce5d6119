"""The files that a data set consists of, where it consists of files; nothing is decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data._torchvision import open_half
from supernet.data.catalogue import NAMED, NamedSet
from supernet.data.decoding import Square
from supernet.data.images import HOLDOUT_IMAGES
from supernet.data.named import is_kept
from supernet.data.photographs import is_stored
from supernet.data.record import SPLITS
from supernet.data.survey import HOLDOUT_SHARE, survey
from supernet.places import user_folder
from supernet.progress import Progress

__all__ = ["Listing", "list_files"]

_HALVES = ("train", "test")
_TRAIN, _HOLDOUT, _TEST = range(len(SPLITS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files, in groups that are decoded together, and what they are used for."""

    classes: tuple[str, ...]
    """Names, as the training has them."""
    groups: tuple[tuple[Path, ...], ...]
    """Files; those to train on are in the first."""
    train_counts: tuple[int, ...]
    """Of each class, without those that will be held out."""
    holdout_images: int
    """That will be held out."""
    test_counts: tuple[int, ...]
    """Of each class."""
    is_decoded: Callable[[int, Square], bool]
    """Whether a group lies decoded so."""


def list_files(data: str, seed: int, progress: Progress) -> Listing | None:
    """The files of a data set; None where its images are stored as pixels.

    Published ones are downloaded where they are not here.

    Raises:
        DataError: a folder that cannot be trained on.
    """
    if Path(data).is_dir():
        return _of_folder(Path(data), seed, progress)
    if data in NAMED and not NAMED[data].pixels:
        return _of_named(NAMED[data])
    return None


def _of_folder(folder: Path, seed: int, progress: Progress) -> Listing:
    cache = user_folder() / "images"
    found = survey(folder, cache, seed=seed, progress=progress)
    record, classes = found.record, found.record.classes
    groups = tuple(
        tuple(Path(path) for images in part.by_class for path in images) for part in found.parts
    )

    def is_decoded(group: int, square: Square) -> bool:
        return is_stored(groups[group], folder / found.parts[group].name, square, cache)

    return Listing(
        classes=classes,
        groups=groups,
        train_counts=_counts(record.labels[record.splits == _TRAIN], len(classes)),
        holdout_images=int((record.splits == _HOLDOUT).sum()),
        test_counts=_counts(record.labels[record.splits == _TEST], len(classes)),
        is_decoded=is_decoded,
    )


def _of_named(info: NamedSet) -> Listing:
    halves = [open_half(info, half, user_folder() / "datasets" / info.name) for half in _HALVES]
    counts, test_counts = (_counts(half.labels, len(halves[0].classes)) for half in halves)
    held = [max(1, round(HOLDOUT_SHARE * count)) for count in counts]
    kept = min(1.0, HOLDOUT_IMAGES / sum(held))
    held = [max(1, int(kept * count)) for count in held]
    return Listing(
        classes=halves[0].classes,
        groups=tuple(tuple(half.paths) for half in halves),
        train_counts=tuple(count - given for count, given in zip(counts, held)),
        holdout_images=sum(held),
        test_counts=test_counts,
        is_decoded=lambda group, square: is_kept(info, square, _HALVES[group]),
    )


def _counts(labels: npt.NDArray[np.integer], classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=classes).tolist())
