"""The front of a result as a picture of its own: in a notebook, or as a file."""

import html
from dataclasses import dataclass, replace
from pathlib import Path

from supernet.files import write_text
from supernet.report._search import plots, short_table
from supernet.report.document import page
from supernet.report.result_view import result_view
from supernet.search import SearchResult

__all__ = ["FrontPlot", "front_plot"]

_HEIGHT = 500  # pixels in a notebook, without a table
_ROW = 42
_DETAIL = 0.4  # of the points that the page draws


@dataclass(frozen=True, slots=True, repr=False)
class FrontPlot:
    """A drawn front; a notebook shows it by itself."""

    document: str
    """A whole HTML page."""
    height: int
    """Pixels that it needs in a notebook."""

    def __repr__(self) -> str:
        return f"FrontPlot: {len(self.document) / 1e3:.0f} KB of HTML; write it by save(path)"

    def _repr_html_(self) -> str:
        """In a frame of its own, so that styles do not mix."""
        return (
            f'<iframe srcdoc="{html.escape(self.document)}" title="Pareto front" '
            f'style="width:100%;height:{self.height}px;border:0"></iframe>'
        )

    def save(self, path: Path) -> Path:
        """Write the page, whole or not at all; its path."""
        write_text(path, self.document)
        return path


def front_plot(result: SearchResult, cost: str | None = None, *, table: bool = False) -> FrontPlot:
    """The front of a result against one of its costs.

    Args:
        result: of a search.
        cost: a figure; the last objective when not given.
        table: with a few subnets of the front below it.

    Raises:
        ConfigError: no such figure.
    """
    axes = result.problem.axes
    named = ("macs", "params")
    last = [axis.name for axis in axes if axis.objective][-1]
    wanted = cost if cost in named else result.problem.axis(cost or last).name
    view = result_view(result, result.problem.space.name, networks=0)
    order = [0, *sorted(range(1, len(view.axes)), key=lambda i: view.axes[i].name != wanted)]
    if view.axes[0].name == wanted:  # an accuracy against itself says nothing: take another
        order = [*range(len(view.axes))]
    turned = replace(
        view,
        axes=tuple(view.axes[i] for i in order),
        searched=tuple(tuple(row[i] for i in order) for row in view.searched),
        front=tuple(
            replace(point, values=tuple(point.values[i] for i in order)) for point in view.front
        ),
    )
    parts = [plots(turned, "front", _DETAIL)]
    parts += [short_table(view)] if table else []
    rows = 10 if table else 0
    return FrontPlot(page(repr(result).splitlines()[0], parts), _HEIGHT + _ROW * rows)
