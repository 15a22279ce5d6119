"""What Ray Tune calls in a search: trials, what suggests them, and what keeps their results.

Loads Ray and Optuna; `supernet.workflow.ray_tune` has looked for them before.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from ray.tune import Callback, Stopper, Trainable
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from supernet.evaluate.ray_deaths import how_died
from supernet.progress import FailedWarning, Progress
from supernet.search.algorithms.climbing import REDUCTION
from supernet.search.algorithms.optuna_parameters import Parameters
from supernet.search.clock import Clock
from supernet.search.contract import Start
from supernet.search.loop import IDLE
from supernet.search.objective import Objective
from supernet.space import Genes
from supernet.workflow.ray_tune import RETRIES

__all__ = ["RESOURCE", "VALUE", "Deaths", "Keeper", "Suggestions", "Trial", "Trials", "warn_of"]

VALUE, RESOURCE = "value", "resource"
"""Keys of a result: the accuracy at a rung, and what stands for the rung's work in ASHA."""
_RUNG, _ERROR = "rung", "error"
_GENES = "genes"
_STUDY = "supernet"
_FAILURE = "Failure # "  # begins each entry of the file of errors
_TRIES = 8  # suggestions for each new subnet, before one near the last is taken
_ROUNDING = 1e-9  # of costs that are added up


class Trials:
    """What the trials of a search have found and spent.

    Args:
        start: of the search.
        clock: of the search.
        progress: told about every rung.
    """

    def __init__(self, start: Start, clock: Clock, progress: Progress) -> None:
        self.start, self._clock, self._progress = start, clock, progress
        self._problem, self._archive = start.problem, start.archive
        first = start.problem.objectives[0]
        self._names = [*(rung.name for rung in start.problem.ladder), first.name]
        self._costs, self._most = start.problem.costs(), float(start.budget)
        self._running: dict[str, tuple[Genes, float]] = {}  # with what the rung costs
        self._paid: set[tuple[bytes, int]] = set()
        self._spent = 0.0
        self.error: Exception | None = None
        self.complete = True

    @property
    def running(self) -> int:
        """Trials that have begun and not ended."""
        return len(self._running)

    def wants(self, genes: Genes) -> bool:
        """Whether a subnet ``(1, G)`` is new and within the limits that cost no measurement."""
        return bool(self._archive.find(genes)[0] < 0 and self._problem.allows(genes)[0])

    def value(self, genes: Genes) -> float:
        """The accuracy of a subnet ``(1, G)`` at its highest rung; NaN where there is none."""
        index = self._archive.find(genes)
        found = self._archive.at(index).columns if index[0] >= 0 else {}
        known = [float(found[name][0]) for name in self._names if name in found]
        return next((value for value in reversed(known) if np.isfinite(value)), np.nan)

    def has_room(self, rung: int) -> bool:
        """Whether the budget has one more measurement at a rung."""
        reserved = sum(cost for _, cost in self._running.values())
        return bool(self._spent + reserved + self._costs[rung] <= self._most + _ROUNDING)

    def begin(self, trial: str, genes: Genes) -> None:
        """A trial begins with a subnet ``(1, G)``, at the lowest rung."""
        columns = {o.name: np.full(1, np.nan) for o in self._problem.columns}
        columns |= self._problem.cheap(genes)
        index = self._archive.admit(genes)
        self._archive.fill(index, columns, self._problem.violation(columns))
        self._running[trial] = genes, float(self._costs[0])

    def take(self, trial: str, rung: int, value: float) -> bool:
        """Keep what a trial found at a rung; whether it must end there."""
        genes, _ = self._running[trial]
        index = self._archive.find(genes)
        columns = {**self._archive.at(index).columns, self._names[rung]: np.array([value])}
        self._archive.fill(index, columns, self._problem.violation(columns))
        if (genes.tobytes(), rung) not in self._paid:  # one whose actor was killed begins again
            self._paid.add((genes.tobytes(), rung))
            self._spent += float(self._costs[rung])
        most = max(1, round(self._most))
        self._progress(min(most, round(self._spent)), most, "evaluating subnets")
        self._running[trial] = genes, 0.0
        last = rung + 1 == len(self._names) or not np.isfinite(value)
        if last or not self.has_room(rung + 1):
            return True
        self._running[trial] = genes, float(self._costs[rung + 1])
        return False

    def end(self, trial: str) -> None:
        """A trial has ended; what it would have spent is free."""
        self._running.pop(trial, None)

    def is_over(self) -> bool:
        """Whether all must end at once: by an error, or since the time is up."""
        if self._clock.is_up(self._archive) and self.has_room(0):
            self.complete = False
        return self.error is not None or not self.complete


