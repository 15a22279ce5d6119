"""Predicted against measured, with the line on which both are equal."""

from supernet.report._axes import Frame, domain
from supernet.report._figure import figure, key, picture, thin, tip
from supernet.report._markup import Markup, join, number, significant, tag
from supernet.report.views import Scatter

__all__ = ["accuracy_figure", "latency_figure"]

_SIZE = (480.0, 470.0)
_MAX_PAIRS = 300
_BAND = 0.05


def latency_figure(
    scatter: Scatter, detail: float = 1.0, *, target: str = "", id_: str = "predicted-latency"
) -> Markup:
    """Table sums against whole networks, with a band of ±5 %.

    `detail`, at most 1, scales how many pairs are drawn.
    """
    if not scatter.measured:
        return Markup("")
    close = sum(
        abs(p - m) <= _BAND * abs(m)
        for m, p in zip(scatter.measured, scatter.predicted, strict=True)
    )
    within = f"{close:,} of {len(scatter.measured):,} within ±5 %"
    heading = f"Latency table{f' of {target}' * bool(target)}, held out"
    return _figure(scatter, ("latency", id_, heading), band=_BAND, remark=within, detail=detail)


def accuracy_figure(
    scatter: Scatter | None, detail: float = 1.0, *, id_: str = "predicted-accuracy"
) -> Markup:
    """The accuracy predictor on subnets it has not seen."""
    if scatter is None or not scatter.measured:
        return Markup("")
    names = ("accuracy", id_, "Accuracy predictor, held out")
    return _figure(scatter, names, band=0.0, remark="", detail=detail)


def _figure(
    scatter: Scatter, names: tuple[str, str, str], *, band: float, remark: str, detail: float
) -> Markup:
    name, id_, heading = names
    unit, limit = "ms" if name == "latency" else "%", round(_MAX_PAIRS * detail)
    extent = domain([*scatter.measured, *scatter.predicted])
    frame = Frame.around(*_SIZE, extent, extent, x_ticks=5, y_ticks=5)
    parts = [_band(frame, band)] if band else []
    parts.append(frame.axes(f"measured {name} ({unit})", f"predicted {name} ({unit})"))
    parts += [_diagonal(frame), _dots(frame, scatter, unit, limit)]
    sentences = [scatter.caption.removesuffix("."), remark]
    if len(scatter.measured) > limit:
        sentences.append(f"{limit} of {len(scatter.measured):,} drawn")
    caption = "".join(f"{sentence}. " for sentence in sentences if sentence).rstrip()
    plot = picture(
        join(parts),
        id_=id_,
        kind="plot square",
        size=_SIZE,
        title=f"Predicted against measured {name}",
        description=f"One dot per network. {caption}",
    )
    return figure(plot, legend=_legend(band), caption=caption, heading=heading)


def _legend(band: float) -> list[Markup]:
    entries = [key(tag("circle", class_="pair", cx=9, cy=7, r=3.5), "one network")]
    entries.append(key(tag("line", class_="equal", x1=1, x2=17, y1=12, y2=2), "exact"))
    if band:
        entries.append(key(tag("rect", class_="band", x=0, y=1, width=18, height=12), "±5 %"))
    return entries


def _diagonal(frame: Frame) -> Markup:
    low, high = frame.x.low, frame.x.high
    return tag(
        "line", class_="equal", x1=frame.x(low), x2=frame.x(high), y1=frame.y(low), y2=frame.y(high)
    )


def _band(frame: Frame, share: float) -> Markup:
    """The area where the prediction is off by at most `share`, cut at the frame."""
    low, high = frame.x.low, frame.x.high
    if low < 0:
        return Markup("")
    corners = [(low, low), (low, low * (1 + share)), (high / (1 + share), high), (high, high)]
    if low * (1 + share) > high:
        corners = [(low, low), (low, high), (high, high)]
    below_low = (low / (1 - share), low)
    below = [(high, high * (1 - share)), below_low]
    if below_low[0] > high:
        below = [(high, low)]
    points = [f"{number(frame.x(x))} {number(frame.y(y))}" for x, y in corners + below]
    return tag("path", class_="band", d=f"M{'L'.join(points)}Z")


def _dots(frame: Frame, scatter: Scatter, unit: str, limit: int) -> Markup:
    pairs = list(zip(scatter.measured, scatter.predicted, strict=True))
    dots = []
    for i, (measured, predicted) in thin(pairs, limit):
        if unit == "%":
            head = f"measured {measured:.2f} %, predicted {predicted:.2f} %"
        else:
            head = f"measured {significant(measured)} ms, predicted {significant(predicted)} ms"
        label = scatter.labels[i] if scatter.labels else ""
        dots.append(
            tag(
                "circle",
                class_="pair",
                cx=frame.x(measured),
                cy=frame.y(predicted),
                r=3.2,
                data_tip=tip(head, label),
            )
        )
    return join(dots)
