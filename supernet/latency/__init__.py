"""Latency: tables of measured operators, their building, and predictions with an error."""

from supernet.latency.build import build_table, describe_device
from supernet.latency.check import Check, check_networks, measure_networks
from supernet.latency.explain import Explanation, explain
from supernet.latency.fit_networks import fit_networks
from supernet.latency.fit_operators import fit_work_model, with_work_model
from supernet.latency.graph import build_onnx
from supernet.latency.importing import import_latency_table
from supernet.latency.measure import Protocol, Timing, measure
from supernet.latency.model import ModelError, OperatorModel
from supernet.latency.networks import MeasuredNetworks, read_networks
from supernet.latency.table import (
    Correction,
    HeldOut,
    LatencyPredictor,
    LatencyTable,
    Prediction,
    Row,
    fit_correction,
)
from supernet.latency.targets import list_targets, load_target, own_tables, this_machine
from supernet.latency.transfer import transfer

__all__ = [
    "Check",
    "Correction",
    "Explanation",
    "HeldOut",
    "LatencyPredictor",
    "LatencyTable",
    "MeasuredNetworks",
    "ModelError",
    "OperatorModel",
    "Prediction",
    "Protocol",
    "Row",
    "Timing",
    "build_onnx",
    "build_table",
    "check_networks",
    "describe_device",
    "explain",
    "fit_correction",
    "fit_networks",
    "fit_work_model",
    "import_latency_table",
    "list_targets",
    "load_target",
    "measure",
    "measure_networks",
    "own_tables",
    "read_networks",
    "this_machine",
    "transfer",
    "with_work_model",
]