class Trial(Trainable):
    """One subnet, a rung at a time; Tune calls it in an actor, which it uses for many."""

    def setup(
        self, config: dict[str, Any], rungs: tuple[Objective, ...] = (), threads: int = 1
    ) -> None:
        """Begin with the first subnet.

        Args:
            config: of the trial.
            rungs: what is measured, the whole measurement last.
            threads: of torch in this actor.
        """
        import torch

        torch.set_num_threads(threads)
        self._rungs = rungs
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another subnet."""
        self._genes: Genes = np.array([new_config[_GENES]], dtype=np.int8)
        return True

    def step(self) -> dict[str, Any]:
        """Measure at the next rung; an error is a result, which the driver raises."""
        rung = self.iteration
        told: dict[str, Any] = {_RUNG: rung, RESOURCE: REDUCTION**rung, VALUE: np.nan}
        try:
            told[VALUE] = float(self._rungs[rung](self._genes)[0])
        except Exception as error:  # noqa: BLE001  # whatever it is, the driver raises it
            told[_ERROR] = error
        return told

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: measurements are in the evidence."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, likewise."""


class Keeper(Stopper):
    """Keeps every result before the scheduler sees it, and ends what the budget does not hold."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends, whatever the scheduler says."""
        if _ERROR in result:
            self._trials.error = self._trials.error or result[_ERROR]
            return True
        return self._trials.take(trial_id, result[_RUNG], result[VALUE])

    def stop_all(self) -> bool:
        """Whether the search ends."""
        return self._trials.is_over()


class Deaths(Callback):
    """Hears of trials whose actors ended for good, and why: Tune's searchers are not told that.

    Args:
        tell: called with the name of the trial and the reason, after the searcher.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Look into what Tune has written of the errors of the trial; the last of them counts."""
        del iteration, trials, info
        told = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
        *_, last = told.split(_FAILURE)
        how = how_died(last)
        self._tell(trial.trial_id, f"tried {1 + RETRIES} times, and the last time {how}")


def warn_of(trial: str, reason: str) -> None:
    """Tell the user of a trial that has failed.

    Args:
        trial: its name.
        reason: why.
    """
    del trial
    told = f"a subnet could not be measured, and counts as failed: {reason}"
    warnings.warn(told, FailedWarning, stacklevel=2)


class Suggestions(Searcher):
    """What Tune's Optuna searcher suggests, within the limits that cost no measurement.

    A suggestion that breaks one is told as failed, one that is known with what is known, and
    another is asked for; after some, one near the last is queued.

    Args:
        trials: of the search.
        seed: of the sampler.
    """

    def __init__(self, trials: Trials, seed: int) -> None:
        super().__init__(metric=VALUE, mode="max")
        self._trials, self._start = trials, trials.start
        self._parameters = Parameters(self._start.problem.domain)
        storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(storage=storage, study_name=_STUDY, direction="maximize")
        self._optuna = OptunaSearch(
            self._define,
            metric=VALUE,
            mode="max",
            sampler=optuna.samplers.TPESampler(seed=seed),
            study_name=_STUDY,
            storage=storage,
        )
        for row in self._start.genes[self._start.problem.allows(self._start.genes)]:
            self._queue(row)
        self._names: dict[str, str] = {}
        self._steps: dict[str, int] = {}
        self._suggested = self._start.genes[:1]
        self._nothing_new = 0

    def suggest(self, trial_id: str) -> Any:
        """The subnet of a new trial; nothing for now, or at the end."""
        trials, count = self._trials, self._start.problem.domain.count
        used_up = len(self._start.archive) >= count or self._nothing_new >= IDLE
        if used_up or not trials.has_room(0):
            return None if trials.running else Searcher.FINISHED
        name, genes = self._new(trial_id)
        if not trials.wants(genes):
            self._nothing_new += 1
            self._optuna.on_trial_complete(name, error=True)
            return None
        self._nothing_new = 0
        self._names[trial_id], self._steps[trial_id] = name, 0
        trials.begin(trial_id, genes)
        return {_GENES: genes[0].tolist()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the study of a rung; once, also where the trial was begun again."""
        if result[_RUNG] >= self._steps[trial_id]:
            self._steps[trial_id] = result[_RUNG] + 1
            self._optuna.on_trial_result(self._names[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how a trial ended: with its last figure, or failed."""
        value = float((result or {}).get(VALUE, np.nan))
        self._tell(self._names.pop(trial_id), np.nan if error else value)
        self._trials.end(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is measured is in the evidence."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, likewise."""

    def _new(self, trial_id: str) -> tuple[str, Genes]:
        """A suggestion of the study, under the name that it goes by there."""
        for number in range(_TRIES):
            name = f"{trial_id}/{number}"
            self._optuna.suggest(name)
            if self._trials.wants(self._suggested):
                return name, self._suggested
            self._tell(name, self._trials.value(self._suggested))
        self._queue(self._start.near(self._suggested)[0])
        name = f"{trial_id}/{_TRIES}"
        self._optuna.suggest(name)
        return name, self._suggested

    def _define(self, trial: Any) -> None:
        self._suggested = self._parameters.suggested(trial)

    def _queue(self, row: Genes) -> None:
        self._study.enqueue_trial(self._parameters.of(row)[0])

    def _tell(self, name: str, value: float) -> None:
        failed = not np.isfinite(value)
        self._optuna.on_trial_complete(name, None if failed else {VALUE: value}, error=failed)
