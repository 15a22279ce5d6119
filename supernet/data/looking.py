"""A look at the files of a data set: what values beyond 8 bits mean."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image

from supernet.data.pictures import deep_kind, deep_values, extremes, levels_of
from supernet.progress import Progress, note
from supernet.reading import Reading

__all__ = ["looked_at"]

_NEVER_DEEP = (".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp")
_HEADERS, _DECODED = 4000, 200
"""Files that are looked at, and pictures of more than 8 bits that are decoded for it."""
_DARK = 8  # times darker than white: worth a word


def looked_at(paths: Sequence[Path], reading: Reading, progress: Progress) -> Reading:
    """`reading` with the black and white of the files that hold more than 8 bits; tells them."""
    may_be = [path for path in paths if path.suffix.lower() not in _NEVER_DEEP]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        kinds = list(pool.map(_kind, some := _spread(may_be, _HEADERS)))
    found: dict[str, tuple[float, ...]] = {}
    for kind in ("integer", "float"):
        deep = [path for path, this in zip(some, kinds) if this == kind]
        if deep:
            found[kind] = _levels(kind, deep, len(some), progress)
    return replace(
        reading, integers=found.get("integer", ()), floats=found.get("float", ()), looked=True
    )


def _spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most so many, from all over the list."""
    return list(paths[:: -(-len(paths) // most)]) if paths else []


def _kind(path: Path) -> str:
    try:
        with Image.open(path) as image:
            return deep_kind(image)
    except Exception:  # noqa: BLE001  # damage of any kind is told when it is decoded
        return ""


def _levels(kind: str, paths: Sequence[Path], seen: int, progress: Progress) -> tuple[float, ...]:
    """Black and white of all of these, told in a line."""

    def ends(path: Path) -> tuple[float, float] | None:
        try:
            with Image.open(path) as image:
                return extremes(deep_values(image))
        except Exception:  # noqa: BLE001  # damage of any kind is told when it is decoded
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = [pair for pair in pool.map(ends, _spread(paths, _DECODED)) if pair]
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
        f"{len(paths):,} of {seen:,} images looked at hold {kind}s of more than 8 bits, from "
        f"{low:,g} to {high:,g}: in all such {black:,g} becomes black and {white:,g} white{dark}",
    )
    return black, white
