"""HTML and SVG as typed strings: mypy refuses text that was not escaped."""

import html
import re
from collections.abc import Iterable
from typing import NewType

__all__ = ["Markup", "clip", "compact", "escape", "join", "number", "signed", "significant", "tag"]

Markup = NewType("Markup", str)
"""Text that may stand in the document as it is."""

_MINUS = "\N{MINUS SIGN}"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = frozenset({"meta"})
_SVG_SHAPES = frozenset({"circle", "line", "path", "rect"})


def escape(text: str) -> Markup:
    """`text` with markup made harmless and characters XML forbids replaced."""
    return Markup(html.escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)))


def join(parts: Iterable[Markup]) -> Markup:
    """`parts` one after the other."""
    return Markup("".join(parts))


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def tag(name: str, /, *children: Markup, **attributes: str | float | None) -> Markup:
    """One element; ``class_`` and ``data_tip`` become ``class`` and ``data-tip``.

    Attributes that are None are left out.
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            text = value if isinstance(value, str) else number(value)
            quoted = escape(text).replace("\n", "&#10;")
            words.append(f'{key.rstrip("_").replace("_", "-")}="{quoted}"')
    if name in _VOID:
        return Markup(f"<{' '.join(words)}>")
    if name in _SVG_SHAPES and not children:
        return Markup(f"<{' '.join(words)}/>")
    return Markup(f"<{' '.join(words)}>{join(children)}</{name}>")


def clip(text: str, length: int) -> str:
    """`text`, cut to `length` characters with an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def significant(value: float, digits: int = 3) -> str:
    """`value` with at least `digits` significant digits and no exponent."""
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = int(f"{rounded:e}".partition("e")[2])
    text = f"{value:,.{min(9, max(0, digits - 1 - exponent))}f}" if rounded else "0"
    return text.replace("-", _MINUS)


def signed(value: float, decimals: int) -> str:
    """`value` with its sign, such as ``+0.42``; ``±0`` where it rounds to nothing."""
    text = f"{value:+.{decimals}f}"
    return "±0" if float(text) == 0 else text.replace("-", _MINUS)


def compact(count: int) -> str:
    """A count with its prefix, such as ``12.3 M``."""
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= 0.9995 * size:  # else 999,999 would read "1,000 k"
            return f"{significant(count / size)} {prefix}"
    return str(count)
