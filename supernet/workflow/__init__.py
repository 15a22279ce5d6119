"""What the commands do, as functions.

From images to a trained supernet, from there to the best subnet for a target, from
there to a file that runs on it.
"""

from supernet.workflow.demo import DemoOutcome, run_demo
from supernet.workflow.export import ExportOutcome, export_subnet
from supernet.workflow.search import SearchOutcome, search_target
from supernet.workflow.train import train_supernet

__all__ = [
    "DemoOutcome",
    "ExportOutcome",
    "SearchOutcome",
    "export_subnet",
    "run_demo",
    "search_target",
    "train_supernet",
]
