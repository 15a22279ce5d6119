"""A picture file becomes pixels of one shape; or those of a batch do, on demand."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from supernet.data.files import ImageFile, source_of
from supernet.data.pictures import Levels, fitted, upright
from supernet.errors import DataError
from supernet.reading import Reading

__all__ = ["DecodedOnDemand", "Picture", "Square", "square_of"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    pixels: npt.NDArray[np.uint8]
    """As `Square.shape`; of an upright one with its long side first, laid out anew."""
    size: tuple[int, int]
    """Width and height that the file had, upright."""
    extent: tuple[int, int]
    """Height and width that the picture has in the pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """How any picture becomes a square of pixels, or one with what lies beside it."""

    side: int
    """In pixels."""
    fit: str = "crop"
    """As in `supernet.reading.Reading`."""
    levels: Levels = field(default_factory=dict)
    """Likewise."""
    whole: bool = False
    """Keep what lies beside the central square, up to half of its side in all."""

    @property
    def long(self) -> int:
        """Pixels of the longer side that are kept; as odd or even as the other one."""
        return self.side + (2 * (self.side // 4) if self.whole and self.fit == "crop" else 0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pixels."""
        return self.side, self.long, 3

    def decoded(self, file: ImageFile) -> Picture:
        """The picture in a file; raises anything where that is damaged."""
        size = self.side, self.side
        with Image.open(source_of(file)) as opened:
            opened.draft("RGB", size)
            image = upright(opened, self.levels)
        made = fitted(image, self.fit)
        if self.fit == "squash":
            square = made.resize(size, Image.Resampling.BICUBIC)
        else:
            square = ImageOps.fit(made, size, Image.Resampling.BICUBIC)
        if self.long > self.side:
            return self._with_sides(made, np.asarray(square))
        return Picture(np.asarray(square), image.size, size)

    def _with_sides(self, image: Image.Image, square: npt.NDArray[np.uint8]) -> Picture:
        """The central square, to the bit, in the middle of what lies beside it."""
        width, height = image.size
        short = min(image.size)
        scale = short / self.side
        beside = max(0, int((max(image.size) / scale - self.side) // 2 * 2))
        beside = min(self.long - self.side, beside)
        is_upright = height > width and beside > 0
        half, span = beside // 2, beside / 2 * scale
        before, middle = (max(image.size) - short) * 0.5, (self.long - self.side) // 2
        block = np.zeros((self.long, self.side, 3), np.uint8)
        if not is_upright:
            block = block.reshape(self.shape).transpose(1, 0, 2)  # the long side first
            square = square.transpose(1, 0, 2)
        block[middle : middle + self.side] = square
        strips = ((before - span, middle - half), (before + short, middle + self.side))
        for start, row in strips if beside else ():
            first, last = max(0.0, start), min(float(max(image.size)), start + span)
            box = (0, first, width, last) if is_upright else (first, 0, last, height)
            size = (self.side, half) if is_upright else (half, self.side)
            strip = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box))
            block[row : row + half] = strip if is_upright else strip.transpose(1, 0, 2)
        extent = (self.side + beside, self.side) if is_upright else (self.side, self.side + beside)
        pixels = block if is_upright else block.transpose(1, 0, 2)
        return Picture(pixels.reshape(self.shape), image.size, extent)


def square_of(side: int, reading: Reading) -> Square:
    """What a picture becomes, so many pixels high and wide."""
    return Square(side=side, fit=reading.fit, levels=reading.levels, whole=reading.whole)


class DecodedOnDemand:
    """The squares of image files as an array that decodes what is asked for.

    For data sets that are larger, decoded, than the disk. Decoding is most of the time
    then, and takes as many threads as there are processors.

    Args:
        files: of the images.
        square: what they become.
    """

    def __init__(self, files: Sequence[ImageFile], square: Square) -> None:
        self._files, self._square = files, square

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(N, *square.shape)``."""
        return len(self._files), *self._square.shape

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images of these rows, shape ``(n, *square.shape)``.

        Raises:
            DataError: one of them cannot be decoded.
        """
        found = np.empty((len(rows), *self._square.shape), np.uint8)

        def decode(place: int) -> None:
            found[place] = self._pixels(int(rows[place]))

        list(self._pool.map(decode, range(len(rows))))
        return found

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="supernet-decoding")

    def _pixels(self, row: int) -> npt.NDArray[np.uint8]:
        try:
            return self._square.decoded(self._files[row]).pixels
        except Exception as error:  # noqa: BLE001  # a decoder may raise anything on damage
            raise DataError(
                f"{self._files[row]} cannot be decoded: {told(error)}",
                hint="remove or replace it",
            ) from None


def told(error: Exception) -> str:
    """What a decoder says, in one short line."""
    if isinstance(error, UnidentifiedImageError):  # Pillow names the file, or an object
        return "cannot identify what kind of image it is"
    return " ".join(str(error).split())[:80] or type(error).__name__
