"""What a folder of images holds and what each is used for, before any is decoded."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.digests import DIGEST_BYTES, digests_of
from supernet.data.files import Identities, ImageFile, identities_of
from supernet.data.images import HOLDOUT_IMAGES
from supernet.data.layout import Layout, find_layout
from supernet.data.record import ImageRecord
from supernet.data.shares import cut
from supernet.errors import DataError
from supernet.progress import Progress, silent

__all__ = ["HOLDOUT_SHARE", "TEST_SHARE", "USES", "Part", "Survey", "survey"]

HOLDOUT_SHARE = 0.1
"""Of every class's training images, kept for choosing subnets."""
TEST_SHARE = 0.2
"""Of the images of a folder that has no test images, cut from it, `HOLDOUT_IMAGES` at most."""
_TRAIN, _HOLDOUT, _TEST, _UNUSED = range(4)
USES = ("to train on", "to hold out", "to test on")
"""What images of each split are for, in words."""
_MOST = 5  # names that are told


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """The images of one split folder."""

    name: str
    """Of its folder; empty where it is the one that was given."""
    by_class: tuple[tuple[ImageFile, ...], ...]
    """Files, in the order of the classes."""
    identities: Identities
    """Of the files in that order, ``(N, 16)``."""
    digests: npt.NDArray[np.uint64]
    """Of the contents in that order, ``(N,)``."""
    splits: npt.NDArray[np.uint8]
    """What each is used for, as in an `ImageRecord`, ``(N,)``; changed while it is decided."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class of each, ``(N,)``."""
        return np.repeat(np.arange(len(self.by_class)), [len(images) for images in self.by_class])


@dataclass(frozen=True, eq=False, slots=True)
class Survey:
    """The images of a folder, each with its use."""

    root: Path
    """The folder that all files are in."""
    parts: tuple[Part, ...]
    """Split folders; the training images are in the first."""
    record: ImageRecord
    notes: tuple[str, ...]
    """What a user should know, a line each."""


def survey(
    source: Path,
    cache: Path,
    holdout_share: float = HOLDOUT_SHARE,
    seed: int = 0,
    *,
    known: ImageRecord | None = None,
    progress: Progress = silent,
) -> Survey:
    """List the images of a folder or of tar files, and decide what they are used for.

    Args:
        source: the folder, or a name for the tar files.
        cache: folder for digests of their contents.
        holdout_share: of every class's training images.
        seed: of the choice of the hold-out images, not of that of test images.
        known: images whose use is decided already.
        progress: told about files that are read.

    Raises:
        DataError: a folder is missing or empty, or classes do not fit.
    """
    layout = find_layout(source, cache)
    folder = layout.root
    most = DIGEST_BYTES if known is None else known.digest_bytes
    read = [
        _part(folder / layout.folders[role], folder, by_class, use, cache, most, progress)
        for role, by_class, use in (
            ("train", layout.train, _TRAIN),
            ("holdout", layout.holdout, _HOLDOUT),
            ("test", layout.test, _TEST),
        )
        if by_class
    ]
    notes = list(layout.notes)
    train = read[0]
    if not layout.test:
        _use(train, layout.classes, _TEST, TEST_SHARE, "test images", known, most=HOLDOUT_IMAGES)
        count = int((train.splits == _TEST).sum())
        notes.append(
            f"{folder.name}: has no test images, so {count:,} of its {len(train.digests):,} are "
            "kept for testing, always the same ones"
        )
    if layout.holdout:
        spare = ~cut(read[1].digests, read[1].labels, 1.0, f"hold-out {seed}")
        read[1].splits[spare] = _UNUSED
    else:
        salt = f"hold-out {seed}"
        _use(train, layout.classes, _HOLDOUT, holdout_share, salt, known, most=HOLDOUT_IMAGES)
    record = ImageRecord(
        classes=layout.classes,
        digests=np.concatenate([part.digests for part in read]),
        labels=np.concatenate([part.labels for part in read]),
        splits=np.concatenate([part.splits for part in read]),
        digest_bytes=most,
    )
    _check(folder, record)
    notes += _few(layout, train) + _twice(read) + _in_two(read)
    return Survey(folder, tuple(read), record, tuple(notes))


