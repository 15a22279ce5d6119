"""The page of a study: its trials, how they went, and what mattered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supernet.report._axes import Frame, domain
from supernet.report._figure import figure, key, picture, star, tip
from supernet.report._markup import Markup, escape, join, number, signed, tag
from supernet.report._tables import facts_list
from supernet.report.document import page

__all__ = ["StudyView", "TrialView", "render_study"]

_HISTORY, _CURVES = (680.0, 400.0), (540.0, 340.0)
_MOST_CURVES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """One trial."""

    number: int
    state: str
    """``complete``, ``pruned`` or ``failed``."""
    top1: float | None
    """Of its last epoch, percent; None where there is none."""
    epochs: tuple[int, ...] = ()
    curve: tuple[float, ...] = ()
    """Top-1 after each of the epochs."""
    label: str = ""
    """Its values, shown on hover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """Everything that is shown of a study."""

    title: str
    subtitle: str
    sentences: tuple[str, ...]
    """What was found, in words."""
    trials: tuple[TrialView, ...]
    best: int | None
    """Number of the best trial."""
    baseline: int | None
    """Number of the trial of the recipe as it is."""
    parameters: tuple[tuple[str, str, str], ...]
    """Name, value of the best trial, value of the recipe as it is."""
    importances: Mapping[str, float] = field(default_factory=dict)
    """Share of each parameter, from the largest."""
    measured: str = ""
    """What the accuracies are of."""
    confirmed: tuple[tuple[str, float, float], ...] = ()
    """Seed, top-1 of the best, top-1 of the recipe as it is."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What a reader needs to repeat it."""


def render_study(view: StudyView) -> str:
    """The whole document."""
    found = [tag("p", escape(sentence), class_="summary") for sentence in view.sentences]
    header = tag(
        "header",
        tag("h1", escape(view.title)),
        tag("p", escape(view.subtitle), class_="subtitle"),
        *found,
    )
    complete = sum(trial.state == "complete" for trial in view.trials)
    figures = join([_curves(view), _importances(view.importances, complete)])
    sections = [
        _section("Trials", _history(view)),
        _section("Best values", _parameters(view.parameters)),
        _section("Fresh seeds", _confirmed(view.confirmed)),
        _section("How they went", tag("div", figures, class_="columns") if figures else figures),
        _section("How this was made", facts_list(view.facts)),
    ]
    return page(view.title, [header, *sections])


def _section(heading: str, content: Markup) -> Markup:
    return tag("section", tag("h2", escape(heading)), content) if content else Markup("")


def _history(view: StudyView) -> Markup:
    """Top-1 of every trial, in order, and the best so far."""
    known = [trial for trial in view.trials if trial.top1 is not None]
    if not known:
        return Markup("")
    values = [trial.top1 for trial in known if trial.top1 is not None]
    last = max(trial.number for trial in known)
    frame = Frame.around(*_HISTORY, (-0.5, last + 0.5), domain(values))
    body = [frame.axes("trial", "top-1 accuracy (%)"), _best_so_far(frame, known)]
    ordered = sorted(known, key=lambda trial: trial.number in (view.best, view.baseline))
    body += [_mark(frame, trial, view) for trial in ordered]
    failed = sum(trial.state == "failed" for trial in view.trials)
    caption = f"Each mark is a trial: {view.measured}, after its last epoch."
    caption += f" {failed} failed." if failed else ""
    plot = picture(
        join(body), id_="history", kind="plot hero", size=_HISTORY,
        title="Top-1 accuracy of the trials in order", description=caption,
    )  # fmt: skip
    legend = [
        key(tag("circle", class_="pair", cx=9, cy=7, r=4), "complete"),
        key(tag("circle", class_="random", cx=9, cy=7, r=4), "given up before its end"),
        key(tag("circle", class_="measured", cx=9, cy=7, r=5), "the recipe as it is"),
        key(tag("path", class_="found", d=star(9, 7, 7)), "best"),
        key(tag("line", class_="front", x1=0, x2=18, y1=7, y2=7), "best so far"),
    ]
    return figure(plot, legend=legend, caption=caption, kind="beside")


