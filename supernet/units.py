"""Numbers with units, as people write them: ``300M``, ``4MiB``, ``12 ms``."""

import math
import re
from collections.abc import Mapping

__all__ = ["BYTES", "COUNTS", "units_of", "with_unit"]

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
