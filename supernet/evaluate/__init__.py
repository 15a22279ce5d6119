"""Recalibration and accuracy of many subnets."""

from supernet.evaluate.cache import Evaluations, evaluate_all
from supernet.evaluate.evaluator import Evaluator, Score, Split, percent
from supernet.evaluate.recalibrate import recalibrate

__all__ = ["Evaluations", "Evaluator", "Score", "Split", "evaluate_all", "percent", "recalibrate"]
