"""Recalibration, accuracy and evidence of many subnets.

What runs networks is loaded when it is first used: evidence is read without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from supernet.evaluate.device import resolved_device
from supernet.evaluate.engines import Engine, InProcess, Workers, evaluate_all
from supernet.evaluate.pool import Measures
from supernet.evaluate.ray_actors import RayActors
from supernet.evaluate.store import Condition, Evidence, Measured, Pairs
from supernet.evaluate.task import (
    CALIBRATION_IMAGES,
    Evaluation,
    EvaluationTask,
    Split,
    failed,
    tasks_of,
)

if TYPE_CHECKING:
    from supernet.evaluate.adapt import adapt_norms
    from supernet.evaluate.evaluator import Evaluator, Score, percent
    from supernet.evaluate.norms import recalibrate

__all__ = [
    "CALIBRATION_IMAGES",
    "Condition",
    "Engine",
    "Evaluation",
    "EvaluationTask",
    "Evaluator",
    "Evidence",
    "InProcess",
    "Measured",
    "Measures",
    "Pairs",
    "RayActors",
    "Score",
    "Split",
    "Workers",
    "adapt_norms",
    "evaluate_all",
    "failed",
    "percent",
    "recalibrate",
    "resolved_device",
    "tasks_of",
]

_WHERE = {
    "adapt_norms": "adapt",
    "Evaluator": "evaluator",
    "Score": "evaluator",
    "percent": "evaluator",
    "recalibrate": "norms",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
