"""One search: its figures, plots against each cost, the drawn network and the predictions."""

from supernet.report._architecture import architecture_figure
from supernet.report._cells import cells_figure
from supernet.report._data import data_element
from supernet.report._front import drawn_front, front_figure, value_text
from supernet.report._markup import Markup, escape, join, tag
from supernet.report._scatter import accuracy_figure, latency_figure
from supernet.report._tables import facts_list
from supernet.report.views import FrontPoint, SearchView

__all__ = ["plots", "search_section", "short_table"]

_SHOWN = 7  # subnets of the short table


def search_section(view: SearchView, number: int, detail: float) -> Markup:
    """Everything of one search; its pictures have ids that start with ``search-<number>``."""
    id_ = f"search-{number}"
    heading = tag("h2", escape(f"Search {view.name}"))
    parts = [heading, _subtitle(view), _figures_table(view), plots(view, id_, detail)]
    parts += [_cells(view, id_), _architecture(view, id_), _predictions(view, id_, detail)]
    if view.facts:
        parts.append(_part("How it was searched", facts_list(view.facts)))
    points = [point for point in drawn_front(view, detail) if point.operators]
    parts.append(data_element(view, points) if points else Markup(""))
    return tag("section", *parts, class_="search", id=id_, data_name=view.name)


def _subtitle(view: SearchView) -> Markup:
    return tag("p", escape(view.subtitle), class_="aim") if view.subtitle else Markup("")


def _part(heading: str, content: Markup) -> Markup:
    if not content:
        return Markup("")
    return tag("div", tag("h3", escape(heading)), content, class_="part")


def plots(view: SearchView, id_: str, detail: float) -> Markup:
    """One plot for each cost; the script shows one at a time, with a button for each."""
    found = []
    for cost in range(1, len(view.axes)):
        drawn = front_figure(view, cost, f"{id_}-front-{cost}", detail)
        if drawn:
            label = view.axes[cost].label
            found.append(tag("div", drawn, class_="against", data_label=label))
    return tag("div", *found, class_="plots") if found else Markup("")


def _figures_table(view: SearchView) -> Markup:
    """The chosen subnet: each figure with its limit and its range on the front."""
    if view.chosen is None:
        return Markup("")
    values = view.front[view.chosen].values
    rows = []
    for index, (axis, value) in enumerate(zip(view.axes, values, strict=True)):
        known = [v for point in view.front if (v := point.values[index]) is not None]
        if value is None or not known:
            continue
        sign = "at least" if axis.maximise else "at most"
        limit = f"{sign} {value_text(axis, axis.limit)}" if axis.limit is not None else ""
        extent = f"{value_text(axis, min(known))} to {value_text(axis, max(known))}"
        cells = [
            tag("td", escape(text), data_label=title, class_=kind)
            for title, text, kind in (
                ("Chosen", value_text(axis, value), "value"),
                ("Limit", limit, None),
                ("On the front", extent, None),
            )
        ]
        rows.append(tag("tr", tag("th", escape(axis.label), scope="row"), *cells))
    titles = ("Predicted", "Chosen", "Limit", "On the front")
    head = tag("tr", *[tag("th", escape(title), scope="col") for title in titles])
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="chosen")


def _architecture(view: SearchView, id_: str) -> Markup:
    """The chosen network; the script draws any other point of the front in its place."""
    if view.chosen is None or not view.front[view.chosen].operators:
        return Markup("")
    point = view.front[view.chosen]
    drawing = architecture_figure(point.operators, cost=view.costs[0], id_=f"{id_}-stage")
    return tag(
        "div",
        tag("h3", escape("Architecture")),
        _which(view, point),
        _commands(view, point),
        tag("div", drawing, class_="drawing"),
        class_="part detail",
        data_number=str(point.number),
    )


def _cells(view: SearchView, id_: str) -> Markup:
    if view.chosen is None:
        return Markup("")
    return _part("Cells of the chosen subnet", cells_figure(view.front[view.chosen].cells, id_))


def _which(view: SearchView, point: FrontPoint) -> Markup:
    texts = [
        f"{axis.label} {value_text(axis, value)}"
        for axis, value in zip(view.axes, point.values, strict=True)
        if value is not None
    ]
    which = f"No. {point.number} of the front" if point.number else "Not on the front"
    head = f"{which}, the chosen one: {', '.join(texts)}"
    return join(
        [
            tag("p", escape(head), class_="which"),
            tag("p", escape(point.label), class_="under label-text"),
        ]
    )


def _commands(view: SearchView, point: FrontPoint) -> Markup:
    if not view.commands:
        return Markup("")
    text = view.commands.replace("{pick}", f"--pick {point.number} " * (point.number > 0))
    return tag("div", tag("pre", tag("code", escape(text))), class_="commands")


def _predictions(view: SearchView, id_: str, detail: float) -> Markup:
    figures = [
        latency_figure(
            scatter,
            detail,
            target=target if len(view.latencies) > 1 else "",
            id_=f"{id_}-latency-{index}",
        )
        for index, (target, scatter) in enumerate(view.latencies.items())
    ]
    figures.append(accuracy_figure(view.predictor, detail, id_=f"{id_}-accuracy"))
    content = join(figures)
    return _part("Predictions", tag("div", content, class_="columns")) if content else Markup("")


def short_table(view: SearchView) -> Markup:
    """A few subnets of the front, evenly spread."""
    count = len(view.front)
    step = max(1, (count - 1) / (_SHOWN - 1))
    kept = {round(i * step) for i in range(_SHOWN)} & set(range(count))
    kept |= {view.chosen} if view.chosen is not None else set()
    titles = ("No.", *(axis.label for axis in view.axes))
    head = tag("tr", *[tag("th", escape(title), scope="col") for title in titles])
    rows = []
    for index in sorted(kept):
        point = view.front[index]
        texts = [
            value_text(axis, value) if value is not None else ""
            for axis, value in zip(view.axes, point.values, strict=True)
        ]
        mark = " \N{BLACK STAR}" * (index == view.chosen)
        cells = [tag("td", escape(text)) for text in texts]
        rows.append(tag("tr", tag("th", escape(f"{point.number}{mark}"), scope="row"), *cells))
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="chosen")
