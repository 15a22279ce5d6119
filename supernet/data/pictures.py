"""From a picture file to 8-bit colours: more bits than 8, transparency, orientation, shape.

Needs Python 3.8, NumPy and Pillow alone: an exported folder holds this file as it is, so that a
photograph there becomes the pixels that it became in training.
"""

from __future__ import annotations

import io
import math
import sys
from typing import Any, Mapping, Sequence  # noqa: UP035  # Python 3.8 takes these alone as alias

import numpy as np
from PIL import Image, ImageFile

__all__ = [
    "Levels",
    "deep_kind",
    "deep_values",
    "extremes",
    "fitted",
    "levels_of",
    "upright",
]

Levels = Mapping[str, Sequence[float]]
"""Black and white of values that have more than 8 bits, by their kind: integer, float."""

_ORIENTATION = 0x0112  # of EXIF
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SEE_THROUGH = ("LA", "La", "PA", "RGBA", "RGBa")
_WITH_CLEARNESS = (2, 4)  # channels; how clear a pixel is has no levels but 0 and 65,535
_FEW = 1e-4  # of the values may lie beyond black and white: dead pixels
_SEEN_VALUES = 1_000_000  # of a picture
_ROOM = 1.1  # sharpening puts a few floats above the white that was meant

# Pillow keeps the high bytes alone of 16-bit colours. What it calls the other byte order are
# the low bytes, so both together are the values. It reads two greys as four bytes.
_LOW_BYTES = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if sys.byteorder == "little" else "RGBA;16L",
}
_TWO_GREYS = "LA;16B"


def deep_kind(image: Image.Image) -> str:
    """``integer`` or ``float`` where the file holds more than 8 bits a value, else nothing.

    The header tells it: nothing is decoded.
    """
    if image.mode == "F":
        return "float"
    return "integer" if image.mode.startswith("I") or _raw_mode(image) else ""


def deep_values(image: Image.Image) -> Any:
    """All values of such a picture, shape ``(H, W)`` or ``(H, W, C)``."""
    raw = _raw_mode(image)
    if not raw:
        return np.nan_to_num(np.asarray(image), posinf=0, neginf=0)
    assert isinstance(image, ImageFile.ImageFile)
    assert image.fp is not None
    image.fp.seek(0)
    content = image.fp.read()
    if raw == _TWO_GREYS:
        image.load()
        pairs = _read_as(content, "RGBA").reshape(image.height, image.width, 2, 2)
        return pairs[..., 0] << 8 | pairs[..., 1]
    high = np.asarray(image).astype(np.uint16)
    return high << 8 | _read_as(content, _LOW_BYTES[raw])


def _raw_mode(image: Image.Image) -> str:
    """How Pillow would read 16-bit colours, or nothing where it would not lose bits by that."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    told = image.tile[0][3]  # by their names in newer versions only
    raw = told if isinstance(told, str) else next(iter(told or ()), "")
    return raw if raw in _LOW_BYTES or raw == _TWO_GREYS else ""


def _read_as(content: bytes, raw: str) -> Any:
    """The bytes that Pillow finds under this name, as 16-bit integers."""
    with Image.open(io.BytesIO(content)) as image:
        image.tile = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
            for tile in image.tile
        ]
        return np.asarray(image).astype(np.uint16)


def levels_of(kind: str, low: float, high: float) -> tuple[float, float]:
    """Black and white of values from `low` to `high`.

    Black is 0, white the highest value of as many bits as are needed: 1,023, 4,095, 65,535;
    of floats 1 or a power of two below it. Values below 0 are taken as they are.
    """
    if low < 0:
        around = kind == "float" and low >= -_ROOM and high <= _ROOM
        return (-1.0, 1.0) if around else (low, max(high, low + 1))
    if high <= 0:
        return 0.0, 1.0
    if kind == "float" and high <= _ROOM:
        return 0.0, 2.0 ** min(0, math.ceil(math.log2(high / _ROOM)))
    room = _ROOM if kind == "float" else 1.0
    bits = math.ceil(math.log2(high / room + 1))
    return 0.0, 2.0**bits - 1


def extremes(values: Any) -> tuple[float, float]:
    """Lowest and highest of a picture's values, but for one in ten thousand."""
    if values.ndim == 3 and values.shape[2] in _WITH_CLEARNESS:
        values = values[..., :-1]
    some = values.ravel()[:: max(1, values.size // _SEEN_VALUES)]
    low, high = np.quantile(some, (_FEW, 1 - _FEW), method="nearest")
    return float(low), float(high)


def upright(image: Image.Image, levels: Levels, *, grey: bool = False) -> Image.Image:
    """A picture in 8-bit colours, turned as the camera was held, on white where it is clear.

    Args:
        image: opened; it is decoded here.
        levels: black and white where it has more than 8 bits; its own where they are not told.
        grey: give greys in place of colours.

    Raises:
        OSError, ValueError: it cannot be decoded.
    """
    kind = deep_kind(image)
    plain = _eight_bits(deep_values(image), kind, levels) if kind else image
    plain.load()
    if plain.mode == "LAB":
        plain = _in_colours(plain)
    if plain.mode in _SEE_THROUGH or "transparency" in plain.info:
        plain = plain.convert("RGBA")
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, "white"), plain)
    wanted = "L" if grey else "RGB"
    if plain.mode != wanted:  # it would be copied
        plain = plain.convert(wanted)
    turn = _TURNED.get(image.getexif().get(_ORIENTATION, 1))
    return plain if turn is None else plain.transpose(turn)


def _in_colours(image: Image.Image) -> Image.Image:
    """CIELAB as sRGB, by colour profiles: Pillow has no other way.

    Raises:
        ValueError: this Pillow has none.
    """
    try:
        from PIL import ImageCms

        ends = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        found = ImageCms.applyTransform(image, ImageCms.buildTransform(*ends, "LAB", "RGB"))
    except ImportError as error:
        raise ValueError("CIELAB needs a Pillow with LittleCMS") from error
    assert found is not None
    return found


def _eight_bits(values: Any, kind: str, levels: Levels) -> Image.Image:
    told = levels.get(kind) or levels_of(kind, *extremes(values))
    black, white = np.float32(told[0]), np.float32(told[1])
    scaled = (values.astype(np.float32) - black) * (255 / (white - black))
    if values.ndim == 3 and values.shape[2] in _WITH_CLEARNESS:
        scaled[..., -1] = values[..., -1] / np.float32(257)
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))


def fitted(image: Image.Image, fit: str) -> Image.Image:
    """The picture with black around it to make a square of it, where `fit` is ``pad``."""
    if fit != "pad" or image.width == image.height:
        return image
    side = max(image.size)
    square = Image.new(image.mode, (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
