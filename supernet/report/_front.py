"""One figure against another: what was scored, the front, and what was measured."""

from collections.abc import Iterable, Sequence

from supernet.report._axes import Frame, domain
from supernet.report._figure import figure, key, picture, star, thin, tip
from supernet.report._labels import Box, place
from supernet.report._markup import Markup, clip, escape, join, number, significant, tag
from supernet.report.views import FrontPoint, PlotAxis, SearchView

__all__ = ["drawn_front", "front_figure", "value_text"]

_SIZE = (680.0, 440.0)
_SHADES = 5
_MAX_SEARCHED, _MAX_RANDOM, _MAX_FRONT, _MAX_STEPS = 500, 250, 150, 400


def value_text(axis: PlotAxis, value: float) -> str:
    """A value with its unit, such as ``12.3 ms``."""
    if axis.unit == "%":
        return f"{value:.2f} %"
    return f"{significant(value / axis.divisor)} {axis.unit}".rstrip()


def drawn_front(view: SearchView, detail: float = 1.0) -> list[FrontPoint]:
    """The points of the front that are drawn, the chosen one always among them.

    Where networks can be drawn, only points with one are.
    """
    every = range(len(view.front))
    usable = [index for index in every if view.front[index].operators] or [*every]
    indices = [index for _, index in thin(usable, max(2, round(_MAX_FRONT * detail)))]
    kept = {index: view.front[index] for index in indices}
    if view.chosen is not None:
        kept[view.chosen] = view.front[view.chosen]
    return [kept[index] for index in sorted(kept)]


def front_figure(view: SearchView, cost: int, id_: str, detail: float = 1.0) -> Markup:
    """The plot against one of the figures, or nothing where no point has it.

    Args:
        view: of the search.
        cost: index of the axis to the right.
        id_: of the picture.
        detail: at most 1, scales how many points are drawn.
    """
    plot = _Plot(view, cost, detail)
    if not plot.spots:
        return Markup("")
    frame, limits = plot.frame, (view.axes[cost].limit, view.axes[0].limit)
    body = join(
        [
            _beyond(frame, view.axes[cost]),
            frame.axes(view.axes[cost].title, view.axes[0].title),
            _random(plot),
            _searched(plot),
            _front(plot),
            _limit(frame, view.axes[cost]) if limits[0] is not None else Markup(""),
            _level(frame, view.axes[0]) if limits[1] is not None else Markup(""),
            _measured(plot),
        ]
    )
    caption = _caption(view, cost, detail)
    picture_ = picture(
        body,
        id_=id_,
        kind="plot hero",
        size=_SIZE,
        title=f"{view.axes[0].label} against {view.axes[cost].label}",
        description=_description(view, cost, caption),
    )
    return figure(picture_, legend=_legend(view, cost), caption=caption, kind="beside")


class _Plot:
    """One pair of axes of a view, in pixels."""

    def __init__(self, view: SearchView, cost: int, detail: float) -> None:
        self.view, self.cost, self.detail = view, cost, detail
        self.up, self.right = view.axes[0], view.axes[cost]
        self.cloud = [row for _, row in thin(view.searched, max(2, round(_MAX_SEARCHED * detail)))]
        points = (*view.front, *view.random, *view.measured)
        rows: list[Sequence[float | None]] = [*self.cloud, *(point.values for point in points)]
        self.spots = [spot for row in rows if (spot := self._scaled(row))]
        if self.spots:
            x, y = zip(*self.spots, strict=True)
            marks = [[axis.limit / axis.divisor] if axis.limit else [] for axis in self._both]
            self.frame = Frame.around(*_SIZE, domain([*x, *marks[0]]), domain([*y, *marks[1]]))

    @property
    def _both(self) -> tuple[PlotAxis, PlotAxis]:
        return self.right, self.up

    def _scaled(self, row: Sequence[float | None]) -> tuple[float, float] | None:
        x, y = row[self.cost], row[0]
        if x is None or y is None:
            return None
        return x / self.right.divisor, y / self.up.divisor

    def at(self, row: Sequence[float | None]) -> tuple[float, float] | None:
        """The pixel of a point; None where it has no such figures."""
        spot = self._scaled(row)
        return (self.frame.x(spot[0]), self.frame.y(spot[1])) if spot else None

    def placed(self, points: Iterable[FrontPoint]) -> list[tuple[FrontPoint, tuple[float, float]]]:
        """Points with their pixels, without those that have none."""
        found = ((point, self.at(point.values)) for point in points)
        return [(point, spot) for point, spot in found if spot]

    def head(self, kind: str, point: FrontPoint) -> str:
        """The first line of a hover text."""
        known = [(self.up, point.values[0]), (self.right, point.values[self.cost])]
        return f"{kind}: " + ", ".join(value_text(a, v) for a, v in known if v is not None)


