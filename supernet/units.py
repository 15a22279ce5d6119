"""Numbers with units, as people write them: ``300M``, ``4MiB``, ``12 ms``."""

import math
import re
from collections.abc import Mapping

__all__ = ["BYTES", "COUNTS", "in_words", "units_of", "with_unit"]

_NUMBER = re.compile(r"\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z%/]*)\s*", re.IGNORECASE)

Units = Mapping[str, float]

COUNTS: Units = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
"""Of multiply-adds and parameters; in lower case, as all units here."""
BYTES: Units = {
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
}


def units_of(unit: str) -> Units:
    """What may follow a value that is kept in `unit`; without one it is a count."""
    if unit == "bytes":
        return {"": 1.0, **BYTES}
    return {"": 1.0, unit.lower(): 1.0} if unit else COUNTS


def with_unit(text: str, units: Units) -> float | None:
    """The number in the base unit, NaN where it is none; None without one of these units."""
    found = _NUMBER.fullmatch(text)
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        return None
    try:
        return float(found[1]) * factor
    except ValueError:
        return math.nan


def in_words(value: float, unit: str) -> str:
    """A value with its unit, such as ``12.3 ms``, ``1,234 ms``, ``300 M`` or ``4.2 MB``.

    Counts and bytes get a prefix where they are large; other units are written as they are.
    """
    if unit == "%":
        return f"{value:.2f} %"
    if unit in ("", "bytes"):
        for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= 0.99995 * size:  # else 999,999 would read "1000 k"
                return f"{value / size:.4g} {prefix}{'B' if unit else ''}"
    text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:.4g}"
    return f"{text} {unit}".rstrip()
