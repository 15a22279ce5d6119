"""One HTML page with every result of a run: tables, plots and the found network.

The page is a single file of plain HTML, SVG and a small script of our own. Never torch.
"""

from supernet.report.contents import (
    Curve,
    FrontPoint,
    NetworkRow,
    OperatorRow,
    Quality,
    QualityPoint,
    Report,
    Scatter,
)
from supernet.report.document import render, with_quality

__all__ = [
    "Curve",
    "FrontPoint",
    "NetworkRow",
    "OperatorRow",
    "Quality",
    "QualityPoint",
    "Report",
    "Scatter",
    "render",
    "with_quality",
]
