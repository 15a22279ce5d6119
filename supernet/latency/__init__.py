"""Latency: tables of measured operators, their building, and predictions with an error."""

from supernet.latency.build import table_of
from supernet.latency.correction import Correction, fit_correction
from supernet.latency.importing import import_latency_table
from supernet.latency.kit.graph import build_onnx
from supernet.latency.kit.protocol import Protocol, Timing
from supernet.latency.kits import make_plan, write_kit
from supernet.latency.measure import build_table, describe_device, measure, measure_here
from supernet.latency.results import KitResult, read_result
from supernet.latency.table import (
    HeldOut,
    LatencyPredictor,
    LatencyTable,
    Prediction,
    Row,
)
from supernet.latency.targets import (
    list_targets,
    load_target,
    own_tables,
    store_table,
    this_machine,
)

__all__ = [
    "Correction",
    "HeldOut",
    "KitResult",
    "LatencyPredictor",
    "LatencyTable",
    "Prediction",
    "Protocol",
    "Row",
    "Timing",
    "build_onnx",
    "build_table",
    "describe_device",
    "fit_correction",
    "import_latency_table",
    "list_targets",
    "load_target",
    "make_plan",
    "measure",
    "measure_here",
    "own_tables",
    "read_result",
    "store_table",
    "table_of",
    "this_machine",
    "write_kit",
]
