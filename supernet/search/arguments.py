"""The arguments of `supernet.search(...)`, by name."""

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supernet.arguments import (
    Rule,
    called,
    flag,
    kind,
    listed,
    mapped,
    number,
    optional,
    path,
    text,
    told,
    whole,
)
from supernet.errors import ConfigError
from supernet.predict import AccuracyPredictor
from supernet.runs import Run
from supernet.search.algorithms.optuna_study import StudyPlace
from supernet.search.ladder import Rung
from supernet.space import Space, Subnet

__all__ = ["RULES"]


def _targets(value: Any) -> Any:
    """A list of names, or a dictionary of limits."""
    if not isinstance(value, Mapping):
        return listed(path)(value)
    limits = {name if isinstance(name, str) else path(name): ms for name, ms in value.items()}
    return mapped(optional(number()))(limits)


def _choice(value: Any) -> Any:
    """A value of a dimension."""
    if not isinstance(value, str):
        number()(value)
    return value


def _algorithm(value: Any) -> Any:
    """A name, a factory, or a sampler, which only Optuna makes."""
    optuna = sys.modules.get("optuna")
    if value is None or isinstance(value, str) or callable(value):
        return value or ""
    if optuna is None or not isinstance(value, optuna.samplers.BaseSampler):
        raise ConfigError(f"must be a name, a factory or a sampler of Optuna, found {told(value)}")
    return value


RULES: Mapping[str, Rule] = {
    "space_or_run": kind(Space, Run, hint="load_space gives the one of a name"),
    "targets": _targets,
    "predictor": optional(kind(AccuracyPredictor, Path, str)),
    "accuracy": optional(called),
    "objectives": listed(text),
    "limits": optional(mapped(number())),
    "fix": optional(mapped(listed(_choice))),
    "features": listed(whole(1)),
    "size": optional(listed(whole(1), count=2)),
    "algorithm": _algorithm,
    "ladder": listed(kind(Rung)),
    "start": listed(kind(Subnet)),
    "storage": optional(kind(StudyPlace, str)),
    "workers": whole(1),
    "budget": optional(whole(1)),
    "seconds": number(above=0),
    "certify": flag,
    "seed": whole(0, math.inf),
    "folder": optional(kind(os.PathLike, str)),
    "resume": flag,
    "progress": called,
}
"""What each argument must be, and how it is used."""
