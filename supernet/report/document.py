"""A report as one HTML file that needs nothing else: opens offline, prints, can be mailed."""

from collections.abc import Iterable

from supernet.report._curves import training_figure, validation_figure
from supernet.report._markup import Markup, escape, join, tag
from supernet.report._policy import policy_figure
from supernet.report._quality import quality_content
from supernet.report._script import SCRIPT
from supernet.report._search import search_section
from supernet.report._style import STYLE
from supernet.report._tables import facts_list, figures_table, headline_table, summary
from supernet.report.contents import Quality, Report

__all__ = ["MAX_BYTES", "page", "render"]

MAX_BYTES = 390_000
"""Of a page: what is longer is no longer mailed with a light heart."""
_DETAILS = (1.0, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.0)


def render(report: Report) -> str:
    """The whole document; plots draw fewer points rather than pass `MAX_BYTES`."""
    most = 2 / max(2, len(report.searches))
    first, *others = (detail for detail in _DETAILS if detail <= most)
    text = _whole(report, first)
    for detail in others if report.searches else ():
        too_long = len(text.encode()) - MAX_BYTES
        if too_long <= 0:
            break
        if detail == _DETAILS[-1] or _saved(report, first, detail) >= too_long:
            first, text = detail, _whole(report, detail)
    return text


def _whole(report: Report, detail: float) -> str:
    return page(report.title, [_header(report), *_sections(report, detail)])


def _saved(report: Report, detail: float, less: float) -> int:
    """Bytes that less detail saves, by the newest search: they are much alike."""
    long, short = (len(search_section(report.searches[0], 0, d)) for d in (detail, less))
    return len(report.searches) * (long - short)


def page(title: str, content: Iterable[Markup]) -> str:
    """A document with our style and script around `content`."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", escape(title)),
        tag("style", Markup(STYLE)),
    )
    body = tag(
        "body",
        tag("main", *content),
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
    curves = [training_figure(report.training), validation_figure(report.validation)]
    return [
        _section("Networks", headline_table(report)),
        *[search_section(view, i, detail) for i, view in enumerate(report.searches)],
        _section("Probabilities of the choices", _policies(report)),
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


def _policies(report: Report) -> Markup:
    return join(policy_figure(view, number) for number, view in enumerate(report.policies))


def _columns(figures: list[Markup]) -> Markup:
    """Figures side by side where the screen is wide enough."""
    content = join(figures)
    return tag("div", content, class_="columns") if content else Markup("")
