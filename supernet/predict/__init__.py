"""Accuracy predictors, and how well predictions agree with measurements."""

from supernet.predict.gaussian import AccuracyPredictor, CrossValidation, cross_validate
from supernet.predict.metrics import (
    kendall_tau,
    mean_absolute_percentage_error,
    root_mean_square_error,
)
from supernet.predict.mlp import Input, MLPPredictor

__all__ = [
    "AccuracyPredictor",
    "CrossValidation",
    "Input",
    "MLPPredictor",
    "cross_validate",
    "kendall_tau",
    "mean_absolute_percentage_error",
    "root_mean_square_error",
]
