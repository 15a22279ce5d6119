"""A picture file becomes pixels of one shape; or those of a batch do, on demand."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from supernet.data.pictures import Levels, fitted, upright
from supernet.errors import DataError

__all__ = ["DecodedOnDemand", "Picture", "Square"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    pixels: npt.NDArray[np.uint8]
    """``(side, side, 3)``."""
    size: tuple[int, int]
    """Width and height that the file had, upright."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """How any picture becomes a square of pixels."""

    side: int
    """In pixels."""
    fit: str = "crop"
    """As in `supernet.reading.Reading`."""
    levels: Levels = field(default_factory=dict)
    """Likewise."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pixels."""
        return self.side, self.side, 3

    def decoded(self, path: Path) -> Picture:
        """The picture in a file; raises anything where that is damaged."""
        size = self.side, self.side
        with Image.open(path) as opened:
            opened.draft("RGB", size)
            image = upright(opened, self.levels)
        made = fitted(image, self.fit)
        if self.fit == "squash":
            square = made.resize(size, Image.Resampling.BICUBIC)
        else:
            square = ImageOps.fit(made, size, Image.Resampling.BICUBIC)
        return Picture(np.asarray(square), image.size)


class DecodedOnDemand:
    """The squares of image files as an array that decodes what is asked for.

    For data sets that are larger, decoded, than the disk. Decoding is most of the time
    then, and takes as many threads as there are processors.

    Args:
        paths: of the images.
        square: what they become.
    """

    def __init__(self, paths: Sequence[Path], square: Square) -> None:
        self._paths, self._square = paths, square

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(N, side, side, 3)``."""
        return len(self._paths), *self._square.shape

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images of these rows, shape ``(n, side, side, 3)``.

        Raises:
            DataError: one of them cannot be decoded.
        """
        return np.stack(list(self._pool.map(self._pixels, rows.tolist())))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="supernet-decoding")

    def _pixels(self, row: int) -> npt.NDArray[np.uint8]:
        try:
            return self._square.decoded(self._paths[row]).pixels
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
            raise DataError(
                f"{self._paths[row]} cannot be decoded: {told(error)}", hint="remove or replace it"
            ) from None


def told(error: Exception) -> str:
    """What a decoder says, in one short line."""
    return " ".join(str(error).split())[:80] or type(error).__name__
