"""Probabilities of choices over the epochs of a phase that searched: a small plot each."""

from collections.abc import Sequence

from supernet.report._figure import figure, key, picture, thin, tip
from supernet.report._markup import Markup, clip, escape, join, number, tag
from supernet.report.contents import ChoiceShares, PolicyView

__all__ = ["policy_figure"]

_COLUMNS, _WIDTH = 4, 1064.0
_PLOT, _HEIGHT, _GAP, _TITLE = 44.0, 84.0, 26.0, 18.0
_PANEL = (_WIDTH - (_COLUMNS - 1) * _GAP) / _COLUMNS
_MAX_EPOCHS, _LONGEST = 80, 27


def policy_figure(view: PolicyView, number_: int) -> Markup:
    """The bands of all choices, one panel a gene; darker for later choices."""
    if not view.genes:
        return Markup("")
    rows = -(-len(view.genes) // _COLUMNS)
    panels = [
        _panel(view, gene, (i % _COLUMNS) * (_PANEL + _GAP), (i // _COLUMNS) * _HEIGHT)
        for i, gene in enumerate(view.genes)
    ]
    plot = picture(
        join(panels),
        id_=f"policy-{number_}",
        kind="plot policy",
        size=(_WIDTH, rows * _HEIGHT),
        title=f"Probabilities of the choices over the epochs of phase {view.name}",
        description=view.caption,
    )
    legend = [_key("0.25", "first choice"), _key("1", "last choice; the others in between")]
    return figure(plot, legend=legend, caption=view.caption, heading=f"Phase {view.name}")


def _key(opacity: str, text: str) -> Markup:
    box = tag("rect", class_="share-of", x=2, y=2, width=14, height=10, fill_opacity=opacity)
    return key(box, text)


def _panel(view: PolicyView, gene: ChoiceShares, left: float, top: float) -> Markup:
    epochs = thin(view.epochs, _MAX_EPOCHS)
    low, high = epochs[0][1], epochs[-1][1]
    width = _PANEL / max(high - low, 1e-9)
    x = [left + (epoch - low) * width for _, epoch in epochs]
    shares = [gene.shares[i] for i, _ in epochs]
    if len(x) == 1:  # one epoch is a bar
        x, shares = [left, left + _PANEL], shares * 2
    ends = gene.shares[-1]
    leading = max(range(len(ends)), key=ends.__getitem__)
    parts = [
        tag("text", escape(clip(gene.name, _LONGEST)), class_="tick", x=left, y=top + 12),
        tag(
            "text",
            escape(f"{gene.choices[leading]}: {100 * ends[leading]:.0f} %"),
            class_="tick leading",
            x=left + _PANEL,
            y=top + 12,
        ),
    ]
    for choice, name in enumerate(gene.choices):
        hover = tip(f"{gene.name} {name}", f"{100 * ends[choice]:.1f} % in the last epoch")
        parts.append(
            tag(
                "path",
                class_="share-of",
                d=_band(x, shares, choice, top + _TITLE),
                fill_opacity=f"{_opacity(choice, len(gene.choices)):.2f}",
                data_tip=hover,
            )
        )
    return join(parts)


def _opacity(choice: int, count: int) -> float:
    return 0.25 + 0.75 * choice / max(1, count - 1)


def _band(x: Sequence[float], shares: Sequence[Sequence[float]], choice: int, top: float) -> str:
    """Path around the share of a choice, those before it below it."""
    below = [top + _PLOT * (1 - sum(own[:choice])) for own in shares]
    above = [low - _PLOT * own[choice] for low, own in zip(below, shares)]
    there = [f"{number(a)} {number(b)}" for a, b in zip(x, above)]
    back = [f"{number(a)} {number(b)}" for a, b in zip(reversed(x), reversed(below))]
    return f"M{'L'.join([*there, *back])}Z"
