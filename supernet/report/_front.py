"""Accuracy against latency: what was evaluated, the front, and what was measured."""

from collections.abc import Sequence

from supernet.report._axes import Frame, domain
from supernet.report._figure import figure, key, picture, star, thin, tip
from supernet.report._labels import Box, place
from supernet.report._markup import Markup, clip, escape, join, number, significant, tag
from supernet.report.contents import FrontPoint, Report

__all__ = ["front_figure"]

_SIZE = (680.0, 440.0)
_SHADES = 5
_MAX_SEARCHED, _MAX_RANDOM, _MAX_FRONT = 500, 250, 150


def front_figure(report: Report, detail: float = 1.0) -> Markup:
    """The figure, or nothing where the report has no points.

    `detail`, at most 1, scales how many points are drawn.
    """
    points = (*report.searched, *report.random, *report.front, *report.measured_front)
    if not points:
        return Markup("")
    limit = [] if report.limit_ms is None else [report.limit_ms]
    frame = Frame.around(
        *_SIZE, domain([p.latency_ms for p in points] + limit), domain([p.top1 for p in points])
    )
    caption = _caption(report, detail)
    body = join(
        [
            _beyond(frame, report.limit_ms),
            frame.axes("latency (ms)", "top-1 accuracy (%)"),
            _random(frame, report.random, round(_MAX_RANDOM * detail)),
            _searched(frame, report.searched, round(_MAX_SEARCHED * detail)),
            _front(frame, report.front, round(_MAX_FRONT * detail)),
            _limit(frame, report.limit_ms),
            _measured(frame, report),
        ]
    )
    plot = picture(
        body,
        id_="front",
        kind="plot hero",
        size=_SIZE,
        title="Top-1 accuracy against latency",
        description=_description(report, caption),
    )
    return figure(plot, legend=_legend(report), caption=caption, kind="beside")


def _head(kind: str, point: FrontPoint) -> str:
    return f"{kind}: {point.top1:.2f} %, {significant(point.latency_ms)} ms"


def _dot(frame: Frame, point: FrontPoint, *, kind: str, radius: float, head: str) -> Markup:
    return tag(
        "circle",
        class_=kind,
        cx=frame.x(point.latency_ms),
        cy=frame.y(point.top1),
        r=radius,
        data_tip=tip(_head(head, point), point.label),
    )


def _searched(frame: Frame, points: Sequence[FrontPoint], limit: int) -> Markup:
    return join(
        _dot(
            frame,
            point,
            kind=f"s{i * _SHADES // len(points)}",
            radius=3,
            head=f"no. {i + 1:,} of {len(points):,}",
        )
        for i, point in thin(points, limit)
    )


def _random(frame: Frame, points: Sequence[FrontPoint], limit: int) -> Markup:
    return join(
        _dot(frame, point, kind="random", radius=3, head="random")
        for _, point in thin(points, limit)
    )


def _front(frame: Frame, points: Sequence[FrontPoint], limit: int) -> Markup:
    if not points:
        return Markup("")
    ordered = sorted(points, key=lambda p: (p.latency_ms, p.top1))
    x, y = frame.x(ordered[0].latency_ms), frame.y(ordered[0].top1)
    path = f"M{number(x)} {number(y)}"
    for point in ordered[1:]:
        path += f"H{number(frame.x(point.latency_ms))}V{number(frame.y(point.top1))}"
    dots = [
        _dot(frame, point, kind="front-dot", radius=2.6, head="predicted front")
        for _, point in thin(ordered, limit)
    ]
    return join([tag("path", class_="front", d=path), *dots])


def _beyond(frame: Frame, limit_ms: float | None) -> Markup:
    """Shade of what the limit rules out."""
    if limit_ms is None:
        return Markup("")
    x, top = frame.x(limit_ms), frame.y.stop
    return tag(
        "rect",
        class_="beyond",
        x=x,
        y=top,
        width=frame.x.stop - x,
        height=frame.y.start - top,
    )


