"""The headline: one sentence and one table; and the smaller tables at the end."""

from collections.abc import Mapping

from supernet.report._markup import (
    Markup,
    compact,
    escape,
    join,
    number,
    signed,
    significant,
    tag,
)
from supernet.report.contents import NetworkRow, Report

__all__ = ["facts_list", "figures_table", "headline_table", "summary"]

_LONG = 44
"""Characters from which a fact, such as the command, takes a line of its own."""


def summary(report: Report) -> Markup:
    """The found network against the first of the table, in one sentence."""
    found = next((row for row in report.networks if report.is_found(row.name)), None)
    if found is None:
        return Markup("")
    strong = tag("strong", escape(f"{found.top1:.2f} % at {significant(found.latency_ms)} ms"))
    parts = [escape("The network "), tag("em", escape(found.name)), escape(" reaches "), strong]
    reference = report.networks[0]
    if reference is not found and min(reference.latency_ms, found.latency_ms) > 0:
        ratio = reference.latency_ms / found.latency_ms
        speed = f"{significant(max(ratio, 1 / ratio), 2)} times as"
        speed += " fast" if ratio >= 1 else " slow"
        points = signed(found.top1 - reference.top1, 2)
        parts.append(escape(f", {speed} as {reference.name}, at {points} points."))
    else:
        parts.append(escape("."))
    return tag("p", *parts, class_="summary")


def headline_table(report: Report) -> Markup:
    """Accuracy and cost of every network, with differences from the first."""
    if not report.networks:
        return Markup("")
    titles = ("Network", "Top-1", "Latency", "MACs", "Parameters")
    head = tag("tr", *[tag("th", escape(title), scope="col") for title in titles])
    rows = [_row(row, report) for row in report.networks]
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="headline")
    if len(report.networks) == 1:
        return table
    note = f"Differences and percentages are against {report.networks[0].name}."
    return join([table, tag("p", escape(note), class_="under")])


def _row(row: NetworkRow, report: Report) -> Markup:
    first, found = report.networks[0], report.is_found(row.name)
    name = [tag("span", escape("★ " * found + row.name), class_="network-name")]
    if row.note:
        name.append(tag("small", escape(row.note)))
    top1 = "" if row is first else signed(row.top1 - first.top1, 2)
    costs = (
        ("Latency", significant(row.latency_ms), "ms", [n.latency_ms for n in report.networks]),
        ("MACs", *_split(row.macs), [float(n.macs) for n in report.networks]),
        ("Parameters", *_split(row.params), [float(n.params) for n in report.networks]),
    )
    index = next(i for i, other in enumerate(report.networks) if other is row)
    cells = [tag("th", *name, scope="row"), _cell("Top-1", f"{row.top1:.2f}", "%", top1)]
    for title, value, unit, all_values in costs:
        relative = "" if index == 0 else _relative(all_values[index], all_values[0])
        share = all_values[index] / max(all_values) if max(all_values) > 0 else 0.0
        cells.append(_cell(title, value, unit, relative, share))
    return tag("tr", *cells, class_="is-found" if found else None)


def _split(count: int) -> tuple[str, str]:
    value, _, prefix = compact(count).partition(" ")
    return value, prefix


def _relative(value: float, reference: float) -> str:
    if reference <= 0:
        return ""
    percent = signed(100 * (value / reference - 1), 0)
    return f"{percent} %"


def _cell(title: str, value: str, unit: str, relative: str, share: float | None = None) -> Markup:
    parts = [
        tag("span", escape(value), class_="value"),
        tag("span", escape(unit), class_="unit"),
        tag("span", escape(relative), class_="relative"),
    ]
    if share is not None:
        bar = tag("span", style=f"width:{number(100 * share)}%")
        parts.append(tag("span", bar, class_="bar", aria_hidden="true"))
    return tag("td", *parts, data_label=title)


def figures_table(figures: Mapping[str, str]) -> Markup:
    """Other results, one per row."""
    rows = [
        tag("tr", tag("th", escape(name), scope="row"), tag("td", escape(value)))
        for name, value in figures.items()
    ]
    return tag("table", tag("tbody", *rows), class_="figures") if rows else Markup("")


def facts_list(facts: Mapping[str, str]) -> Markup:
    """What a reader needs to repeat the run."""
    entries = [
        tag(
            "div",
            tag("dt", escape(name)),
            tag("dd", escape(value)),
            class_="long" if len(value) > _LONG else None,
        )
        for name, value in facts.items()
    ]
    return tag("dl", *entries) if entries else Markup("")
