"""Recalibration, accuracy and evidence of many subnets."""

from supernet.evaluate.engines import Engine, InProcess, Workers
from supernet.evaluate.evaluator import CALIBRATION_IMAGES, Evaluator, Score, percent
from supernet.evaluate.recalibrate import recalibrate
from supernet.evaluate.store import Condition, Evidence, Measured, Pairs
from supernet.evaluate.task import Evaluation, EvaluationTask, Split, tasks_of

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
    "Pairs",
    "Score",
    "Split",
    "Workers",
    "percent",
    "recalibrate",
    "tasks_of",
]
