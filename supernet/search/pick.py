"""One subnet of a result, named by a few characters."""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from supernet.errors import ConfigError
from supernet.units import units_of, with_unit

if TYPE_CHECKING:
    from supernet.search.objective import Values
    from supernet.search.result import Axis, SearchResult

__all__ = ["picked"]

_NAME, _NUMBER = r"[^<>=,\s]+", r"[^<>=,]+?"
_HINT = "such as 3, best, 'latency<=12' or 'latency<=12, macs<=300M'"


def picked(result: "SearchResult", text: str | int) -> int:
    """As `SearchResult.pick`."""
    text = str(text)
    words = text.strip()
    if words == "best":
        return result.best()
    if re.fullmatch(r"[+-]?\d+", words):
        return _number(result, int(words[:20]))
    limits = [(result.problem.axis(n), s, value) for n, s, value in _limits(result, words)]
    return _best_within(result, [(axis, s, _value(text, axis, n)) for axis, s, n in limits])


def _limits(result: "SearchResult", words: str) -> Iterator[tuple[str, str, str]]:
    """Names, signs and numbers of limits.

    Targets have any name, so the figures of the result are looked for first, the longest name
    before others: ``latency@my phone<=12``.
    """
    names = {axis.name for axis in result.problem.axes}
    names |= {name.partition("@")[0] for name in names}
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    limit = re.compile(rf"\s*({known}|{_NAME})\s*(<=|>=)\s*({_NUMBER})\s*(?:,(?=.)|$)", re.DOTALL)
    place = 0
    while place < len(words) or not words:
        found = limit.match(words, place)
        if not found:
            raise ConfigError(
                f"cannot pick {words[:60]!r}: neither a number nor limits", hint=_hint(names)
            )
        yield found[1], found[2], found[3]
        place = found.end()


def _hint(names: set[str]) -> str:
    return f"{_HINT}; this result has {', '.join(sorted(names))}"


def _number(result: "SearchResult", number: int) -> int:
    count = len(result.front)
    if not 1 <= number <= count:
        raise ConfigError(
            f"cannot pick {number}: the front has {count} subnets, counted from 1 (the cheapest)"
        )
    return int(result.front[number - 1])


def _value(text: str, axis: "Axis", number: str) -> float:
    units = units_of(axis.unit)
    value = with_unit(number, units)
    if value is None or not math.isfinite(value):
        raise ConfigError(
            f"cannot pick {text[:60]!r}: {number[:20]!r} is no finite number of {axis.name}",
            hint=f"it may have a unit: {', '.join(filter(None, units))}",
        )
    return value


def _best_within(result: "SearchResult", bounds: list[tuple["Axis", str, float]]) -> int:
    """The best in the first objective; equals are told apart by the other objectives."""
    within = result.within_limits
    kept = np.ones(len(within), dtype=bool)
    for axis, sign, value in bounds:
        values = result.columns[axis.name][within]
        own = values <= value if sign == "<=" else values >= value
        if not own.any():
            least = np.nanmin(values) if sign == "<=" else np.nanmax(values)
            raise ConfigError(
                f"no scored subnet within the limits has {axis.name} {sign} {value:g}; "
                f"the {'least' if sign == '<=' else 'most'} is {least:.4g}"
            )
        kept &= own
    if not kept.any():
        raise ConfigError("no scored subnet meets all of these limits together")
    index = within[kept]
    losses: list[Values] = [
        -result.columns[a.name][index] if a.maximise else result.columns[a.name][index]
        for a in result.problem.axes
        if a.objective
    ]
    return int(index[np.lexsort(losses[::-1])[0]])
