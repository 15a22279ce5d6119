"""The found network, drawn operator by operator; each stage is a picture of its own.

Stages are separate pictures so that the page wraps them like words: a row on a
wide screen, several on a phone, with text of the same size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from supernet.blocks import KINDS, parts_of
from supernet.report._figure import figure, key, picture, tip
from supernet.report._markup import Markup, clip, compact, escape, join, significant, tag
from supernet.report.views import MACS, OperatorRow
from supernet.space.operator import Operator

__all__ = ["architecture_figure", "operator_colour", "operator_lines"]

_COLUMN, _WIDEST_COLUMN, _PAGE = 58.0, 84.0, 1060.0
_HEAD, _BODY, _TEXT, _BARS = 46.0, 112.0, 48.0, 62.0
_MIDDLE = _HEAD + _BODY / 2
_HEIGHT = _HEAD + _BODY + _TEXT + _BARS
_TIMES = "\N{MULTIPLICATION SIGN}"
_KERNELS = (1, 3, 5, 7)


@dataclass(frozen=True, slots=True)
class _Extent:
    """What all stages are drawn against."""

    column: float
    """Pixels between operators: a short network is drawn wider."""
    channels: int
    """The most channels anywhere."""
    total: float
    """Cost of all operators, as `longest` that of one."""
    longest: float
    what: str
    """What costs are: a latency in milliseconds, or `MACS`."""
    prefix: str
    """Of the pictures' ids."""

    @property
    def box(self) -> float:
        """Pixels across a box."""
        return round(self.column * 0.64)

    def height(self, channels: int) -> float:
        """Pixels of a box: the square root keeps 16 and 1280 channels both visible."""
        return max(6.0, _BODY * math.sqrt(channels / self.channels))

    def share(self, row: OperatorRow) -> float:
        """Part of the latency, from 0 to 1."""
        return row.costs[0] / self.total if self.total else 0.0


