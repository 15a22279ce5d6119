"""Where decoded images lie: on the disk as far as there is room, the others in their files.

What is seen again and again goes first: images to choose by and to test on. Of the training images
all are stored, or half of them, a quarter, and so on: always the same ones, so that a store is
found again when the room has changed a little.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from supernet.data.decoding import DecodedOnDemand, Square
from supernet.data.files import Identities, ImageFile, listing_of
from supernet.data.images import Pixels
from supernet.data.rows import BROKEN, DONE, UNDONE, Ints, Rows
from supernet.data.store import Stored, beside, check, decoded, opened, room_bytes
from supernet.data.survey import Part
from supernet.progress import Progress

__all__ = ["Kept", "Room"]

_SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.0)
"""Of the training images that are stored."""
_TRAIN, _UNUSED = 0, 3  # of a part's splits
_SUPERSEDED = 0.5  # of an older store's rows are in the new one

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """The images of one part of a data set."""

    pixels: Pixels
    rows: Rows


class PartlyStored:
    """Images of which some lie decoded on the disk; the others are decoded when asked for.

    Args:
        stores: arrays of decoded images.
        which: for each image the number of its store, -1 for none, and its row there, ``(N, 2)``.
        others: all images, decoded on demand.
    """

    def __init__(
        self, stores: Sequence[npt.NDArray[np.uint8]], which: Ints, others: DecodedOnDemand
    ) -> None:
        self._stores, self._which, self._others = stores, which, others

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, *square.shape)``."""
        return self._others.shape

    def __getitem__(self, rows: Ints) -> npt.NDArray[np.uint8]:
        """The images of these rows, shape ``(n, *square.shape)``.

        Raises:
            DataError: one of them cannot be decoded.
        """
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        store, its = self._which[rows].T
        for number, pixels in enumerate(self._stores):
            there = store == number
            found[there] = pixels[its[there]]
        loose = store < 0
        if loose.any():
            found[loose] = self._others[rows[loose]]
        return found


