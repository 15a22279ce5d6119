"""Lines over epochs: losses and accuracies."""

from collections.abc import Sequence

from supernet.report._axes import Frame, domain
from supernet.report._figure import figure, key, picture, thin, tip
from supernet.report._markup import Markup, join, number, significant, tag
from supernet.report.contents import Curve

__all__ = ["training_figure", "validation_figure"]

_SIZE = (540.0, 340.0)
_MAX_POINTS, _MAX_DOTS = 400, 80
_COLOURS = 6


def training_figure(curves: Sequence[Curve]) -> Markup:
    """Losses over epochs."""
    drawn = [curve for curve in curves if curve.x]
    label = drawn[0].name if len(drawn) == 1 else "loss"
    return _figure(drawn, name="training", label=label, heading="Training")


def validation_figure(curves: Sequence[Curve]) -> Markup:
    """Accuracies of some subnets over epochs."""
    drawn = [curve for curve in curves if curve.x]
    return _figure(drawn, name="validation", label="top-1 accuracy (%)", heading="Validation")


def _figure(curves: Sequence[Curve], *, name: str, label: str, heading: str) -> Markup:
    if not curves:
        return Markup("")
    frame = Frame.around(
        *_SIZE,
        domain([x for curve in curves for x in curve.x], pad=0.02),
        domain([y for curve in curves for y in curve.y]),
    )
    lines = [_line(frame, curve, i % _COLOURS) for i, curve in enumerate(curves)]
    ends = "; ".join(f"{curve.name} {significant(curve.y[-1], 4)}" for curve in curves)
    caption = f"Last epoch: {ends}. n = {max(len(curve.x) for curve in curves):,} epochs."
    plot = picture(
        join([frame.axes("epoch", label), *lines]),
        id_=name,
        kind="plot line",
        size=_SIZE,
        title=f"{heading}: {label} over epochs",
        description=caption,
    )
    legend = [
        key(
            tag("line", class_=f"curve c{i % _COLOURS}", x1=0, x2=26, y1=7, y2=7),
            curve.name,
            width=26,
        )
        for i, curve in enumerate(curves)
    ]
    return figure(plot, legend=legend, caption=caption, heading=heading)


def _line(frame: Frame, curve: Curve, colour: int) -> Markup:
    points = list(zip(curve.x, curve.y, strict=True))
    path = "L".join(
        f"{number(frame.x(x))} {number(frame.y(y))}" for _, (x, y) in thin(points, _MAX_POINTS)
    )
    parts = [tag("path", class_=f"curve c{colour}", d=f"M{path}")]
    radius = 2.4 if len(points) <= _MAX_DOTS // 2 else 0.1
    for _, (x, y) in thin(points, _MAX_DOTS):
        parts.append(
            tag(
                "circle",
                class_=f"knot k{colour}",
                cx=frame.x(x),
                cy=frame.y(y),
                r=radius,
                data_tip=tip(f"{curve.name}: {significant(y, 4)}", f"epoch {x:g}"),
            )
        )
    return join(parts)