def _part(
    place: Path,
    root: Path,
    by_class: tuple[tuple[ImageFile, ...], ...],
    use: int,
    cache: Path,
    most: int,
    progress: Progress,
) -> Part:
    files = [file for images in by_class for file in images]
    identities = identities_of(files)
    told = hashlib.sha256(f"{place.resolve()}|{most}".encode()).hexdigest()[:16]
    kept = cache / f"{told}.digests"
    digests = digests_of(files, identities, kept, progress, most=most)
    splits = np.full(len(files), use, dtype=np.uint8)
    return Part("" if place == root else place.name, by_class, identities, digests, splits)


def _use(
    part: Part,
    classes: Sequence[str],
    use: int,
    share: float,
    salt: str,
    known: ImageRecord | None,
    *,
    most: int,
) -> None:
    """Cut a share of a part's training images; those that are known keep their use.

    An image that is known in its class has the use that it has there, and one that is known in
    others only the use that it has in any.
    """
    rows = np.flatnonzero(part.splits == _TRAIN)
    chosen = cut(part.digests[rows], part.labels[rows], share, salt, most=most)
    if known is not None:
        used, there = known.splits != _UNUSED, known.splits == use
        own = _in_class(part.digests[rows], part.labels[rows], classes)
        theirs = _in_class(known.digests, known.labels, known.classes)
        for mine, others in ((part.digests[rows], known.digests), (own, theirs)):
            decided = np.isin(mine, others[used])
            chosen[decided] = np.isin(mine, others[there])[decided]
    part.splits[rows[chosen]] = use


def _in_class(
    digests: npt.NDArray[np.uint64], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> npt.NDArray[np.uint64]:
    """Numbers of images in their classes, ``(N,)``."""
    named = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in classes]
    return digests ^ np.frombuffer(b"".join(named), dtype="<u8").astype(np.uint64)[labels]


def _check(folder: Path, record: ImageRecord) -> None:
    for split, what in enumerate(USES):
        if not (record.splits == split).any():
            count = len(record.digests)
            copies = count - len(np.unique(record.digests))
            told = f"; {copies:,} of the {count:,} are copies of others" if copies else ""
            raise DataError(
                f"{folder}: too few images: there is none left {what}{told}",
                hint="every class needs at least 3 different images, better 50",
            )


def _few(layout: Layout, train: Part) -> list[str]:
    """Classes of which nothing can be kept back."""
    wanted = [split for split, own in ((_HOLDOUT, layout.holdout), (_TEST, layout.test)) if not own]
    labels, count = train.labels, len(layout.classes)
    kept = [np.bincount(labels[train.splits == split], minlength=count) for split in wanted]
    lone: Mapping[str, int] = {
        name: len(images)
        for label, (name, images) in enumerate(zip(layout.classes, layout.train))
        if any(not of_split[label] for of_split in kept)
    }
    if not lone:
        return []
    names = ", ".join(f"{name!r} ({count})" for name, count in list(lone.items())[:_MOST])
    more = f" and {len(lone) - _MOST} more" if len(lone) > _MOST else ""
    return [
        f"too few images to keep some back for choosing or testing: {names}{more}; add some, or "
        "remove the folder"
    ]


def _twice(parts: list[Part]) -> list[str]:
    """Images that are in the training folder and in another."""
    trained = np.unique(parts[0].digests)
    count = sum(int(np.isin(part.digests, trained).sum()) for part in parts[1:])
    if not count:
        return []
    return [
        f"{count:,} of the images to choose by or to test on are copies of training images: "
        "accuracies on them come out too high"
    ]


def _in_two(parts: list[Part]) -> list[str]:
    """Images that are in several classes."""
    digests = np.concatenate([part.digests for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    order = np.lexsort((labels, digests))
    same = np.flatnonzero(digests[order[1:]] == digests[order[:-1]])
    same = same[labels[order[same + 1]] != labels[order[same]]]
    if not len(same):
        return []
    count = len(np.unique(digests[order[same]]))
    files = [file for part in parts for images in part.by_class for file in images]
    first, second = (str(files[order[place]]) for place in (same[0], same[0] + 1))
    return [
        f"{count:,} image{'s are' if count > 1 else ' is'} in more than one class, such as "
        f"{first!r}, the same as {second!r}: no network can tell them apart; leave each in one"
    ]