def _limit(frame: Frame, limit_ms: float | None) -> Markup:
    if limit_ms is None:
        return Markup("")
    x, top, bottom = frame.x(limit_ms), frame.y.stop, frame.y.start
    near_end = x > frame.width * 0.75
    text = escape(f"limit {significant(limit_ms)} ms")
    return join(
        [
            tag("line", class_="limit", x1=x, x2=x, y1=top, y2=bottom),
            tag(
                "text",
                text,
                class_="halo note end" if near_end else "halo note",
                x=x - 7 if near_end else x + 7,
                y=bottom - 10,
            ),
        ]
    )


def _measured(frame: Frame, report: Report) -> Markup:
    """Large markers with names; the found subnet last, on top, as a star."""
    points = sorted(report.measured_front, key=lambda p: report.is_found(p.title))
    cloud = [
        (frame.x(p.latency_ms), frame.y(p.top1))
        for p in (*report.searched, *report.random, *report.front)
    ]
    spots = [(frame.x(p.latency_ms), frame.y(p.top1)) for p in points]
    texts = [clip(p.title, 28) for p in points]
    inside = Box(frame.x.start, frame.y.stop - 10, frame.width, frame.y.start)
    labels = place(spots, texts, inside=inside, avoid=cloud)
    marks, names = [], []
    for point, (x, y), text, label in zip(points, spots, texts, labels, strict=True):
        hover = tip(_head(f"{clip(point.title, 40)}, measured", point), point.label)
        if report.is_found(point.title):
            marks.append(tag("path", class_="found", d=star(x, y, 11), data_tip=hover))
        else:
            marks.append(tag("circle", class_="measured", cx=x, cy=y, r=6, data_tip=hover))
        kind = f"halo name {label.anchor}"
        names.append(tag("text", escape(text), class_=kind, x=label.x, y=label.y))
    return join([*names, *marks])


def _legend(report: Report) -> list[Markup]:
    entries = []
    if report.measured_front:
        if any(report.is_found(p.title) for p in report.measured_front):
            mark = tag("path", class_="found", d=star(9, 7.5, 7.5))
            entries.append(key(mark, f"{report.found}, measured"))
        if not all(report.is_found(p.title) for p in report.measured_front):
            entries.append(key(tag("circle", class_="measured", cx=9, cy=7, r=5), "measured"))
    if report.front:
        line = tag("path", class_="front", d="M1 11H9V3H17")
        entries.append(key(line, "Pareto front, predicted"))
    if report.searched:
        shades = [
            tag("circle", class_=f"s{i}", cx=4 + 5.5 * i, cy=7, r=3.5) for i in range(_SHADES)
        ]
        entries.append(key(join(shades), "evaluated by the search, first to last", width=30))
    if report.random:
        mark = tag("circle", class_="random", cx=9, cy=7, r=3.5)
        entries.append(key(mark, "random subnets"))
    if report.limit_ms is not None:
        line = tag("line", class_="limit", x1=9, x2=9, y1=0, y2=14)
        entries.append(key(line, "latency limit"))
    return entries


def _shown(count: int, limit: int, what: str) -> str:
    return f"{count:,} {what}" + (f" ({limit:,} drawn)" if count > limit else "")


def _caption(report: Report, detail: float) -> str:
    parts = []
    if report.searched:
        parts.append(_shown(len(report.searched), round(_MAX_SEARCHED * detail), "evaluated"))
    if report.random:
        parts.append(_shown(len(report.random), round(_MAX_RANDOM * detail), "random"))
    if report.front:
        parts.append(f"{len(report.front):,} on the predicted front")
    if report.measured_front:
        parts.append(f"{len(report.measured_front):,} measured")
    return f"n: {', '.join(parts)}. Up and to the left is better; hover for the architecture."


def _description(report: Report, caption: str) -> str:
    named = "; ".join(
        f"{p.title}: {p.top1:.2f} % at {significant(p.latency_ms)} ms"
        for p in report.measured_front
    )
    return f"Each mark is a subnet. {caption}" + (f" Measured: {named}." if named else "")
