"""One HTML page with every result of a run: tables, plots and the networks of the front.

The page is a single file of plain HTML, SVG and a small script of our own. Never torch.
"""

from supernet.report.contents import Curve, NetworkRow, Quality, QualityPoint, Report
from supernet.report.document import render
from supernet.report.plot import FrontPlot, front_plot
from supernet.report.result_view import result_view
from supernet.report.views import FrontPoint, OperatorRow, PlotAxis, Scatter, SearchView

__all__ = [
    "Curve",
    "FrontPlot",
    "FrontPoint",
    "NetworkRow",
    "OperatorRow",
    "PlotAxis",
    "Quality",
    "QualityPoint",
    "Report",
    "Scatter",
    "SearchView",
    "front_plot",
    "render",
    "result_view",
]
