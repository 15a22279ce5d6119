"""Studies of Optuna, in memory or in a storage that several processes share."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from supernet.errors import ConfigError, StorageError
from supernet.search.algorithms.optuna_parameters import load_optuna
from supernet.search.objective import Objective
from supernet.search.problem import Problem

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

__all__ = ["Storage", "opened_study"]

_ATTRIBUTE = "supernet_problem"
_URL = re.compile(r"[a-z0-9+]+://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where a study is kept."""

    url: str
    """Of a database, such as ``sqlite:///study.db``, or the path of a journal file."""
    study: str = "supernet"
    """Its name there."""

    @classmethod
    def of(cls, storage: "Storage | str | None") -> "Storage | None":
        """A storage of a URL or a path alone."""
        return cls(url=storage) if isinstance(storage, str) else storage


def opened_study(
    problem: Problem,
    objectives: Sequence[Objective],
    sampler: "BaseSampler",
    *,
    pruner: "BasePruner | None" = None,
    storage: Storage | None = None,
    kind: str = "categories",
) -> "Study":
    """A study: a new one, or that of the same problem in a storage.

    Args:
        problem: what is searched for.
        objectives: that the study is told.
        sampler: suggests.
        pruner: says who does not climb.
        storage: where it is kept; in memory when not given.
        kind: of its parameters.

    Raises:
        ConfigError: the study of that name is of another problem, or of somebody else.
        StorageError: the storage cannot be opened.
    """
    optuna = load_optuna()
    options: dict[str, Any] = {
        "directions": ["maximize" if o.maximise else "minimize" for o in objectives],
        "sampler": sampler,
        "pruner": pruner or optuna.pruners.NopPruner(),
        "study_name": storage.study if storage else "supernet",  # Hyperband draws by it
    }
    if storage is None:
        return _study(optuna, options)
    try:
        options |= {"storage": _opened(optuna, storage.url), "load_if_exists": True}
        study = _study(optuna, options)
        _check_same(study, storage, _told(problem, objectives, kind))
    except ConfigError:
        raise
    except Exception as error:  # of SQLAlchemy, a driver, the file system: whatever it is
        line = " ".join(str(error).split())[:300]
        raise StorageError(f"storage {storage.url}: {type(error).__name__}: {line}") from error
    return study


def _study(optuna: Any, options: dict[str, Any]) -> "Study":
    study: Study = optuna.create_study(**options)
    return study


def _opened(optuna: Any, url: str) -> Any:
    """A database by its URL; any other text is the path of a journal file."""
    storages = optuna.storages
    if _URL.match(url):
        return storages.RDBStorage(url)
    return storages.JournalStorage(storages.journal.JournalFileBackend(url))


def _told(problem: Problem, objectives: Sequence[Objective], kind: str) -> dict[str, str]:
    """What a study is about, in words and as a digest of the rest."""
    domain = problem.domain
    return {
        "space": f"{domain.space.name} {domain.space.hash}",
        "choices": hashlib.sha256(repr(domain.allowed).encode()).hexdigest()[:16],
        "parameters": kind,
        "objectives": ", ".join(objective.name for objective in objectives),
        "limits": ", ".join(f"{name} {limit:g}" for name, limit in sorted(problem.limits.items())),
    }


def _check_same(study: "Study", storage: Storage, told: dict[str, str]) -> None:
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
        f"storage {storage.url}: its study {storage.study!r} is another: {differences}",
        hint="name another study with --study, or another storage",
    )
