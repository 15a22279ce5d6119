"""Objectives, limits, algorithms and the Pareto front."""

import sys
from types import ModuleType
from typing import Any

from supernet.search._hypervolume import hypervolume
from supernet.search.api import search as _search
from supernet.search.bound import accuracy_bound
from supernet.search.climbs import Climb, climbs_of
from supernet.search.contract import Algorithm, Candidates, Evaluated, Factory, Start
from supernet.search.driver import Budget, run_search
from supernet.search.ladder import Rung
from supernet.search.limits import check_limits, corners
from supernet.search.objective import (
    Accuracy,
    Cost,
    Objective,
    cost_of,
    file_size,
    latency,
    latency_name,
    macs,
    params,
    peak_memory,
)
from supernet.search.pareto import crowding, fronts, pareto_front
from supernet.search.problem import Problem
from supernet.search.records import MeasuredRecord, PredictorRecord, TargetRecord
from supernet.search.registry import ALGORITHMS, DEFAULT, AlgorithmInfo, algorithm
from supernet.search.result import Axis, ProblemRecord, SearchResult
from supernet.search.saved import (
    SavedResult,
    load_result,
    new_result_folder,
    result_folders,
    save_result,
)
from supernet.search.unfinished import SearchFolder, search_folder, unfinished_folders

__all__ = [
    "ALGORITHMS",
    "DEFAULT",
    "Accuracy",
    "Algorithm",
    "AlgorithmInfo",
    "Axis",
    "Budget",
    "Candidates",
    "Climb",
    "Cost",
    "Evaluated",
    "Factory",
    "MeasuredRecord",
    "Objective",
    "PredictorRecord",
    "Problem",
    "ProblemRecord",
    "Rung",
    "SavedResult",
    "SearchFolder",
    "SearchResult",
    "Start",
    "TargetRecord",
    "accuracy_bound",
    "algorithm",
    "check_limits",
    "climbs_of",
    "corners",
    "cost_of",
    "crowding",
    "file_size",
    "fronts",
    "hypervolume",
    "latency",
    "latency_name",
    "load_result",
    "macs",
    "new_result_folder",
    "params",
    "pareto_front",
    "peak_memory",
    "result_folders",
    "run_search",
    "save_result",
    "search_folder",
    "unfinished_folders",
]


class _Callable(ModuleType):
    """Makes ``supernet.search(...)`` the search, beside ``supernet.search.Problem`` and so on."""

    def __call__(self, *args: Any, **options: Any) -> SearchResult:
        return _search(*args, **options)


sys.modules[__name__].__class__ = _Callable