class Room:
    """Which images of a data set are stored decoded, chosen for the room that there is.

    Args:
        parts: of the data set.
        root: the folder of their files.
        square: what pictures become.
        cache: folder of the stores.
    """

    def __init__(self, parts: Sequence[Part], root: Path, square: Square, cache: Path) -> None:
        self._parts, self._square, self._cache = parts, square, cache
        self._prefixes = [_prefix(root / part.name, square) for part in parts]
        self._row_bytes = int(np.prod(square.shape))
        self._masks = self._fitting()

    @property
    def is_enough(self) -> bool:
        """Whether all images are stored, or will be."""
        parts = zip(self._parts, self._masks)
        return all(np.array_equal(np.any(own, axis=0), _used(part)) for part, own in parts)

    @property
    def new_bytes(self) -> int:
        """What is still to be written."""
        return self._new_bytes(self._masks)

    @property
    def streamed(self) -> int:
        """Training images that are decoded each time they are seen."""
        parts = zip(self._parts, self._masks)
        return sum(
            int(((part.splits == _TRAIN) & ~np.any(masks, axis=0)).sum()) for part, masks in parts
        )

    @property
    def undone(self) -> tuple[ImageFile, ...]:
        """Files that were not decoded yet, neither to be stored nor to be checked."""
        found: list[ImageFile] = []
        for part, prefix, masks in zip(self._parts, self._prefixes, self._masks):
            stored = np.any(masks, axis=0)
            rows = Rows.of(part.identities)
            for path in self._stores(prefix):
                known = Rows.load(beside(path))
                if known is not None:
                    for state in (DONE, BROKEN):
                        rows.take_over(*rows.shared_with(known, state), known)
            known = None if stored.all() else Rows.load(beside(self._path(part, prefix)))
            if known is not None:
                loose = Rows.of(part.identities[~stored])
                loose.take_over(*loose.shared_with(known, DONE), known)
                rows.state[np.flatnonzero(~stored)[loose.state == DONE]] = DONE
            files = [file for images in part.by_class for file in images]
            left = (rows.state == UNDONE) & _used(part)
            found += [files[row] for row in np.flatnonzero(left).tolist()]
        return tuple(found)

    def kept(self, number: int, progress: Progress) -> Kept:
        """The images of a part; those that are to be stored are decoded where they are not.

        Those that are not used are neither decoded nor known.

        Raises:
            StorageError: a store cannot be written.
        """
        part, prefix, masks = self._parts[number], self._prefixes[number], self._masks[number]
        files = [file for images in part.by_class for file in images]
        if masks[0].all():
            store = self._stored(files, part.identities, prefix, progress)
            return Kept(store.pixels, store.rows)
        rows = Rows.of(part.identities)
        which = np.full((len(files), 2), -1)
        arrays: list[npt.NDArray[np.uint8]] = []
        for mask in masks:
            members = np.flatnonzero(mask)
            if len(members):
                some = [files[row] for row in members.tolist()]
                store = self._stored(some, part.identities[mask], prefix, progress)
                which[members] = np.stack(
                    [np.full(len(members), len(arrays)), np.arange(len(members))], axis=1
                )
                rows.take_over(members, np.arange(len(members)), store.rows)
                arrays.append(store.pixels)
        loose = np.flatnonzero(_used(part) & ~np.any(masks, axis=0))
        if len(loose):
            checked = Rows.of(part.identities[loose])
            some = [files[row] for row in loose.tolist()]
            check(some, self._square, self._path(part, prefix), checked, progress)
            rows.take_over(loose, np.arange(len(loose)), checked)
        others = DecodedOnDemand(files, self._square)
        return Kept(PartlyStored(arrays, which, others), rows)

    def _stored(
        self, files: Sequence[ImageFile], identities: Identities, prefix: str, progress: Progress
    ) -> Stored:
        path = self._cache / f"{prefix}-{listing_of(identities)}.npy"
        others = [other for other in self._stores(prefix) if other != path]
        rows = Rows.of(identities)
        store = decoded(files, self._square, path, progress, earlier=others, rows=rows)
        for other in others:
            _remove_superseded(other, store.rows)
        return store

    def _stores(self, prefix: str) -> list[Path]:
        return sorted(self._cache.glob(f"{prefix}-*.npy"))

    def _path(self, part: Part, prefix: str) -> Path:
        return self._cache / f"{prefix}-{listing_of(part.identities)}.npy"

    def _fitting(self) -> list[tuple[Mask, Mask]]:
        """The largest choice that there is room for; of each part two stores."""
        room = room_bytes(self._cache / "store")
        choices = [(share, True) for share in _SHARES] + [(0.0, False)]
        for share, seen_often in choices:
            masks = [_masks(part, share, seen_often=seen_often) for part in self._parts]
            if self._new_bytes(masks) <= room:
                break
        return masks

    def _new_bytes(self, masks: Sequence[tuple[Mask, Mask]]) -> int:
        images = 0
        for part, prefix, own in zip(self._parts, self._prefixes, masks):
            for mask in own:
                path = self._cache / f"{prefix}-{listing_of(part.identities[mask])}.npy"
                known = opened(path, self._square) if mask.any() and path.exists() else None
                images += 0 if known and known.is_whole else int(mask.sum())
        return images * self._row_bytes


def _masks(part: Part, share: float, *, seen_often: bool) -> tuple[Mask, Mask]:
    """The images of a part's two stores: a share of all, and the others that are seen often."""
    used, nothing = _used(part), np.zeros(len(part.identities), bool)
    if share == 1 or (seen_often and not (part.splits == _TRAIN).any()):
        return used, nothing
    numbers = np.ascontiguousarray(part.identities[:, :4]).view("<u4")[:, 0] / 2**32
    chosen = (numbers < share) & used
    return chosen, used & (part.splits != _TRAIN) & ~chosen if seen_often else nothing


def _used(part: Part) -> Mask:
    return np.not_equal(part.splits, _UNUSED)


def _prefix(place: Path, square: Square) -> str:
    """How the names of all stores of a folder begin."""
    asked = [str(place.resolve()), square.side, square.long, square.fit, square.levels]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


def _remove_superseded(path: Path, rows: Rows) -> None:
    """Remove a store of the same folder, before files in it changed."""
    old = Rows.load(beside(path))
    if old is None:
        return
    known = {identity.tobytes() for identity in rows.identity}
    still = sum(identity.tobytes() in known for identity in old.identity)
    if still >= _SUPERSEDED * len(old.identity):
        path.unlink(missing_ok=True)
        beside(path).unlink(missing_ok=True)
