"""Scales, ticks and the frame of a plot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from supernet.report._markup import Markup, escape, join, tag

__all__ = ["Frame", "Scale", "domain", "nice_ticks", "tick_text"]

_TOP, _RIGHT, _BOTTOM, _LEFT = 34.0, 20.0, 52.0, 58.0


def domain(values: Sequence[float], *, pad: float = 0.06) -> tuple[float, float]:
    """A range around `values`, never empty; below zero only where a value is."""
    low, high = min(values), max(values)
    span = high - low
    if span <= 1e-9 * max(abs(low), abs(high)):
        span = abs(high) * 0.1 or 1.0
        low, high = low - span / 2, high + span / 2
    padded_low = low - pad * span
    if min(values) >= 0:
        padded_low = max(0.0, padded_low)
    return padded_low, high + pad * span


def nice_ticks(low: float, high: float, target: int = 5) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten inside the range, about `target`."""
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / target))
    step = min((f * power for f in (1, 2, 5, 10)), key=lambda s: abs(math.log(span / s / target)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """`value` with as many decimals as the distance of `ticks` needs."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(value) or 1.0
    decimals = min(9, max(0, -math.floor(math.log10(step) + 1e-6)))
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels along one axis."""

    low: float
    high: float
    start: float
    """Pixel of `low`."""
    stop: float
    """Pixel of `high`."""
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The pixel of `value`."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


@dataclass(frozen=True, slots=True)
class Frame:
    """The area of a plot with its two scales."""

    width: float
    height: float
    x: Scale
    y: Scale

    @classmethod
    def around(
        cls,
        width: float,
        height: float,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        x_ticks: int = 6,
        y_ticks: int = 5,
    ) -> "Frame":
        """A frame of that size in pixels for those ranges."""
        return cls(
            width,
            height,
            Scale(*x, _LEFT, width - _RIGHT, nice_ticks(*x, x_ticks)),
            Scale(*y, height - _BOTTOM, _TOP, nice_ticks(*y, y_ticks)),
        )

    def axes(self, x_label: str, y_label: str) -> Markup:
        """Grid, ticks and labels; the label of the y axis lies flat above it."""
        left, right, bottom = self.x.start, self.x.stop, self.y.start
        parts = []
        for value in self.y.ticks:
            y = self.y(value)
            text = escape(tick_text(value, self.y.ticks))
            parts.append(tag("line", class_="grid", x1=left, x2=right, y1=y, y2=y))
            parts.append(tag("text", text, class_="tick ty", x=left - 9, y=y))
        for value in self.x.ticks:
            x = self.x(value)
            text = escape(tick_text(value, self.x.ticks))
            parts.append(tag("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 5))
            parts.append(tag("text", text, class_="tick tx", x=x, y=bottom + 8))
        parts.append(tag("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom))
        parts.append(tag("text", escape(y_label), class_="label", x=0, y=17))
        parts.append(
            tag("text", escape(x_label), class_="label x-label", x=right, y=self.height - 5)
        )
        return join(parts)
