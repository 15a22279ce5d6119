"""Studies of Optuna, in memory or in a storage that several processes share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import ConfigError
from supernet.search.algorithms.optuna_replay import Replay
from supernet.search.objective import Objective
from supernet.search.problem import Problem
from supernet.studies import Storage, need_optuna

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

__all__ = ["StudyPlace", "opened_replay", "opened_study"]

_ATTRIBUTE = "supernet_problem"
_PROBED = 16  # subnets by which a predictor is known again


@dataclass(frozen=True, slots=True)
class StudyPlace:
    """Where a study is kept."""

    storage: Storage
    study: str = "supernet"
    """Its name there."""
    about: Mapping[str, str] = field(default_factory=dict)
    """What else must be the same for all who share it, such as the weights that are measured."""
    goes_on: bool = False
    """Whether the search was stopped before and goes on: trials there may be its own."""

    @classmethod
    def of(cls, place: "StudyPlace | str | None", *, goes_on: bool = False) -> "StudyPlace | None":
        """A place by its storage alone (see `Storage`), under the usual name."""
        made = cls(Storage(place)) if isinstance(place, str) else place
        return replace(made, goes_on=goes_on) if made else None


def opened_study(
    problem: Problem,
    objectives: Sequence[Objective],
    sampler: "BaseSampler",
    *,
    pruner: "BasePruner | None" = None,
    place: StudyPlace | None = None,
    kind: str = "categories",
) -> "Study":
    """A study: a new one, or that of the same problem in a storage.

    Args:
        problem: what is searched for.
        objectives: that the study is told.
        sampler: suggests.
        pruner: says who does not climb.
        place: where it is kept; in memory when not given.
        kind: of its parameters.

    Raises:
        ConfigError: the study of that name is of another problem, or of somebody else.
        StorageError: the storage cannot be opened.
    """
    optuna = need_optuna("a sampler of Optuna")
    options: dict[str, Any] = {
        "directions": ["maximize" if o.maximise else "minimize" for o in objectives],
        "sampler": sampler,
        "pruner": pruner or optuna.pruners.NopPruner(),
        "study_name": place.study if place else "supernet",  # Hyperband draws by it
    }
    if place is None:
        return _study(optuna, options)
    options |= {"storage": place.storage.open(), "load_if_exists": True}
    with place.storage.errors():
        study = _study(optuna, options)
        _check_same(study, place, {**_told(problem, objectives, kind), **place.about})
    return study


def opened_replay(study: "Study", place: StudyPlace | None) -> Replay:
    """A study as a search asks and tells it: repeated in memory first where the search goes on."""
    if place is None or not place.goes_on:
        return Replay(study, study)
    options = {
        "directions": study.directions,
        "sampler": study.sampler,
        "pruner": study.pruner,
        "study_name": study.study_name,
    }
    return Replay(study, _study(need_optuna("a sampler of Optuna"), options))


def _study(optuna: Any, options: dict[str, Any]) -> "Study":
    study: Study = optuna.create_study(**options)
    return study


def _told(problem: Problem, objectives: Sequence[Objective], kind: str) -> dict[str, str]:
    """What a study is about, in words and as a digest of the rest."""
    domain = problem.domain
    return {
        "space": f"{domain.space.name} {domain.space.hash}",
        "choices": hashlib.sha256(repr(domain.allowed).encode()).hexdigest()[:16],
        "parameters": kind,
        "objectives": ", ".join(objective.name for objective in objectives),
        "limits": ", ".join(f"{name} {limit!r}" for name, limit in sorted(problem.limits.items())),
        "accuracy": _accuracy(problem),
    }


def _accuracy(problem: Problem) -> str:
    """Where the first figure comes from: a predictor is known again by what it predicts."""
    first = problem.objectives[0]
    if first.measured:
        return "measured"
    some = problem.domain.sample(_PROBED, np.random.default_rng(0))
    text = " ".join(f"{value:.6g}" for value in first(some).tolist())
    return f"predicted, {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check_same(study: "Study", place: StudyPlace, told: dict[str, str]) -> None:
    known = study.user_attrs.get(_ATTRIBUTE)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_ATTRIBUTE, told)
        return
    if known == told:
        return
    if known is None:
        differences = "it is not one of supernet's"
    else:
        differences = "; ".join(
            f"{key} {known.get(key)!r}, now {value!r}"
            for key, value in told.items()
            if known.get(key) != value
        )
    raise ConfigError(
        f"storage {place.storage.shown}: its study {place.study!r} is another: {differences}",
        hint="name another study with --study, or another storage",
    )
