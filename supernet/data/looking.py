"""A look at the files of a data set: what values beyond 8 bits mean."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from PIL import Image

from supernet.data.files import ImageFile, source_of, suffix_of
from supernet.data.pictures import deep_kind, deep_values, extremes, levels_of
from supernet.progress import Progress, note
from supernet.reading import Reading

__all__ = ["looked_at"]

_NEVER_DEEP = (".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp")
_HEADERS, _DECODED = 4000, 200
"""Files that are looked at, and pictures of more than 8 bits that are decoded for it."""
_DARK = 8  # times darker than white: worth a word


def looked_at(files: Sequence[ImageFile], reading: Reading, progress: Progress) -> Reading:
    """`reading` with the black and white of the files that hold more than 8 bits; tells them."""
    may_be = [file for file in files if suffix_of(file) not in _NEVER_DEEP]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        kinds = list(pool.map(_kind, some := _spread(may_be, _HEADERS)))
    found: dict[str, tuple[float, ...]] = {}
    for kind in ("integer", "float"):
        deep = [file for file, this in zip(some, kinds) if this == kind]
        if deep:
            found[kind] = _levels(kind, deep, len(some), progress)
    return replace(
        reading, integers=found.get("integer", ()), floats=found.get("float", ()), looked=True
    )


def _spread(files: Sequence[ImageFile], most: int) -> list[ImageFile]:
    """At most so many, from all over the list."""
    return list(files[:: -(-len(files) // most)]) if files else []


def _kind(file: ImageFile) -> str:
    try:
        with Image.open(source_of(file)) as image:
            return deep_kind(image)
    except Exception:  # noqa: BLE001  # damage of any kind is told when it is decoded
        return ""


def _levels(
    kind: str, files: Sequence[ImageFile], seen: int, progress: Progress
) -> tuple[float, ...]:
    """Black and white of all of these, told in a line."""

    def ends(file: ImageFile) -> tuple[float, float] | None:
        try:
            with Image.open(source_of(file)) as image:
                return extremes(deep_values(image))
        except Exception:  # noqa: BLE001  # damage of any kind is told when it is decoded
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = [pair for pair in pool.map(ends, _spread(files, _DECODED)) if pair]
    if not decoded:
        return ()
    low, high = min(low for low, _ in decoded), max(high for _, high in decoded)
    black, white = levels_of(kind, low, high)
    highs = sorted(high for _, high in decoded)
    middle = highs[len(highs) // 2]
    dark = ""
    if middle - black < (white - black) / _DARK:
        dark = f" (half of them stay below {middle:,g}: dark)"
    note(
        progress,
        f"{len(files):,} of {seen:,} images looked at hold {kind}s of more than 8 bits, from "
        f"{low:,g} to {high:,g}: in all such {black:,g} becomes black and {white:,g} white{dark}",
    )
    return black, white
