"""Samplers of Optuna, through its own ask and tell (extra: optuna)."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import ConfigError
from supernet.search.algorithms.grid import check_whole
from supernet.search.algorithms.optuna_parameters import Parameters
from supernet.search.algorithms.optuna_study import StudyPlace, opened_study
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Domain, Genes
from supernet.studies import need_optuna

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "OptunaSampler", "check_points"]

_AT_ONCE = 16  # subnets asked for at a time, at most
_TRIES = 8  # trials for each subnet that is asked for, before a random one is taken
_POINTS = 100_000  # of a grid: the sampler holds all of them
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "cmaes": "CmaEsSampler",
    "random": "RandomSampler",
    "grid": "GridSampler",
}
"""Classes of Optuna by the names that they are asked for by."""
_FLAT = ("gp", "cmaes", "grid")  # take numbers that are always there
_ALONE = ("cmaes",)  # take one objective


def check_points(domain: Domain) -> None:
    """Refuse a grid that the sampler cannot hold.

    Raises:
        ConfigError: it has too many points.
    """
    if domain.combinations > _POINTS:
        raise ConfigError(
            f"optuna:grid: its grid has {domain.combinations:,} points, and holds {_POINTS:,} at "
            "most",
            hint="narrow the space with --fix, or take the algorithm grid",
        )


class OptunaSampler:
    """Asks a study of Optuna, and tells it everything.

    Genes are parameters (`Parameters`). A subnet that breaks a limit is a failed trial, and one
    near it is asked for; one that is known is told at once: neither is measured.

    Args:
        start: of the search.
        sampler: a name of `SAMPLERS`, or makes one.
        place: where the study is kept, for other processes and for later; what others have
            finished there is asked for first.

    Raises:
        MissingPackageError: Optuna is not installed.
        ConfigError: a storage that cannot be opened, or holds another study; a grid of more
            subnets than the budget.
    """

    def __init__(
        self,
        start: Start,
        *,
        sampler: "str | Callable[[], BaseSampler]" = "tpe",
        place: StudyPlace | None = None,
    ) -> None:
        self._start, self._problem, self._archive = start, start.problem, start.archive
        self._domain, self._optuna = start.problem.domain, need_optuna("a sampler of Optuna")
        self._parameters = Parameters(self._domain, flat=sampler in _FLAT)
        objectives = start.problem.objectives[: 1 if sampler in _ALONE else None]
        self._names = [objective.name for objective in objectives]
        self._study: Study = opened_study(
            self._problem,
            objectives,
            self._sampler(sampler),
            place=place,
            kind="numbers" if sampler in _FLAT else "categories",
        )
        self._place, self._is_grid = place, sampler == "grid"
        self._first: Genes = start.genes
        self._trials: dict[bytes, Trial] = {}
        self._told: set[bytes] = set()
        self._seen: set[int] = set()

    def ask(self, count: int) -> Candidates:
        """The subnets to begin with, then what the sampler suggests."""
        with self._errors():
            return self._asked(count)

    def _asked(self, count: int) -> Candidates:
        if self._place:
            self._first = np.concatenate([self._first, self._of_others()])
        if len(self._first):
            first, self._first = self._first, self._first[:0]
            return Candidates(first)
        if len(self._told) >= self._domain.count:
            return Candidates(self._first)
        return Candidates(np.concatenate([self._suggestion() for _ in range(min(count, _AT_ONCE))]))

    def tell(self, evaluated: Evaluated) -> None:
        """Tell the study what it has not been told, also of subnets that it did not suggest."""
        for number, row in enumerate(evaluated.genes):
            key = row.tobytes()
            if key not in self._told:
                self._told.add(key)
                values = [float(evaluated.columns[name][number]) for name in self._names]
                with self._errors():
                    self._tell(self._trials.pop(key, None), row, values)

    def _errors(self) -> AbstractContextManager[None]:
        """Within it, what goes wrong with the storage is an error of ours."""
        return self._place.storage.errors() if self._place else nullcontext()

    def _sampler(self, sampler: "str | Callable[[], BaseSampler]") -> "BaseSampler":
        options: dict[str, Any] = {"seed": int(self._start.rng.integers(2**31))}
        if sampler == "grid":
            options["search_space"] = self._grid()
        if isinstance(sampler, str):
            sampler = partial(getattr(self._optuna.samplers, SAMPLERS[sampler]), **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler is experimental
            return sampler()

    def _grid(self) -> dict[str, list[int]]:
        check_whole("optuna:grid", self._domain, self._start.budget)
        check_points(self._domain)
        return self._parameters.space()

    def _of_others(self) -> Genes:
        """What other processes have finished since the last time, shape ``(N, G)``."""
        states = self._optuna.trial.TrialState
        trials = self._study.get_trials(deepcopy=False, states=(states.COMPLETE,))
        fresh = [trial for trial in trials if trial.number not in self._seen]
        self._seen |= {trial.number for trial in fresh}  # they end in any order
        rows = [self._parameters.row(trial.params) for trial in fresh]
        new = [row for row in rows if row.tobytes() not in self._told]
        self._told |= {row.tobytes() for row in new}  # the study knows them
        return np.concatenate([self._first[:0], *new])

    def _suggestion(self) -> Genes:
        """A subnet within the limits that is not known, shape ``(1, G)``; none of a used grid."""
        genes = self._domain.sample(1, self._start.rng)
        for _ in range(_POINTS if self._is_grid else _TRIES):
            if self._is_used_up():
                return genes[:0]
            trial = self._study.ask()
            genes = self._parameters.suggested(trial)
            key, index = genes.tobytes(), int(self._archive.find(genes)[0])
            if index < 0 and key not in self._trials and self._problem.allows(genes)[0]:
                self._trials[key] = trial
                return genes
            known = self._archive.at(np.array([index])).columns if index >= 0 else {}
            values = [float(known[name][0]) if known else np.nan for name in self._names]
            self._tell(trial, genes[0], values)
            if index < 0 and not self._is_grid:
                break
        return self._start.near(genes)

    def _is_used_up(self) -> bool:
        """Whether every point of a grid was suggested."""
        sampler: Any = self._study.sampler
        return self._is_grid and bool(sampler.is_exhausted(self._study))

    def _tell(self, trial: "Trial | None", row: Genes, values: list[float]) -> None:
        failed = not np.isfinite(values).all()
        trials = self._optuna.trial
        if trial is not None:
            state = trials.TrialState.FAIL if failed else None
            try:
                self._study.tell(trial, None if failed else values, state)
            except RuntimeError:  # the grid's sampler tells the study to stop
                if not self._is_used_up():
                    raise
        elif not failed:
            params, spread = self._parameters.of(row)
            self._study.add_trial(
                trials.create_trial(params=params, distributions=spread, values=values)
            )
