"""Real accuracies of subnets against multiply-adds, with shared weights and trained standalone."""

from collections.abc import Sequence

from supernet.report._axes import Frame, domain
from supernet.report._figure import figure, key, picture, tip
from supernet.report._labels import Box, place
from supernet.report._markup import Markup, compact, escape, join, signed, tag
from supernet.report._tables import figures_table
from supernet.report.contents import Quality, QualityPoint

__all__ = ["quality_content"]

_SIZE = (680.0, 400.0)
_NAMED = ("largest", "smallest")


def quality_content(quality: Quality | None) -> Markup:
    """The plot and, where subnets were trained standalone, a table of the differences."""
    if quality is None or not quality.points:
        return Markup("")
    return join([_figure(quality), figures_table(_gaps(quality.points))])


def _figure(quality: Quality) -> Markup:
    points = quality.points
    accuracies = [value for p in points for value in (p.top1, p.standalone) if value is not None]
    frame = Frame.around(*_SIZE, domain([p.macs / 1e6 for p in points]), domain(accuracies))
    body = [frame.axes("million multiply-adds", "top-1 accuracy (%)")]
    body += [_gap(frame, point) for point in points]
    body += [_shared(frame, point) for point in sorted(points, key=lambda p: p.name in _NAMED)]
    body.append(_names(frame, points))
    plot = picture(
        join(body),
        id_="quality-plot",
        kind="plot hero",
        size=_SIZE,
        title="Top-1 accuracy of subnets against multiply-adds",
        description=f"Each mark is a subnet. {quality.caption}",
    )
    return figure(plot, legend=_legend(points), caption=quality.caption, kind="beside")


def _spot(frame: Frame, point: QualityPoint, top1: float) -> tuple[float, float]:
    return frame.x(point.macs / 1e6), frame.y(top1)


def _shared(frame: Frame, point: QualityPoint) -> Markup:
    x, y = _spot(frame, point, point.top1)
    named = point.name in _NAMED
    hover = tip(f"{point.name}: {point.top1:.2f} %, {compact(point.macs)} MACs", point.label)
    kind, radius = ("measured", 6.0) if named else ("pair", 4.0)
    return tag("circle", class_=kind, cx=x, cy=y, r=radius, data_tip=hover)


def _gap(frame: Frame, point: QualityPoint) -> Markup:
    """Trained standalone, and the way from there to the shared weights."""
    if point.standalone is None:
        return Markup("")
    x, y = _spot(frame, point, point.standalone)
    head = f"{point.name}, trained standalone: {point.standalone:.2f} %"
    line = tag("line", class_="equal", x1=x, x2=x, y1=y, y2=frame.y(point.top1))
    hover = tip(head, f"{signed(point.top1 - point.standalone, 2)} points with shared weights")
    return join([line, tag("circle", class_="random", cx=x, cy=y, r=4, data_tip=hover)])


def _names(frame: Frame, points: Sequence[QualityPoint]) -> Markup:
    named = [point for point in points if point.name in _NAMED]
    labels = place(
        [_spot(frame, point, point.top1) for point in named],
        [point.name for point in named],
        inside=Box(frame.x.start, frame.y.stop - 10, frame.width, frame.y.start),
        avoid=[_spot(frame, p, v) for p in points for v in (p.top1, p.standalone) if v is not None],
    )
    return join(
        tag("text", escape(point.name), class_=f"halo name {at.anchor}", x=at.x, y=at.y)
        for point, at in zip(named, labels, strict=True)
    )


def _legend(points: Sequence[QualityPoint]) -> list[Markup]:
    entries = [key(tag("circle", class_="measured", cx=9, cy=7, r=5), "smallest and largest")]
    if any(point.name not in _NAMED for point in points):
        entries.append(key(tag("circle", class_="pair", cx=9, cy=7, r=4), "random subnets"))
    if any(point.standalone is not None for point in points):
        mark = tag("circle", class_="random", cx=9, cy=7, r=4)
        entries.append(key(mark, "the same network, trained standalone"))
    return entries


def _gaps(points: Sequence[QualityPoint]) -> dict[str, str]:
    return {
        f"{p.name}, {compact(p.macs)} MACs": f"{p.top1:.2f} %, standalone {p.standalone:.2f} %: "
        f"{signed(p.top1 - p.standalone, 2)} points"
        for p in points
        if p.standalone is not None
    }
