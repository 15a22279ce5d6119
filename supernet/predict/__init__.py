"""Accuracy predictors: fitted to measured pairs, or imported."""

from supernet.predict.contract import (
    AccuracyPairs,
    AccuracyPredictor,
    Additive,
    Predicted,
    Validation,
)
from supernet.predict.fitted import FittedPredictor
from supernet.predict.mlp import Input, MLPPredictor
from supernet.predict.registry import fit_predictor, learn_more, load_predictor
from supernet.predict.validate import cross_validate

__all__ = [
    "AccuracyPairs",
    "AccuracyPredictor",
    "Additive",
    "FittedPredictor",
    "Input",
    "MLPPredictor",
    "Predicted",
    "Validation",
    "cross_validate",
    "fit_predictor",
    "learn_more",
    "load_predictor",
]
