"""What the script draws when a point of the front is clicked, as compact JSON."""

import json
from collections.abc import Sequence
from typing import Any

from supernet.report._architecture import operator_colour, operator_lines
from supernet.report._front import value_text
from supernet.report._markup import Markup, compact, significant, tag
from supernet.report.views import MACS, FrontPoint, SearchView
from supernet.space.operator import Operator

__all__ = ["data_element"]


def data_element(view: SearchView, points: Sequence[FrontPoint]) -> Markup:
    """An element that holds the figures and operators of `points`; nothing is run in it."""
    slots: dict[tuple[str, str], int] = {}
    operators: dict[tuple[Operator, tuple[float, ...]], int] = {}
    found = {}
    for point in points:
        placed: list[int] = []
        for row in point.operators:
            placed.append(slots.setdefault((row.slot, row.group), len(slots)))
            known = (row.operator, tuple(float(f"{cost:.4g}") for cost in row.costs))
            placed.append(operators.setdefault(known, len(operators)))
        texts = [
            value_text(axis, value) if value is not None else ""
            for axis, value in zip(view.axes, point.values, strict=True)
        ]
        found[str(point.number)] = [texts, point.label, placed]
    document = {
        "axes": [axis.label for axis in view.axes],
        "costs": view.costs,
        "commands": view.commands,
        "slots": [*slots],
        "operators": [_drawn(operator, costs, view.costs) for operator, costs in operators],
        "points": found,
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True)
    for character in "<>&":  # so that nothing in it ends the element
        text = text.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Markup(text), type="application/json", class_="data")


def _drawn(operator: Operator, costs: tuple[float, ...], names: tuple[str, ...]) -> tuple[Any, ...]:
    """Everything that the drawing of an operator needs, in the order the script knows."""
    size = f"{operator.out_height}\N{MULTIPLICATION SIGN}{operator.out_width}"
    counts = f"{compact(operator.macs)} MACs, {compact(operator.params)} parameters"
    return (
        operator.key,
        operator_colour(operator),
        operator.out_channels,
        operator.mid_channels,
        *operator_lines(operator),
        int(operator.shortcut != "none"),
        int(bool(operator.se)),
        size,
        costs,
        ["" if name == MACS else f"{significant(cost)} ms" for name, cost in zip(names, costs)],
        counts,
    )
