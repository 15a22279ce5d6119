"""A report as one HTML file that needs nothing else: opens offline, prints, can be mailed."""

import re

from supernet.report._architecture import architecture_figure
from supernet.report._curves import training_figure, validation_figure
from supernet.report._front import front_figure
from supernet.report._markup import Markup, escape, join, tag
from supernet.report._quality import quality_content
from supernet.report._scatter import accuracy_figure, latency_figure
from supernet.report._script import SCRIPT
from supernet.report._style import STYLE
from supernet.report._tables import facts_list, figures_table, headline_table, summary
from supernet.report.contents import Quality, Report

__all__ = ["render", "with_quality"]

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
        _quality(report.quality),
        _section("Supernet training", _columns(curves)),
        _section("Further figures", figures_table(report.figures)),
        _section("How this was made", facts_list(report.facts)),
    ]


def _section(heading: str, content: Markup, id_: str | None = None) -> Markup:
    if not content:
        return Markup("")
    return tag("section", tag("h2", escape(heading)), content, id=id_)


def _quality(quality: Quality | None) -> Markup:
    return _section("Supernet quality", quality_content(quality), "quality")


def with_quality(page: str, quality: Quality) -> str:
    """A rendered page with its section on quality made anew, or added.

    What else is in it, such as the results of a search, stays.
    """
    section = _quality(quality)
    page = re.sub(r'<section id="quality">.*?</section>', "", page, flags=re.DOTALL)
    for mark in ("<section><h2>Supernet training</h2>", "</main>"):
        before, found, after = page.partition(mark)
        if found:
            return before + section + found + after
    return page


def _columns(figures: list[Markup]) -> Markup:
    """Figures side by side where the screen is wide enough."""
    content = join(figures)
    return tag("div", content, class_="columns") if content else Markup("")