def _mark(frame: Frame, trial: TrialView, view: StudyView) -> Markup:
    assert trial.top1 is not None
    x, y = frame.x(trial.number), frame.y(trial.top1)
    hover = tip(f"trial {trial.number}, {trial.state}: {trial.top1:.2f} %", trial.label)
    if trial.number == view.best:
        return tag("path", class_="found", d=star(x, y, 9), data_tip=hover)
    if trial.number == view.baseline:
        return tag("circle", class_="measured", cx=x, cy=y, r=6, data_tip=hover)
    kind = "pair" if trial.state == "complete" else "random"
    return tag("circle", class_=kind, cx=x, cy=y, r=4, data_tip=hover)


def _best_so_far(frame: Frame, trials: Sequence[TrialView]) -> Markup:
    points, best = [], None
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == "complete" and trial.top1 is not None:
            if best is not None:
                points.append(f"{number(frame.x(trial.number))} {number(frame.y(best))}")
            best = trial.top1 if best is None else max(best, trial.top1)
            points.append(f"{number(frame.x(trial.number))} {number(frame.y(best))}")
    return tag("path", class_="front", d=f"M{'L'.join(points)}") if points else Markup("")


def _curves(view: StudyView) -> Markup:
    """Top-1 over epochs of every trial; the best and the recipe as it is stand out."""
    drawn = [trial for trial in view.trials if len(trial.epochs) > 1][-_MOST_CURVES:]
    if not drawn:
        return Markup("")
    frame = Frame.around(
        *_CURVES,
        domain([float(x) for trial in drawn for x in trial.epochs], pad=0.02),
        domain([y for trial in drawn for y in trial.curve]),
    )
    named = {view.baseline: "curve c1", view.best: "curve c0"}
    ordered = sorted(drawn, key=lambda trial: trial.number in named)
    lines = [_line(frame, trial, named.get(trial.number, "random")) for trial in ordered]
    caption = f"Each line is a trial; {len(drawn)} of more than one epoch."
    plot = picture(
        join([frame.axes("epoch", "top-1 accuracy (%)"), *lines]), id_="curves", kind="plot line",
        size=_CURVES, title="Top-1 accuracy over epochs", description=caption,
    )  # fmt: skip
    legend = [
        key(tag("line", class_=kind, x1=0, x2=26, y1=7, y2=7), name, width=26)
        for kind, name in (
            ("curve c0", "best"),
            ("curve c1", "the recipe as it is"),
            ("random", "others"),
        )
    ]
    return figure(plot, legend=legend, caption=caption, heading="Over epochs")


def _line(frame: Frame, trial: TrialView, kind: str) -> Markup:
    points = [
        f"{number(frame.x(x))} {number(frame.y(y))}" for x, y in zip(trial.epochs, trial.curve)
    ]
    hover = tip(f"trial {trial.number}, {trial.state}", trial.label)
    return tag("path", class_=kind, d=f"M{'L'.join(points)}", data_tip=hover)


def _importances(shares: Mapping[str, float], complete: int) -> Markup:
    """A bar for each parameter."""
    if not shares:
        return Markup("")
    rows = []
    for name, share in shares.items():
        bar = tag("span", tag("span", style=f"width:{number(100 * share)}%"), class_="bar")
        cells = [tag("th", escape(name), scope="row"), tag("td", escape(f"{share:.2f}"), bar)]
        rows.append(tag("tr", *cells))
    table = tag("table", tag("tbody", *rows), class_="figures")
    words = (
        f"Share of each parameter in whether a trial is among the best tenth (PED-ANOVA), by "
        f"{complete} complete trials."
    )
    return tag(
        "figure", tag("h3", escape("What mattered")), table, tag("figcaption", escape(words))
    )


def _parameters(rows: Sequence[tuple[str, str, str]]) -> Markup:
    if not rows:
        return Markup("")
    titles = ("Parameter", "Best", "As it is")
    head = tag("tr", *[tag("th", escape(title), scope="col") for title in titles])
    body = [
        tag(
            "tr",
            tag("th", escape(name), scope="row"),
            tag("td", escape(best), data_label="Best", class_="value"),
            tag("td", escape(usual), data_label="As it is"),
        )
        for name, best, usual in rows
    ]
    return tag("table", tag("thead", head), tag("tbody", *body), class_="chosen")


def _confirmed(rows: Sequence[tuple[str, float, float]]) -> Markup:
    body = [
        tag(
            "tr",
            tag("th", escape(name), scope="row"),
            tag(
                "td",
                escape(f"{best:.2f} % against {usual:.2f} %: {signed(best - usual, 2)} points"),
            ),
        )
        for name, best, usual in rows
    ]
    return tag("table", tag("tbody", *body), class_="figures") if body else Markup("")
