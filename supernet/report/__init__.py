"""One HTML page with every result of a run: tables, plots and the networks of the front.

The page is a single file of plain HTML, SVG and a small script of our own. Never torch: only
`result_view` and `plot`, which are imported by their own names, know results of searches.
"""

from supernet.report.contents import (
    ChoiceShares,
    Curve,
    NetworkRow,
    PolicyView,
    Quality,
    QualityPoint,
    Report,
)
from supernet.report.document import MAX_BYTES, render
from supernet.report.views import FrontPoint, OperatorRow, PlotAxis, Scatter, SearchView

__all__ = [
    "MAX_BYTES",
    "ChoiceShares",
    "Curve",
    "FrontPoint",
    "NetworkRow",
    "OperatorRow",
    "PlotAxis",
    "PolicyView",
    "Quality",
    "QualityPoint",
    "Report",
    "Scatter",
    "SearchView",
    "render",
]
