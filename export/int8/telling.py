"""What is said of files on 8-bit integers: whether they pay, and what they compute in float."""

from collections.abc import Mapping
from typing import Any

__all__ = ["BESIDE_FLOAT", "beside_float", "beside_float_told", "floats_told"]

BESIDE_FLOAT: dict[str, type] = {
    "float_file": str,
    "times_as_fast": float,
    "points_lost": float,
    "pays": bool,
    "ship": str,
}
"""What `beside_float` gives."""


def beside_float(
    int8: tuple[str, float, float], fp32: tuple[str, float, float]
) -> dict[str, str | float | bool]:
    """What integers gave and took, and which of two files of one format to ship.

    Args:
        int8: name, milliseconds and top-1 of the file on integers.
        fp32: those of the one in float, timed in turn with it.
    """
    (name, ms, top1), (plain, plain_ms, plain_top1) = int8, fp32
    return {
        "float_file": plain,
        "times_as_fast": plain_ms / ms,
        "points_lost": plain_top1 - top1,
        "pays": ms < plain_ms,
        "ship": name if ms < plain_ms else plain,
    }


def beside_float_told(name: str, found: Mapping[str, Any]) -> str:
    """The same in words.

    Args:
        name: of the file on integers.
        found: as `beside_float` gave it.
    """
    speed = (
        f"{name} is {found['times_as_fast']:.2f} times as fast as {found['float_file']}, "
        f"{found['points_lost']:.2f} points lost"
    )
    why = "" if found["pays"] else "it does not pay on the machine that exported, "
    return f"int8: {speed}: {why}ship {found['ship']}"


def floats_told(kinds: Mapping[str, int]) -> str:
    """Operators that compute in float, in words.

    Args:
        kinds: how many there are of each.
    """
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"compute in float: {shown or 'none'}"
