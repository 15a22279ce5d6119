"""Which images a data set held: kept with a run, compared when it is read again."""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.digests import DIGEST_BYTES, OLD_DIGEST_BYTES
from supernet.errors import FileFormatError
from supernet.files import atomic_path

__all__ = ["SPLITS", "ImageRecord", "changes", "load_record"]

SPLITS = ("train", "holdout", "test")
"""What images are used for; a record numbers them in this order."""
_HELD_BACK = len(SPLITS)
"""Neither: beyond the most that is held out."""
_MOST = 4  # changes that are told


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ImageRecord:
    """Every image of a data set by its content, with its class and what it is used for."""

    classes: tuple[str, ...]
    digests: npt.NDArray[np.uint64]
    """Of the contents, ``(N,)``."""
    labels: npt.NDArray[np.int64]
    """Indices of the classes, ``(N,)``."""
    splits: npt.NDArray[np.uint8]
    """Indices into `SPLITS`, ``(N,)``; 3 for images that are not used."""
    digest_bytes: int = DIGEST_BYTES
    """Of a file that were read for its digest, at most."""

    def fingerprints(self) -> dict[str, str]:
        """By split a hash of the images and their classes, whatever files are called."""
        order = np.lexsort((self.digests, self.labels))
        digests, labels, splits = (a[order] for a in (self.digests, self.labels, self.splits))
        found = {}
        for number, name in enumerate(SPLITS):
            used = splits == number
            counts = np.bincount(labels[used], minlength=len(self.classes)).tolist()
            listed = "\0".join(f"{own}\0{count}" for own, count in zip(self.classes, counts))
            code = hashlib.sha256(listed.encode())
            code.update(digests[used].astype("<u8").tobytes())
            found[name] = code.hexdigest()[:32]
        return found

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            StorageError: the disk refuses it.
        """
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(
                handle,
                classes=np.array(self.classes),
                digests=self.digests,
                labels=self.labels.astype(np.int32),
                splits=self.splits,
                digest_bytes=np.array(self.digest_bytes),
            )


def load_record(path: Path) -> ImageRecord:
    """Read a record back.

    Raises:
        FileFormatError: not one, or damaged.
    """
    try:
        with path.open("rb") as handle, np.load(handle) as arrays:
            told = arrays.get("digest_bytes", OLD_DIGEST_BYTES)
            return ImageRecord(
                classes=tuple(map(str, arrays["classes"])),
                digests=arrays["digests"].astype(np.uint64),
                labels=arrays["labels"].astype(np.int64),
                splits=arrays["splits"].astype(np.uint8),
                digest_bytes=int(told),
            )
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:80]
        raise FileFormatError(
            f"{path}: not a record of images: {reason}", hint="put it back from a copy of the run"
        ) from None


def changes(before: ImageRecord, now: ImageRecord) -> list[str]:
    """What is different, a few words each; nothing where all images are the same.

    Training and hold-out images are told together: users see one folder.
    """
    told: list[str] = []
    for what, numbers in (("training", (0, 1, _HELD_BACK)), ("test", (2,))):
        told += _set_changes(_labelled(before, numbers), _labelled(now, numbers), what)
    trained = np.unique(before.digests[before.splits == 0])
    known_before = np.unique(before.digests[before.splits == 2])
    now_test = now.digests[now.splits == 2]
    leaked = np.isin(now_test, trained) & ~np.isin(now_test, known_before)
    if leaked.any():
        count = _images(int(leaked.sum()), "test")
        told.insert(0, f"trained on: {count}, so that accuracies on them are too high")
    more = len(told) - _MOST
    return told[:_MOST] + [f"{more} more changes"] * (more > 0)


def _labelled(record: ImageRecord, numbers: tuple[int, ...]) -> dict[int, Counter[str]]:
    """By content the classes that it is in."""
    used = np.isin(record.splits, numbers)
    found: dict[int, Counter[str]] = {}
    pairs = zip(record.digests[used].tolist(), record.labels[used].tolist())
    for digest, label in pairs:
        found.setdefault(digest, Counter())[record.classes[label]] += 1
    return found


def _set_changes(
    before: Mapping[int, Counter[str]], now: Mapping[int, Counter[str]], what: str
) -> list[str]:
    moved: Counter[tuple[str, str]] = Counter()
    added: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    nothing: Counter[str] = Counter()
    for digest in {**before, **now}:
        old, new = before.get(digest, nothing), now.get(digest, nothing)
        if old == new:
            continue
        lost, won = sorted((old - new).elements()), sorted((new - old).elements())
        both = min(len(lost), len(won))
        moved.update(zip(lost[:both], won[:both]))
        added.update(won[both:])
        gone.update(lost[both:])
    return [*_moves(moved, what), *_counts(added, gone, what)]


def _moves(moved: Counter[tuple[str, str]], what: str) -> list[str]:
    told = []
    for (source, target), count in sorted(moved.items()):
        back = moved.get((target, source), 0)
        if back and source < target:
            told.append(
                f"class folders {source!r} and {target!r} hold each other's {what} images "
                f"({count:,} and {back:,})"
            )
        elif not back:
            told.append(f"{_images(count, what)} of {source!r} now in {target!r}")
    return told


def _counts(added: Counter[str], gone: Counter[str], what: str) -> list[str]:
    told = []
    for name in sorted({**added, **gone}):
        changed = min(added[name], gone[name])
        for count, how in (
            (changed, "changed in"),
            (added[name] - changed, "added to"),
            (gone[name] - changed, "gone from"),
        ):
            if count:
                told.append(f"{_images(count, what)} {how} {name!r}")
    return told


def _images(count: int, what: str) -> str:
    return f"{count:,} {what} image{'s' * (count > 1)}"
