"""Objectives, limits, algorithms and the Pareto front."""

from supernet.search.contract import Algorithm, Candidates, Evaluated, Factory, Start
from supernet.search.driver import Budget, run_search
from supernet.search.hypervolume import hypervolume
from supernet.search.limits import check_limits, corners
from supernet.search.objective import (
    Accuracy,
    Cost,
    Objective,
    cost_of,
    file_size,
    latency,
    macs,
    params,
    peak_memory,
)
from supernet.search.pareto import crowding, fronts, pareto_front
from supernet.search.problem import Problem
from supernet.search.registry import ALGORITHMS, DEFAULT, AlgorithmInfo, algorithm
from supernet.search.result import Axis, ProblemRecord, SearchResult

__all__ = [
    "ALGORITHMS",
    "DEFAULT",
    "Accuracy",
    "Algorithm",
    "AlgorithmInfo",
    "Axis",
    "Budget",
    "Candidates",
    "Cost",
    "Evaluated",
    "Factory",
    "Objective",
    "Problem",
    "ProblemRecord",
    "SearchResult",
    "Start",
    "algorithm",
    "check_limits",
    "cost_of",
    "corners",
    "crowding",
    "file_size",
    "fronts",
    "hypervolume",
    "latency",
    "macs",
    "params",
    "pareto_front",
    "peak_memory",
    "run_search",
]