def _searched(plot: _Plot) -> Markup:
    """The cloud: one path of round dots a shade, since hundreds of circles weigh too much."""
    paths: list[list[str]] = [[] for _ in range(_SHADES)]
    for i, row in enumerate(plot.cloud):
        spot = plot.at(row)
        if spot:
            dot = f"M{number(spot[0])} {number(spot[1])}h0"
            paths[i * _SHADES // len(plot.cloud)].append(dot)
    return join(
        tag("path", class_=f"cloud d{shade}", d="".join(dots))
        for shade, dots in enumerate(paths)
        if dots
    )


def _random(plot: _Plot) -> Markup:
    drawn = [p for _, p in thin(plot.view.random, max(2, round(_MAX_RANDOM * plot.detail)))]
    return join(
        tag(
            "circle",
            class_="random",
            cx=x,
            cy=y,
            r=3,
            data_tip=tip(plot.head("random", point), point.label),
        )
        for point, (x, y) in plot.placed(drawn)
    )


def _front(plot: _Plot) -> Markup:
    placed = plot.placed(plot.view.front)
    if not placed:
        return Markup("")
    kept = {id(point) for point in drawn_front(plot.view, plot.detail)}
    chosen = plot.view.front[plot.view.chosen] if plot.view.chosen is not None else None
    starred = chosen if not _starred(plot.view) else None
    dots = [
        _dot(plot, point, spot, point is starred) for point, spot in placed if id(point) in kept
    ]
    return join([tag("path", class_="front", d=_staircase(plot, placed)), *dots])


def _dot(plot: _Plot, point: FrontPoint, spot: tuple[float, float], is_star: bool) -> Markup:
    """A point of the front; its hover text is made by the script from the page's data."""
    x, y = spot
    where = str(point.number) if point.operators else None
    hover = None if where else tip(plot.head(f"front, no. {point.number}", point), point.label)
    if is_star:
        shape = star(x, y, 11)
        return tag("path", class_="found", d=shape, data_point=where, data_tip=hover)
    return tag("circle", class_="front-dot", cx=x, cy=y, r=2.8, data_point=where, data_tip=hover)


def _staircase(plot: _Plot, placed: Sequence[tuple[FrontPoint, tuple[float, float]]]) -> str:
    """The path along the points that are best of all that are as good in the other figure.

    Of more than two objectives only these points are a front in this picture.
    """
    sign = 1 if plot.up.maximise else -1  # pixels go down
    side = -1 if plot.right.maximise else 1
    ordered = sorted((side * x, sign * y) for _, (x, y) in placed)
    best: list[tuple[float, float]] = []
    for x, y in ordered:
        if not best or y < best[-1][1]:
            best.append((x, y))
    steps = [spot for _, spot in thin(best, max(2, round(_MAX_STEPS * plot.detail)))]
    path = f"M{number(side * steps[0][0])} {number(sign * steps[0][1])}"
    return path + "".join(f"H{number(side * x)}V{number(sign * y)}" for x, y in steps[1:])


def _beyond(frame: Frame, axis: PlotAxis) -> Markup:
    """Shade of what the limit rules out."""
    if axis.limit is None:
        return Markup("")
    x, top = frame.x(axis.limit / axis.divisor), frame.y.stop
    left, right = (frame.x.start, x) if axis.maximise else (x, frame.x.stop)
    return tag(
        "rect", class_="beyond", x=left, y=top, width=right - left, height=frame.y.start - top
    )


def _limit(frame: Frame, axis: PlotAxis) -> Markup:
    assert axis.limit is not None
    x, top, bottom = frame.x(axis.limit / axis.divisor), frame.y.stop, frame.y.start
    near_end = x > frame.width * 0.75
    return join(
        [
            tag("line", class_="limit", x1=x, x2=x, y1=top, y2=bottom),
            tag(
                "text",
                escape(f"limit {value_text(axis, axis.limit)}"),
                class_="halo note end" if near_end else "halo note",
                x=x - 7 if near_end else x + 7,
                y=bottom - 10,
            ),
        ]
    )


def _level(frame: Frame, axis: PlotAxis) -> Markup:
    """The limit of the figure that goes up."""
    assert axis.limit is not None
    y, left, right = frame.y(axis.limit / axis.divisor), frame.x.start, frame.x.stop
    text = escape(f"limit {value_text(axis, axis.limit)}")
    return join(
        [
            tag("line", class_="limit", x1=left, x2=right, y1=y, y2=y),
            tag("text", text, class_="halo note", x=left + 7, y=y - 6),
        ]
    )


def _is_found(view: SearchView, point: FrontPoint) -> bool:
    return point.title.casefold() == view.found.casefold()


def _starred(view: SearchView) -> bool:
    """Whether what the search chose was measured: then the star is there."""
    return any(_is_found(view, point) for point in view.measured)


def _measured(plot: _Plot) -> Markup:
    """Large markers with names; the found subnet last, on top, as a star."""
    view = plot.view
    placed = plot.placed(sorted(view.measured, key=lambda p: _is_found(view, p)))
    others = plot.placed((*view.random, *view.front))
    cloud = [spot for spot in map(plot.at, plot.cloud) if spot] + [spot for _, spot in others]
    texts = [clip(point.title, 28) for point, _ in placed]
    frame = plot.frame
    inside = Box(frame.x.start, frame.y.stop - 10, frame.width, frame.y.start)
    labels = place([spot for _, spot in placed], texts, inside=inside, avoid=cloud)
    marks, names = [], []
    for (point, (x, y)), text, label in zip(placed, texts, labels, strict=True):
        hover = tip(plot.head(f"{clip(point.title, 40)}, measured", point), point.label)
        if _is_found(view, point):
            marks.append(tag("path", class_="found", d=star(x, y, 11), data_tip=hover))
        else:
            marks.append(tag("circle", class_="measured", cx=x, cy=y, r=6, data_tip=hover))
        kind = f"halo name {label.anchor}"
        names.append(tag("text", escape(text), class_=kind, x=label.x, y=label.y))
    return join([*names, *marks])


def _legend(view: SearchView, cost: int) -> list[Markup]:
    entries = []
    mark = tag("path", class_="found", d=star(9, 7.5, 7.5))
    if _starred(view):
        entries.append(key(mark, f"{view.found}, measured"))
    elif view.chosen is not None:
        entries.append(key(mark, "chosen, predicted"))
    if not all(_is_found(view, point) for point in view.measured):
        entries.append(key(tag("circle", class_="measured", cx=9, cy=7, r=5), "measured"))
    if view.front:
        line = tag("path", class_="front", d="M1 11H9V3H17")
        entries.append(key(line, "Pareto front, predicted"))
    if view.searched:
        shades = [
            tag("path", class_=f"cloud d{i}", d=f"M{4 + 5.5 * i:g} 7h0") for i in range(_SHADES)
        ]
        entries.append(key(join(shades), "scored by the search, first to last", width=30))
    if view.random:
        mark = tag("circle", class_="random", cx=9, cy=7, r=3.5)
        entries.append(key(mark, "random subnets"))
    if view.axes[cost].limit is not None:
        line = tag("line", class_="limit", x1=9, x2=9, y1=0, y2=14)
        entries.append(key(line, "limit"))
    return entries


def _shown(count: int, limit: int, what: str) -> str:
    return f"{count:,} {what}" + (f" ({limit:,} drawn)" if count > limit else "")


def _caption(view: SearchView, cost: int, detail: float) -> str:
    parts = []
    scored = max(view.scored, len(view.searched))
    if scored:
        parts.append(
            _shown(scored, min(len(view.searched), round(_MAX_SEARCHED * detail)), "scored")
        )
    if view.random:
        parts.append(_shown(len(view.random), round(_MAX_RANDOM * detail), "random"))
    if view.front:
        drawn = len(drawn_front(view, detail))
        parts.append(_shown(len(view.front), drawn, "on the predicted front"))
    if view.measured:
        parts.append(f"{len(view.measured):,} measured")
    better = "Up" if view.axes[0].maximise else "Down"
    side = "right" if view.axes[cost].maximise else "left"
    end = "hover for figures"
    if any(point.operators for point in view.front):
        end += ", click a point of the front for its architecture"
    return f"n: {', '.join(parts)}. {better} and to the {side} is better; {end}."


def _description(view: SearchView, cost: int, caption: str) -> str:
    named = "; ".join(
        f"{point.title}: {value_text(view.axes[0], first)} at {value_text(view.axes[cost], other)}"
        for point in view.measured
        if (first := point.values[0]) is not None and (other := point.values[cost]) is not None
    )
    return f"Each mark is a subnet. {caption}" + (f" Measured: {named}." if named else "")
