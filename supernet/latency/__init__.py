"""Latency: tables of measured operators, their building, and predictions with an error."""

from supernet.latency.build import table_of
from supernet.latency.check import Check, check_networks, measure_networks
from supernet.latency.correction import Correction, fit_correction
from supernet.latency.drift import measure_drift_corrected
from supernet.latency.explanation import Explanation, explain
from supernet.latency.fit_operators import fit_work_model, with_work_model
from supernet.latency.held_out import HeldOut
from supernet.latency.importing import import_latency_table
from supernet.latency.interval import Prediction
from supernet.latency.kit.graph import build_onnx
from supernet.latency.kit.protocol import Protocol, Timing
from supernet.latency.kits import make_plan, write_kit
from supernet.latency.measuring import (
    Loadable,
    Model,
    backend_of,
    build_table,
    describe_device,
    measure,
    measure_here,
)
from supernet.latency.mixture import transfer
from supernet.latency.model import ModelError, OperatorModel
from supernet.latency.networks import MeasuredNetworks, Unit, read_networks
from supernet.latency.results import KitResult, read_result
from supernet.latency.sums import Sums, published_sums
from supernet.latency.table import LatencyPredictor, LatencyTable, Row, how_to_measure
from supernet.latency.targets import (
    check_own,
    list_targets,
    load_target,
    own_tables,
    store_table,
    this_machine,
)
from supernet.latency.whole_networks import fit_networks

__all__ = [
    "Check",
    "Correction",
    "Explanation",
    "HeldOut",
    "KitResult",
    "LatencyPredictor",
    "LatencyTable",
    "Loadable",
    "MeasuredNetworks",
    "Model",
    "ModelError",
    "OperatorModel",
    "Prediction",
    "Protocol",
    "Row",
    "Sums",
    "Timing",
    "Unit",
    "backend_of",
    "build_onnx",
    "build_table",
    "check_networks",
    "check_own",
    "describe_device",
    "explain",
    "fit_correction",
    "fit_networks",
    "fit_work_model",
    "how_to_measure",
    "import_latency_table",
    "list_targets",
    "load_target",
    "make_plan",
    "measure",
    "measure_drift_corrected",
    "measure_here",
    "measure_networks",
    "own_tables",
    "published_sums",
    "read_networks",
    "read_result",
    "store_table",
    "table_of",
    "this_machine",
    "transfer",
    "with_work_model",
    "write_kit",
]