def architecture_figure(
    rows: Sequence[OperatorRow], *, cost: str = "latency", id_: str = "stage"
) -> Markup:
    """The drawing, or nothing where there are no operators.

    Args:
        rows: the operators in network order.
        cost: what the first of their costs is: a latency in milliseconds, or `MACS`.
        id_: what the ids of the pictures start with.
    """
    if not rows:
        return Markup("")
    extent = _Extent(
        column=min(_WIDEST_COLUMN, max(_COLUMN, _PAGE // len(rows))),
        channels=max(max(r.operator.out_channels, r.operator.mid_channels) for r in rows),
        total=sum(row.costs[0] for row in rows),
        longest=max(row.costs[0] for row in rows),
        what=cost,
        prefix=id_,
    )
    stages = [
        _stage(name, list(group), extent, index)
        for index, (name, group) in enumerate(groupby(rows, key=lambda row: row.group))
    ]
    macs = sum(row.operator.macs for row in rows)
    latencies = f", sum of latencies {significant(extent.total)} ms" if cost != MACS else ""
    caption = (
        f"n = {len(rows)} operators, {compact(macs)} MACs{latencies}. Box height: output "
        "channels, and paler behind it the expanded channels, both on a square-root scale. "
        "Over each stage: output size. "
        "Under each box: output channels, "
        "kernel k and expansion e (of an attention heads h and key size d), stride s and "
        f"squeeze-excite SE. Bars: share of {cost}."
    )
    return figure(
        tag("div", *stages, class_="network"),
        legend=_legend(rows, cost),
        caption=caption,
        kind="wide",
    )


def _stage(name: str, rows: Sequence[OperatorRow], extent: _Extent, index: int) -> Markup:
    width = extent.column * len(rows)
    share = sum(extent.share(row) for row in rows)
    last = rows[-1].operator
    parts = [
        tag("line", class_="flow", x1=0, x2=width, y1=_MIDDLE, y2=_MIDDLE),
        tag("path", class_="bracket", d=f"M5 32V26H{width - 5:g}V32"),
        tag("text", escape(clip(name, 8 * len(rows))), class_="stage", x=width / 2, y=10),
        tag("text", escape(_size(last)), class_="minor", x=width / 2, y=22),
    ]
    parts += [_column(row, extent.column * (i + 0.5), extent) for i, row in enumerate(rows)]
    count = f"{len(rows)} operator{'s' * (len(rows) > 1)}"
    description = ". ".join(f"{row.slot}: {row.operator.key}" for row in rows)
    return picture(
        join(parts),
        id_=f"{extent.prefix}-{index}",
        kind="stage-picture",
        size=(width, _HEIGHT),
        title=f"{name}: {count}, {100 * share:.0f} % of the {extent.what}",
        description=description,
    )


def _size(operator: Operator) -> str:
    return f"{operator.out_height}{_TIMES}{operator.out_width}"


def operator_colour(operator: Operator) -> str:
    """The class of its box."""
    kernel = _largest_kernel(operator)
    if not kernel:
        return "kernel-none"
    return f"kernel{kernel}" if kernel in _KERNELS else "kernel-other"


def _largest_kernel(operator: Operator) -> int:
    """Of its convolutions; 0 where it has none."""
    return max((part.kernel for part in parts_of(operator)), default=0)


def _column(row: OperatorRow, x: float, extent: _Extent) -> Markup:
    operator, colour = row.operator, operator_colour(row.operator)
    tallest = extent.height(max(operator.out_channels, operator.mid_channels))
    parts = [_arc(x, tallest, extent.column / 2 - 4)] if operator.shortcut != "none" else []
    if operator.mid_channels > 0:
        expanded = extent.height(operator.mid_channels)
        parts.append(_box(x, extent.box, expanded, f"{colour} expanded"))
    parts.append(_box(x, extent.box, extent.height(operator.out_channels), colour))
    if operator.se:
        parts.append(tag("circle", class_="squeeze", cx=x, cy=_MIDDLE, r=3.2))
    first, second, third = operator_lines(operator)
    base = _HEAD + _BODY
    for text, kind, y in ((first, "channels", 16), (second, "minor", 30), (third, "minor", 42)):
        if text:
            parts.append(tag("text", escape(text), class_=kind, x=x, y=base + y))
    parts.append(_bar(row, x, extent))
    return tag("g", *parts, class_="operator", data_tip=_tip(row, extent))


def _box(x: float, width: float, height: float, kind: str) -> Markup:
    left, top = x - width / 2, _MIDDLE - height / 2
    return tag("rect", class_=kind, x=left, y=top, width=width, height=height, rx=3)


def _arc(x: float, height: float, reach: float) -> Markup:
    """The shortcut: from the line before the box, over it, to the line after."""
    top = _MIDDLE - height / 2 - 6
    path = (
        f"M{x - reach:.1f} {_MIDDLE:.1f}V{top + 5:.1f}q0 -5 5 -5"
        f"H{x + reach - 5:.1f}q5 0 5 5V{_MIDDLE:.1f}"
    )
    return tag("path", class_="shortcut", d=path)


def operator_lines(operator: Operator) -> tuple[str, str, str]:
    """Three short lines under its box."""
    second = operator.kernels if operator.op in KINDS else operator.op
    middle = KINDS[operator.op].middle if operator.op in KINDS else ""
    if middle == "in":
        expand = operator.mid_channels / operator.in_channels
        second += f" e{expand:.1f}".removesuffix(".0")
    elif middle == "out":
        second += f" m{operator.mid_channels}"
    elif middle == "heads":
        second += f" h{operator.heads} d{operator.mid_channels // operator.heads}"
    third = f"s{operator.stride}" if operator.stride > 1 else ""
    return f"{operator.out_channels}", second, f"{third} {'SE' if operator.se else ''}".strip()


def _bar(row: OperatorRow, x: float, extent: _Extent) -> Markup:
    top = _HEAD + _BODY + _TEXT + 4
    length = (_BARS - 24) * (row.costs[0] / extent.longest if extent.longest else 0.0)
    share = 100 * extent.share(row)
    text = f"{share:.0f} %" if share >= 9.95 else f"{share:.1f} %"
    return join(
        [
            tag(
                "rect",
                class_="share",
                x=x - extent.box / 2,
                y=top,
                width=extent.box,
                height=max(1.0, length),
            ),
            tag("text", escape(text), class_="minor", x=x, y=top + length + 13),
        ]
    )


def _tip(row: OperatorRow, extent: _Extent) -> str:
    operator = row.operator
    cost = f"{100 * extent.share(row):.1f} % of the {extent.what}"
    if extent.what != MACS:
        cost = f"{significant(row.costs[0])} ms, {cost}"
    counts = f"{compact(operator.macs)} MACs, {compact(operator.params)} parameters"
    return tip(row.slot, f"{operator.key}\n{cost}\n{counts}")


def _legend(rows: Sequence[OperatorRow], cost: str) -> list[Markup]:
    kernels = [_largest_kernel(row.operator) for row in rows]
    found = sorted({*kernels} - {0})
    entries = []
    for kernel in found:
        kind = f"kernel{kernel}" if kernel in _KERNELS else "kernel-other"
        mark = tag("rect", class_=kind, x=2, y=1, width=12, height=12, rx=2)
        entries.append(key(mark, f"{kernel}{_TIMES}{kernel} kernel"))
    if 0 in kernels:
        mark = tag("rect", class_="kernel-none", x=2, y=1, width=12, height=12, rx=2)
        entries.append(key(mark, "pooling, linear"))
    if any(row.operator.shortcut != "none" for row in rows):
        arc = tag("path", class_="shortcut", d="M3 13V7q0 -4 4 -4H11q4 0 4 4V13")
        entries.append(key(arc, "shortcut"))
    if any(row.operator.se for row in rows):
        ring = tag("circle", class_="squeeze", cx=9, cy=7, r=3.2)
        entries.append(key(ring, "squeeze-excite"))
    entries.append(
        key(tag("rect", class_="share", x=2, y=3, width=12, height=8), f"share of {cost}")
    )
    return entries
