"""Searching by gradient: choices that learn beside the weights."""

from supernet.train.architecture.contract import Method, MethodFactory, Scorer, Scores
from supernet.train.architecture.expected import ExpectedCost, ExpectedLatency
from supernet.train.architecture.policy import Policy, Values, probability_loss
from supernet.train.architecture.registry import METHODS, MethodInfo

__all__ = [
    "METHODS",
    "ExpectedCost",
    "ExpectedLatency",
    "Method",
    "MethodFactory",
    "MethodInfo",
    "Policy",
    "Scorer",
    "Scores",
    "Values",
    "probability_loss",
]
