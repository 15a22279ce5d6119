"""Studies: recipes and spaces that are proposed, trained, given up or kept.

`supernet.tune(...)` is the whole of it. Who proposes (`Proposer`) and who executes
(`Executor`) know nothing of each other; the loop stands between them.
"""

import sys
from types import ModuleType
from typing import Any

from supernet.tune.api import STUDIES
from supernet.tune.api import tune as _tune
from supernet.tune.contract import (
    Executor,
    Outcome,
    Proposer,
    Report,
    Task,
    Trial,
    TrialRecord,
)
from supernet.tune.executors import InProcess, Workers
from supernet.tune.load import load_study, save_study
from supernet.tune.plan import Plan, Proposal
from supernet.tune.result import Comparison, Confirmed, StudyResult, load_result
from supernet.tune.samplers import PRUNERS, SAMPLERS
from supernet.tune.spec import Parameter, Study

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "STUDIES",
    "Comparison",
    "Confirmed",
    "Executor",
    "InProcess",
    "Outcome",
    "Parameter",
    "Plan",
    "Proposal",
    "Proposer",
    "Report",
    "Study",
    "StudyResult",
    "Task",
    "Trial",
    "TrialRecord",
    "Workers",
    "load_result",
    "load_study",
    "save_study",
]


class _Callable(ModuleType):
    """Makes ``supernet.tune(...)`` the study, beside ``supernet.tune.Study`` and so on."""

    def __call__(self, *args: Any, **options: Any) -> StudyResult:
        return _tune(*args, **options)


sys.modules[__name__].__class__ = _Callable
