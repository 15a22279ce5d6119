"""What a ``subnet.json`` tells beside the subnet, which anybody may have edited."""

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["wrong_figures", "wrong_texts"]

_TEXTS = ("target", "precision", "finetuned_from")
_COUNTS = ("_rmse", "max_abs_diff")  # how names end
_MOST = 2.0**63
_LEAST_MS, _MOST_MS = 1e-9, 1e12
_LONGEST, _LONGEST_PART = 4000, 255  # bytes of a path, and of a name in it


def wrong_figures(figures: Mapping[str, Any], where: str) -> list[str]:
    """What is wrong with predicted or measured values, a line each.

    Keys that are not known may have any value that can be written again.

    Args:
        figures: by name; of further targets with ``@TARGET`` behind it.
        where: their key in the document.
    """
    found: list[str] = []
    for key, value in figures.items():
        rule = _broken(key.partition("@")[0], value)
        if rule:
            found.append(f"{where}.{key}: {rule}, found {reprlib.repr(value)}")
    return found


def wrong_texts(texts: Mapping[str, str], where: str) -> list[str]:
    """Strings that can be no path, nor part of one, a line each."""
    return [
        f"{where}.{key}: is no path, found {reprlib.repr(value)}"
        for key, value in texts.items()
        if not _can_be_path(value)
    ]


def _broken(name: str, value: Any) -> str:
    """The rule that a value breaks; empty where it breaks none."""
    if value is None:  # not measured
        return ""
    if name in _TEXTS:
        return "" if isinstance(value, str) and _can_be_path(value) else "must be a name"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    rule = ""
    if name.endswith("_ms") and not (number and _is_time(value)):
        rule = (
            f"must be milliseconds, none beyond {_MOST_MS:g} and none between 0 and {_LEAST_MS:g}"
        )
    elif name.endswith(_COUNTS) and not (number and value >= 0):
        rule = "must be a number from 0"
    elif name.endswith("top1") and not number:
        rule = "must be a number"
    elif not all(-_MOST < number < _MOST for number in _numbers(value)):
        rule = "must be of numbers, none too large"
    return rule


def _is_time(ms: float) -> bool:
    """Whether it can be one; models may predict 0 and less of what is unlike all they have seen."""
    return ms == 0 or _LEAST_MS <= abs(ms) <= _MOST_MS


def _numbers(value: Any) -> Iterator[float]:
    """All numbers in a value."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, int | float):
            yield one


def _can_be_path(value: str) -> bool:
    name = value.encode()
    longest = max(name.replace(b"\\", b"/").split(b"/"), key=len)
    return b"\0" not in name and len(name) <= _LONGEST and len(longest) <= _LONGEST_PART
