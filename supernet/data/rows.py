"""What is known of each image file after it was decoded, kept beside the pixels."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.data.decoding import Picture, told
from supernet.data.files import Identities
from supernet.files import atomic_path

__all__ = ["BROKEN", "DONE", "UNDONE", "Ints", "Rows"]

UNDONE, DONE, BROKEN = 0, 1, 2
_FLAT = 2  # grey levels between the darkest and the brightest pixel of one colour

Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """What is known of each image of a store, one row each."""

    identity: Identities
    """Of the files, ``(N, 16)``."""
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
    def of(cls, identities: Identities) -> "Rows":
        """Rows of files of which nothing was decoded yet."""
        count = len(identities)
        return cls(
            identities,
            np.full(count, UNDONE, np.uint8),
            np.zeros((count, 2), np.int32),
            np.ones((count, 2), np.int16),
            np.full((count, 3), -1, np.int16),
            {},
        )

    def take_over(self, mine: Ints, its: Ints, other: "Rows") -> None:
        """What is known of the same files elsewhere.

        Args:
            mine: rows here.
            its: their rows there, as `shared_with` gives both.
            other: what is known there.
        """
        for name in ("state", "size", "extent", "colour"):
            getattr(self, name)[mine] = getattr(other, name)[its]
        if other.why:
            of = dict(zip(its.tolist(), mine.tolist()))
            self.why.update({of[row]: why for row, why in other.why.items() if row in of})

    def shared_with(self, other: "Rows", state: int) -> tuple[Ints, Ints]:
        """Rows that are undone here and of a state there, of the same files; here, and there."""
        known = {one.tobytes(): row for row, one in enumerate(other.identity)}
        undone = np.flatnonzero(self.state == UNDONE)
        its = np.array([known.get(one.tobytes(), -1) for one in self.identity[undone]], np.int64)
        undone, its = undone[its >= 0], its[its >= 0]
        fit = other.state[its] == state
        return undone[fit], its[fit]

    def note(self, row: int, picture: Picture | Exception) -> None:
        """What came of decoding a file."""
        if isinstance(picture, Exception):
            self.why[row], self.state[row] = told(picture), BROKEN
            return
        self.size[row], self.extent[row] = picture.size, picture.extent
        if _flat(picture.pixels):
            self.colour[row] = picture.pixels[0, 0]
        self.state[row] = DONE

    def save(self, path: Path) -> None:
        """Write them beside their pixels."""
        rows = sorted(self.why)
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez(
                handle,
                identity=self.identity,
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
                identity = "identity" if "identity" in kept else "digest"  # in older stores
                why = dict(zip(kept["broken"].tolist(), map(str, kept["why"].tolist())))
                return cls(
                    kept[identity], kept["state"], kept["size"], kept["extent"], kept["colour"], why
                )
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None


def _flat(pixels: npt.NDArray[np.uint8]) -> bool:
    some = pixels[::16, ::16, 0]  # which tell most
    if int(some.max()) - int(some.min()) > _FLAT:
        return False
    return bool(np.ptp(pixels, axis=(0, 1)).max() <= _FLAT)
