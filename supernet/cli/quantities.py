"""Numbers with units on the command line: ``4MiB``, ``12MB``, ``300M``, ``mobile_cpu=20``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from supernet import units
from supernet.cli.options import Value

__all__ = ["BYTES", "COUNT", "FILE_SIZE", "FIX", "LATENCY", "PEAK_MEMORY", "merged"]

_PRECISIONS = ("fp32", "int8")


class _Quantity(Value):
    """A number above 0 with one of some units."""

    def __init__(self, name: str, known: Mapping[str, float], example: str) -> None:
        self.name, self._units, self._example = name, known, example

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number in the base unit."""
        if isinstance(value, float):
            return value
        number = units.with_unit(value, self._units)
        if number is None:
            known = ", ".join(filter(None, self._units))
            self.fail(
                f"{value!r} is not a number with a unit such as {self._example}; units: {known}",
                param,
                ctx,
            )
        if not 0 < number < math.inf:
            self.fail(f"{value!r}: must be above 0 and finite", param, ctx)
        return number


COUNT = _Quantity("count", units.COUNTS, "300M")
"""Multiply-adds and parameters: 300e6, 300M."""
BYTES = _Quantity("bytes", units.BYTES, "4MiB")
"""Bytes, with their unit: 12MB, 4MiB."""


class _Bytes(Value):
    """``BYTES`` or ``int8=BYTES``, of a cost."""

    name = "[precision=]bytes"

    def __init__(self, cost: str) -> None:
        self._cost = cost

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Name of the limited cost, and bytes."""
        if isinstance(value, tuple):
            return value
        precision, equals, text = value.rpartition("=")
        if equals and precision not in _PRECISIONS:
            self.fail(
                f"{value!r}: the precision before '=' must be {' or '.join(_PRECISIONS)}",
                param,
                ctx,
            )
        cost = self._cost if precision in ("", "fp32") else f"{self._cost}@{precision}"
        return cost, BYTES.convert(text, param, ctx)


class _Latency(Value):
    """``MS`` or ``TARGET=MS``."""

    name = "[target=]ms"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Target, empty where none is named, and milliseconds."""
        if isinstance(value, tuple):
            return value
        target, _, text = value.rpartition("=")
        try:
            ms = float(text.removesuffix("ms"))
        except ValueError:
            ms = math.nan
        if not 0 < ms < math.inf:
            self.fail(
                f"{value!r}: must be milliseconds above 0, such as 20 or mobile_cpu=20", param, ctx
            )
        return target, ms


class _Fix(Value):
    """``DIMENSION=VALUE,VALUE``."""

    name = "name=values"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[float | str, ...]]:
        """Name and values."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not name or not equals or not text:
            self.fail(f"{value!r}: must be like resolution=192,224", param, ctx)
        return name, tuple(_choice(word) for word in text.split(","))


def _choice(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


FILE_SIZE, PEAK_MEMORY = _Bytes("file_size"), _Bytes("peak_memory")
"""Limits on bytes, of the fp32 or the int8 file."""
LATENCY = _Latency()
"""A limit on a latency."""
FIX = _Fix()
"""Choices that are left of a dimension."""


def merged(option: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs as a mapping.

    Raises:
        click.UsageError: a name is given twice.
    """
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"{option}: {name or 'a value without a name'} is given twice")
    return dict(pairs)
