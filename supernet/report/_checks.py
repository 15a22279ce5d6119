"""What values of a report may be."""

import math
from collections.abc import Sequence

from supernet.errors import ConfigError

__all__ = ["MAX_SIZE", "raise_problems", "unusable", "unusable_in"]

MAX_SIZE = 1e12


def unusable(where: str, value: float) -> list[str]:
    """One line where a value cannot be drawn."""
    if math.isfinite(value) and abs(value) <= MAX_SIZE:
        return []
    return [f"{where}: must be finite and at most {MAX_SIZE:g} in size, found {value}"]


def unusable_in(where: str, values: Sequence[float]) -> list[str]:
    """As `unusable`, for each of many."""
    return [line for i, value in enumerate(values) for line in unusable(f"{where}[{i}]", value)]


def raise_problems(problems: Sequence[str]) -> None:
    """One error that says all of them."""
    if problems:
        raise ConfigError(problems, hint="leave out what was not measured")
