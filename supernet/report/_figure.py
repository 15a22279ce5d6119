"""What every plot shares: the SVG element, thinning, legends and captions."""

import math
from collections.abc import Sequence
from typing import TypeVar

from supernet.report._markup import Markup, escape, join, tag

__all__ = ["figure", "key", "picture", "star", "thin", "tip"]

_MAX_TIP = 220

_T = TypeVar("_T")


def thin(items: Sequence[_T], limit: int) -> list[tuple[int, _T]]:
    """At most `limit` items with their positions, evenly spread, first and last kept."""
    count = len(items)
    if count <= limit:
        return list(enumerate(items))
    indices = [round(i * (count - 1) / (limit - 1)) for i in range(limit)]
    return [(i, items[i]) for i in indices]


def tip(head: str, text: str = "") -> str:
    """Hover text: a first line in bold, then `text`, cut where it is very long."""
    body = text if len(text) <= _MAX_TIP else text[: _MAX_TIP - 1] + "…"
    return f"{head}\n{body}" if body else head


def star(x: float, y: float, radius: float) -> str:
    """Path of a five-pointed star."""
    points = []
    for corner in range(10):
        angle, reach = math.pi * corner / 5, radius * (0.42 if corner % 2 else 1.0)
        points.append(f"{x + reach * math.sin(angle):.1f} {y - reach * math.cos(angle):.1f}")
    return f"M{'L'.join(points)}Z"


def picture(
    body: Markup,
    *,
    id_: str,
    kind: str,
    size: tuple[float, float],
    title: str,
    description: str,
) -> Markup:
    """An SVG of that size in pixels with its title and description."""
    width, height = size
    return tag(
        "svg",
        tag("title", escape(title), id=f"{id_}-title"),
        tag("desc", escape(description), id=f"{id_}-desc"),
        body,
        class_=kind,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{id_}-title {id_}-desc",
    )


def key(mark: Markup, text: str, *, width: int = 18) -> Markup:
    """One entry of a legend: a mark drawn 14 pixels high, and what it stands for."""
    swatch = tag(
        "svg",
        mark,
        class_="swatch",
        viewBox=f"0 0 {width} 14",
        width=width,
        height=14,
        aria_hidden="true",
    )
    return tag("li", swatch, escape(text))


def figure(
    plot: Markup, *, caption: str, legend: Sequence[Markup] = (), heading: str = "", kind: str = ""
) -> Markup:
    """A plot with its heading, legend and caption."""
    parts = [tag("h3", escape(heading))] if heading else []
    if legend:
        parts.append(tag("ul", join(legend), class_="legend"))
    parts += [plot, tag("figcaption", escape(caption))]
    return tag("figure", *parts, class_=kind or None)
