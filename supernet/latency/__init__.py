"""Latency: tables of measured operators, their building, and predictions with an error."""

from supernet.latency.build import build_table, describe_device
from supernet.latency.fit_operators import fit_work_model, with_work_model
from supernet.latency.graph import build_onnx
from supernet.latency.importing import import_latency_table
from supernet.latency.measure import Protocol, Timing, measure
from supernet.latency.model import ModelError, OperatorModel
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

__all__ = [
    "Correction",
    "HeldOut",
    "LatencyPredictor",
    "LatencyTable",
    "ModelError",
    "OperatorModel",
    "Prediction",
    "Protocol",
    "Row",
    "Timing",
    "build_onnx",
    "build_table",
    "describe_device",
    "fit_correction",
    "fit_work_model",
    "import_latency_table",
    "list_targets",
    "load_target",
    "measure",
    "own_tables",
    "this_machine",
    "with_work_model",
]
