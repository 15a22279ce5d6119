"""A report as one HTML file that needs nothing else: opens offline, prints, can be mailed."""

from supernet.report._architecture import architecture_figure
from supernet.report._curves import training_figure, validation_figure
from supernet.report._front import front_figure
from supernet.report._markup import Markup, escape, join, tag
from supernet.report._scatter import accuracy_figure, latency_figure
from supernet.report._script import SCRIPT
from supernet.report._style import STYLE
from supernet.report._tables import facts_list, figures_table, headline_table, summary
from supernet.report.contents import Report

__all__ = ["render"]

_MAX_BYTES = 390_000
_DETAILS = (1.0, 0.6, 0.3, 0.1)


def render(report: Report) -> str:
    """The whole document; plots draw fewer points rather than pass 400 KB."""
    page = ""
    for detail in _DETAILS:
        page = _page(report, detail)
        if len(page.encode()) <= _MAX_BYTES:
            break
    return page


def _page(report: Report, detail: float) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", escape(report.title)),
        tag("style", Markup(STYLE)),
    )
    body = tag(
        "body",
        tag("main", _header(report), *_sections(report, detail)),
        tag("div", id="tip", role="status", hidden="hidden"),
        tag("script", Markup(SCRIPT)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _header(report: Report) -> Markup:
    parts = [tag("h1", escape(report.title))]
    if report.subtitle:
        parts.append(tag("p", escape(report.subtitle), class_="subtitle"))
    return tag("header", *parts, summary(report))


def _sections(report: Report, detail: float) -> list[Markup]:
    predictions = [
        latency_figure(report.latency, detail),
        accuracy_figure(report.predictor, detail),
    ]
    curves = [training_figure(report.training), validation_figure(report.validation)]
    return [
        _section("Networks", headline_table(report)),
        _section("Accuracy against latency", front_figure(report, detail)),
        _section("Architecture", architecture_figure(report.architecture)),
        _section("Predictions", _columns(predictions)),
        _section("Supernet training", _columns(curves)),
        _section("Further figures", figures_table(report.figures)),
        _section("How this was made", facts_list(report.facts)),
    ]


def _section(heading: str, content: Markup) -> Markup:
    return tag("section", tag("h2", escape(heading)), content) if content else Markup("")


def _columns(figures: list[Markup]) -> Markup:
    """Figures side by side where the screen is wide enough."""
    content = join(figures)
    return tag("div", content, class_="columns") if content else Markup("")
