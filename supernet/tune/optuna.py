"""A study of Optuna as proposer: what it is of, what was tried, and what was lost."""

import time
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from supernet.errors import ConfigError
from supernet.studies import Storage, need_optuna
from supernet.tune.contract import Outcome, Report, State, Trial, TrialRecord
from supernet.tune.identity import identity_problems
from supernet.tune.owners import beat, is_dead, own
from supernet.tune.plan import Plan, Values
from supernet.tune.samplers import check_names, check_sampler, made_pruner, made_sampler
from supernet.tune.spec import Parameter, Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

__all__ = ["Define", "OptunaProposer"]

_IDENTITY = "supernet:study"
_BASELINE, _LOST_AS, _REPEAT = "baseline", "lost_as", "repeat"
_MARK = "mark"
_AGAIN, _KILLS = "again", "kills"  # of a trial that was lost: which one, and how often killed
_MOST_KILLS = 2
_REASON, _SECONDS = "reason", "seconds"
_BEAT_S = 30.0
_REPEATS = 16  # proposals in a row that are known already
_ENOUGH = 4  # complete trials, to say anything of importances

Define: TypeAlias = Callable[[Any], None]
"""Takes a new trial of Optuna, and asks it for the value of each parameter."""


class OptunaProposer:
    """A study in a storage, begun anew or gone on with.

    Args:
        plan: what varies.
        storage: where it is kept.
        identity: what must be the same for going on, as plain values.
        sampler: one of `SAMPLERS`.
        pruner: one of `PRUNERS`.
        grace_epochs: before so many epochs no trial is given up.
        seed: of the sampler.
        asking: has a study with its storage ask for a trial; the study itself when not given.

    Raises:
        ConfigError: the storage holds another study of that name, or the sampler takes no
            parameters of this kind.
        MissingPackageError: the sampler needs a package that is not there.
        StorageError: the storage is locked or gone.
    """

    def __init__(
        self,
        plan: Plan,
        storage: Storage,
        identity: Mapping[str, Any],
        *,
        sampler: str = "tpe",
        pruner: str = "median",
        grace_epochs: int = 1,
        seed: int = 0,
        asking: Callable[[Any, Any, Define], None] | None = None,
    ) -> None:
        check_names(sampler, pruner)
        self._plan, self._storage, self._optuna = plan, storage, need_optuna("supernet tune")
        self._beaten = 0.0
        self._running: dict[int, OptunaTrial] = {}
        gives_up = made_pruner(pruner, grace_epochs, plan.epochs)
        check_sampler(sampler, plan)
        self._asking, self._backend = asking or _ask, storage.open()
        with storage.errors():
            self._study = self._optuna.create_study(
                study_name=plan.study.name,
                storage=self._backend,
                direction="maximize",
                pruner=gives_up,
                load_if_exists=True,
            )
            begun = self._study.get_trials(deepcopy=False)
            self._fresh = partial(made_sampler, sampler)
            self._seed = seed
            self._claim(identity, begun)
            self.mark = self._marked()
            """Of this study alone."""
            for trial in begun:
                if trial.state == self._states.RUNNING and is_dead(trial):
                    self._lose(trial.number)

    @property
    def _states(self) -> Any:
        return self._optuna.trial.TrialState

    # ---------------------------------------------------------------- whose study it is

    def _claim(self, identity: Mapping[str, Any], begun: Sequence["FrozenTrial"]) -> None:
        """Note what the study is of, or refuse one of something else."""
        known = self._study.user_attrs.get(_IDENTITY)
        name = f"study {self._plan.study.name!r} in {self._storage.shown}"
        upwards = self._study.direction == self._optuna.study.StudyDirection.MAXIMIZE
        if known is None and not begun and upwards:
            self._study.set_user_attr(_IDENTITY, dict(identity))
            return
        if known is None:
            raise ConfigError(
                f"{name}: was not made by supernet tune",
                hint="give the study another name, or use another --storage",
            )
        different = identity_problems(known, identity)
        if different:
            raise ConfigError(
                [f"{name}: {line}" for line in different],
                hint="go on with what it was begun with, or give the study another name",
            )

    def _marked(self) -> str:
        if _MARK not in self._study.user_attrs:
            self._study.set_user_attr(_MARK, uuid.uuid4().hex)
        return str(self._study.user_attrs[_MARK])

    # ---------------------------------------------------------------- Proposer

    def count(self) -> int:
        """As `Proposer.count`."""
        with self._storage.errors():
            trials = self._study.get_trials(deepcopy=False)
        again = _tried_again(trials)
        return sum(
            t.state != self._states.WAITING and t.number not in again and not _is_repeat(t)
            for t in trials
        )

    def enqueue_baseline(self, values: Values) -> None:
        """Make the recipe and the space as they are the first trial of a new study."""
        with self._storage.errors():
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(dict(values), user_attrs={_BASELINE: True})

    def ask(self) -> Trial | None:
        """As `Proposer.ask`; what was tried before has its value at once."""
        with self._storage.errors():
            for _ in range(_REPEATS):
                self._study.sampler = self._fresh(self._seed + self._asked())
                trial, values = self._proposed()
                twin = self._twin(trial.number, values)
                if twin is None or _LOST_AS in trial.user_attrs:
                    own(trial)
                    self._running[trial.number] = trial
                    folder = int(trial.user_attrs.get(_LOST_AS, trial.number))
                    kept = bool(trial.user_attrs.get(_BASELINE))
                    return Trial(number=trial.number, values=values, folder=folder, kept=kept)
                trial.set_user_attr(_REPEAT, twin.number)  # does not count
                self._study.tell(trial.number, state=self._states.FAIL)
        return None

    def _proposed(self) -> "tuple[OptunaTrial, Values]":
        found: list[tuple[OptunaTrial, Values]] = []

        def define(trial: "OptunaTrial") -> None:
            found.append((trial, self._plan.draw(lambda *one: _suggested(trial, *one))))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._asking(self._study, self._backend, define)
        return found[0]

    def _asked(self) -> int:
        """Trials that were asked for, each once: a study that goes on draws by it as before."""
        trials = self._study.get_trials(deepcopy=False)
        again = _tried_again(trials)
        return sum(t.state != self._states.WAITING and t.number not in again for t in trials)

    def report(self, report: Report) -> bool:
        """As `Proposer.report`; the recipe as it is is never given up."""
        trial = self._running[report.number]
        with self._storage.errors():
            trial.report(report.value, report.epoch)
            self.beat()
            poor = trial.should_prune()  # of the recipe as it is too: others are held against it
            return bool(trial.user_attrs.get(_BASELINE)) or not poor

    def tell(self, outcome: Outcome) -> None:
        """As `Proposer.tell`; a killed trial is tried once more, a stopped one always."""
        with self._storage.errors():
            trial = self._running.pop(outcome.number)
            trial.set_user_attr(_SECONDS, round(outcome.seconds, 3))
            if outcome.reason:
                trial.set_user_attr(_REASON, outcome.reason)
            if outcome.state in ("lost", "stopped"):
                self._lose(outcome.number, killed=outcome.state == "lost")
            elif outcome.state == "complete":
                self._study.tell(outcome.number, outcome.value)
            else:
                states = {"pruned": self._states.PRUNED, "failed": self._states.FAIL}
                self._study.tell(outcome.number, state=states[outcome.state])

    def beat(self) -> None:
        """As `Proposer.beat`; at most every 30 seconds."""
        if time.monotonic() - self._beaten < _BEAT_S:
            return
        self._beaten = time.monotonic()
        with self._storage.errors():
            for trial in [*self._running.values()]:
                beat(trial)

    def records(self) -> list[TrialRecord]:
        """As `Proposer.records`; without trials that wait, and without repeats."""
        with self._storage.errors():
            trials = self._study.get_trials(deepcopy=False)
        again = _tried_again(trials)
        shown = [t for t in trials if t.state != self._states.WAITING and not _is_repeat(t)]
        return [self._record(t, again.get(t.number)) for t in shown]

    def importances(self) -> dict[str, float]:
        """As `Proposer.importances`, by PED-ANOVA (arXiv:2304.10255) over complete trials."""
        with self._storage.errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trials = self._study.get_trials(deepcopy=False, states=(self._states.COMPLETE,))
            if len(trials) < _ENOUGH:
                return {}
            try:
                found = self._optuna.importance.get_param_importances(
                    self._study,
                    evaluator=self._optuna.importance.PedAnovaImportanceEvaluator(),
                )
            except (ValueError, RuntimeError, ImportError):  # all alike, or no SciPy
                return {}
        return {name: float(share) for name, share in found.items()}

    def _record(self, trial: "FrozenTrial", again: int | None) -> TrialRecord:
        states: dict[Any, State] = {
            self._states.COMPLETE: "complete",
            self._states.PRUNED: "pruned",
            self._states.FAIL: "failed",
            self._states.RUNNING: "running",
        }
        state = states[trial.state] if again is None else "lost"
        return TrialRecord(
            number=trial.number,
            state=state,
            values=dict(trial.params),
            value=trial.value if state == "complete" else None,
            epochs=tuple(sorted(trial.intermediate_values)),
            curve=tuple(value for _, value in sorted(trial.intermediate_values.items())),
            reason=str(trial.user_attrs.get(_REASON, "")),
            seconds=float(trial.user_attrs.get(_SECONDS, 0.0)),
            baseline=bool(trial.user_attrs.get(_BASELINE)),
            folder=int(trial.user_attrs.get(_LOST_AS, trial.number)),
            retried_as=again,
        )

    def _twin(self, number: int, values: Values) -> "FrozenTrial | None":
        """A trial of the same values that ended well, or that is at work."""
        trials: list[FrozenTrial] = self._study.get_trials(deepcopy=False)
        whole = (self._states.COMPLETE, self._states.PRUNED, self._states.RUNNING)
        alike = (t for t in trials if t.state in whole and t.params == values)
        return next((t for t in alike if t.number != number), None)

    def _lose(self, number: int, *, killed: bool = True) -> None:
        """Fail a trial whose process is no more, and queue it again, unless it was killed twice."""
        trials = self._study.get_trials(deepcopy=False)
        noted = trials[number].user_attrs
        kills = int(noted.get(_KILLS, _LOST_AS in noted)) + killed
        if kills < _MOST_KILLS and number not in _tried_again(trials):
            kept = {key: noted[key] for key in (_BASELINE,) if key in noted}
            kept |= {_LOST_AS: noted.get(_LOST_AS, number), _AGAIN: number, _KILLS: kills}
            self._study.enqueue_trial(dict(trials[number].params), user_attrs=kept)
        self._study.tell(number, state=self._states.FAIL)


def _ask(study: Any, storage: Any, define: Define) -> None:
    del storage
    define(study.ask())


def _suggested(trial: "OptunaTrial", name: str, parameter: Parameter) -> Value:
    if parameter.choices:
        chosen: Value = trial.suggest_categorical(name, parameter.labels)
        return chosen
    assert parameter.low is not None
    assert parameter.high is not None
    if parameter.type == "int":
        low, high, step = round(parameter.low), round(parameter.high), parameter.step or 1
        return trial.suggest_int(name, low, high, step=round(step), log=parameter.log)
    return trial.suggest_float(
        name, parameter.low, parameter.high, step=parameter.step, log=parameter.log
    )


def _tried_again(trials: "Sequence[FrozenTrial]") -> dict[int, int]:
    """Of lost trials the number of the next try."""
    lost = ((t.user_attrs, t.number) for t in trials if _LOST_AS in t.user_attrs)
    return {int(attrs.get(_AGAIN, attrs[_LOST_AS])): number for attrs, number in lost}


def _is_repeat(trial: "FrozenTrial") -> bool:
    return _REPEAT in trial.user_attrs
