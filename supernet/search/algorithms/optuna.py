"""Samplers of Optuna, through its own ask and tell (extra: optuna)."""

import datetime
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import ConfigError
from supernet.search.algorithms.grid import check_whole
from supernet.search.algorithms.optuna_parameters import Parameters
from supernet.search.algorithms.optuna_study import StudyPlace, opened_replay, opened_study
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Domain, Genes
from supernet.studies import BESIDE, need_optuna

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["SAMPLERS", "OptunaSampler", "check_points"]

_AT_ONCE = 16  # subnets asked for at a time, at most
_STALE_S = 3600.0  # after which a trial that has no end is nobody's
_TRIES = 8  # trials for each subnet that is asked for, before a random one is taken
_POINTS = 2_000  # of a grid: for each of them the sampler looks through all
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
            f"optuna:grid: its grid has {domain.combinations:,} points; its sampler looks through "
            f"all of them for each, so {_POINTS:,} is the most",
            hint="narrow the space with --fix, or take the algorithm grid",
        )


class OptunaSampler:
    """Asks a study of Optuna, and tells it everything.

    Genes are parameters (`Parameters`). A subnet that breaks a limit is a failed trial, and one
    near it is asked for; one that is known is told at once: neither is measured. One that
    another process is at work on is a failed trial, too, and the sampler is asked again.

    Args:
        start: of the search.
        sampler: a name of `SAMPLERS`, or one of Optuna's or of your own.
        place: where the study is kept, for other processes and for later; what others have
            finished there is asked for first, with what they found.

    Raises:
        MissingPackageError: Optuna, or what the sampler needs, is not installed.
        ConfigError: a storage that cannot be opened, or holds another study; a grid of more
            subnets than the budget; a sampler that cannot suggest subnets.
    """

    def __init__(
        self,
        start: Start,
        *,
        sampler: "str | BaseSampler" = "tpe",
        place: StudyPlace | None = None,
    ) -> None:
        self._start, self._problem, self._archive = start, start.problem, start.archive
        self._domain, self._optuna = start.problem.domain, need_optuna("a sampler of Optuna")
        for name in BESIDE:
            if self._is(sampler, (name,)):
                need_optuna(f"{SAMPLERS[name]} of Optuna", name)
        flat = self._is(sampler, _FLAT)
        self._parameters = Parameters(self._domain, flat=flat)
        objectives = start.problem.objectives[: 1 if self._is(sampler, _ALONE) else None]
        self._names = [objective.name for objective in objectives]
        study = opened_study(
            self._problem,
            objectives,
            self._sampler(sampler),
            place=place,
            kind="numbers" if flat else "categories",
        )
        named = place if isinstance(sampler, str) else None  # others may be bound to a study
        samplers = self._optuna.samplers
        whole = (samplers.GridSampler, samplers.BruteForceSampler)
        self._place, self._ends = place, isinstance(study.sampler, whole)
        """Whether it tells the study to stop after the last point."""
        self._replay, self._ended = opened_replay(study, named), False
        self._first: Genes = start.genes
        self._trials: dict[bytes, int] = {}
        self._told: set[bytes] = set()
        self._seen: set[int] = set()

    def ask(self, count: int) -> Candidates:
        """The subnets to begin with, then what the sampler suggests."""
        with self._errors():
            return self._asked(count)

    def _asked(self, count: int) -> Candidates:
        found: dict[bytes, list[float]] = {}
        if self._place and not self._replay.repeats:
            others, found = self._of_others()
            self._first = np.concatenate([self._first, others])
        if len(self._first):
            first, self._first = self._first, self._first[:0]
            unknown = [np.nan] * len(self._names)
            table = np.array([found.get(row.tobytes(), unknown) for row in first])
            return Candidates(first, known=dict(zip(self._names, table.T)))
        if self._ended or len(self._told) >= self._domain.count:
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

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Within it, what goes wrong with the storage or the sampler is an error of ours."""
        with self._place.storage.errors() if self._place else nullcontext():
            try:
                yield
            except ConfigError:
                raise
            except (ValueError, NotImplementedError) as error:
                name = type(self._replay.study.sampler).__name__
                raise ConfigError(f"algorithm: {name} of Optuna: {error}") from error

    def _followed(self, number: int | None = None) -> "tuple[Study, int | None]":
        """The study to ask and tell at this moment, and a trial where it is at work there."""
        kept = self._replay.step()
        if kept is not None:
            self._trials = {key: n for key, n in self._trials.items() if n in kept}
            number = number if number in kept else None
        return self._replay.study, number

    def _is(self, sampler: "str | BaseSampler", names: tuple[str, ...]) -> bool:
        """Whether a sampler is one of these, by its name or its class."""
        classes = tuple(getattr(self._optuna.samplers, SAMPLERS[name]) for name in names)
        return sampler in names if isinstance(sampler, str) else isinstance(sampler, classes)

    def _sampler(self, sampler: "str | BaseSampler") -> "BaseSampler":
        options: dict[str, Any] = {"seed": int(self._start.rng.integers(2**31))}
        if not isinstance(sampler, str):
            return sampler
        if sampler == "grid":
            options["search_space"] = self._grid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler is experimental
            made: BaseSampler = getattr(self._optuna.samplers, SAMPLERS[sampler])(**options)
            return made

    def _grid(self) -> dict[str, list[int]]:
        check_whole("optuna:grid", self._domain, self._start.budget)
        check_points(self._domain)
        return self._parameters.space()

    def _of_others(self) -> tuple[Genes, dict[bytes, list[float]]]:
        """What other processes have finished since the last time, ``(N, G)``, and its figures."""
        states = self._optuna.trial.TrialState
        trials = self._replay.study.get_trials(deepcopy=False, states=(states.COMPLETE,))
        fresh = [trial for trial in trials if trial.number not in self._seen]
        self._seen |= {trial.number for trial in fresh}  # they end in any order
        rows = [self._parameters.row(trial.params) for trial in fresh]
        found = {row.tobytes(): trial.values for row, trial in zip(rows, fresh)}
        new = [row for row in rows if row.tobytes() not in self._told]
        self._told |= {row.tobytes() for row in new}  # the study knows them
        return np.concatenate([self._first[:0], *new]), found

    def _suggestion(self) -> Genes:
        """A subnet within the limits that is not known, shape ``(1, G)``; none of a used grid."""
        genes = self._domain.sample(1, self._start.rng)
        for _ in range(_POINTS if self._ends else _TRIES):
            if self._ended:
                return genes[:0]
            trial = self._followed()[0].ask()
            genes = self._parameters.suggested(trial)
            key, index = genes.tobytes(), int(self._archive.find(genes)[0])
            new = index < 0 and key not in self._trials and self._problem.allows(genes)[0]
            taken = new and not self._ends and self._is_elsewhere(trial.params, trial.number)
            if new and not taken:
                self._trials[key] = trial.number
                return genes
            known = self._archive.at(np.array([index])).columns if index >= 0 else {}
            values = [float(known[name][0]) if known else np.nan for name in self._names]
            self._tell(trial.number, genes[0], values)
            if taken:
                genes = self._domain.sample(1, self._start.rng)
            elif index < 0 and not self._ends:
                break
        return self._start.near(genes)

    def _tell(self, number: int | None, row: Genes, values: list[float]) -> None:
        failed = not np.isfinite(values).all()
        trials = self._optuna.trial
        study, number = self._followed(number)
        if number is not None:
            state = trials.TrialState.FAIL if failed else None
            try:
                study.tell(number, None if failed else values, state)
            except RuntimeError:  # the sampler tells the study to stop
                if not self._ends:
                    raise
                self._ended = True
        elif not failed:
            params, spread = self._parameters.of(row)
            new = trials.create_trial(params=params, distributions=spread, values=values)
            if not self._is_elsewhere(params):
                study.add_trial(new)

    def _is_elsewhere(self, params: Mapping[str, Any], number: int = -1) -> bool:
        """Whether another process has measured a subnet, or began to not long ago.

        Args:
            params: of the subnet.
            number: of the own trial of it; each looks after its own is there, so one sees another.
        """
        if self._place is None or self._replay.repeats:
            return False
        states = self._optuna.trial.TrialState
        trials = self._replay.study.get_trials(
            deepcopy=False, states=(states.COMPLETE, states.RUNNING)
        )
        alike = (one for one in trials if one.number != number and one.params == params)
        return any(one.state == states.COMPLETE or _age_s(one) < _STALE_S for one in alike)


def _age_s(trial: "FrozenTrial") -> float:
    """Since it was begun."""
    begun = trial.datetime_start
    return (datetime.datetime.now() - begun).total_seconds() if begun else 0.0  # noqa: DTZ005  # as Optuna notes it
