"""What Ray Tune calls in a study: trainings, where they come from, and who gives them up.

Loads Ray; `supernet.workflow.ray_tune.check_tune` has looked for them before.
"""

import math
import queue
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune import Stopper, Trainable
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from supernet.tune.contract import Outcome, Report, Task, Train, TrialRecord
from supernet.tune.executors import outcome_of
from supernet.tune.line import Line
from supernet.tune.samplers import REDUCTION

__all__ = ["EPOCH", "VALUE", "Halving", "Keeper", "Tasks", "Training"]

VALUE, EPOCH = "value", "epoch"
"""Keys of a result: the last accuracy that was reported, and after how many epochs."""
_REPORTS, _OUTCOME, _ERROR = "reports", "outcome", "error"
_TASK = "task"
_LOOK_S = 1.0  # so long an actor does not hear that it is to end
_ENDED = ("complete", "pruned", "failed")


class Training(Trainable):
    """One training, a report at a time; Tune calls it in an actor, which it uses for many."""

    def setup(
        self,
        config: dict[str, Any],
        train: Train | None = None,
        epochs: float = 0,
        threads: int = 1,
    ) -> None:
        """Begin with the first task.

        Args:
            config: of the trial.
            train: trains a task.
            epochs: at the end of which a training that reports is not asked whether it goes on.
            threads: of torch in this actor.
        """
        import torch

        torch.set_num_threads(threads)
        assert train is not None
        self._train, self._epochs = train, epochs
        self._begin(config[_TASK])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another task; a training that was given up ends."""
        self._answers.put(False)
        self._thread.join()
        self._begin(new_config[_TASK])
        return True

    def step(self) -> dict[str, Any]:
        """The next report, or the outcome; nothing new where neither comes for a second."""
        told: dict[str, Any] = {_REPORTS: []}
        try:
            while _OUTCOME not in told and _ERROR not in told:
                message = self._heard()
                if isinstance(message, Report):
                    told[_REPORTS].append(message)
                    self._last = message
                    if message.epoch < self._epochs:
                        break
                elif isinstance(message, Outcome):
                    told[_OUTCOME] = message
                else:
                    told[_ERROR] = message
        except queue.Empty:
            pass
        ended = _OUTCOME in told or _ERROR in told
        return {VALUE: self._last.value, EPOCH: self._last.epoch, "done": ended, **told}

    def cleanup(self) -> None:
        """Give up what was being trained."""
        self._answers.put(False)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the run of the trial has checkpoints."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, likewise."""

    def _begin(self, task: Task) -> None:
        self._told: queue.Queue[Any] = queue.Queue()
        self._answers: queue.Queue[bool] = queue.Queue()
        self._waits = False  # for an answer to a report
        self._last = Report(number=task.number, epoch=0, value=math.nan)
        work = (task, self._told, self._answers)
        self._thread = threading.Thread(target=self._work, args=work, daemon=True)
        self._thread.start()

    def _heard(self) -> Any:
        """What the training says next; it goes on after what it said before."""
        if self._waits:
            self._answers.put(True)
        self._waits = False
        message = self._told.get(timeout=_LOOK_S)
        self._waits = isinstance(message, Report)
        return message

    def _work(self, task: Task, told: queue.Queue[Any], answers: queue.Queue[bool]) -> None:
        def report(message: Report) -> bool:
            told.put(message)
            return answers.get()

        try:
            told.put(outcome_of(self._train, task, report))
        except Exception as error:  # noqa: BLE001  # whatever it is, the driver raises it
            told.put(error)


class Keeper(Stopper):
    """Passes every report on before the scheduler sees it.

    Args:
        line: to the study.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._epochs: dict[int, int] = {}  # of each task, so that none is reported twice

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends, whatever the scheduler says."""
        del trial_id
        if _ERROR in result:
            self._line.ask("error", result[_ERROR])
            return True
        new = [r for r in result[_REPORTS] if r.epoch > self._epochs.get(r.number, 0)]
        for report in new:
            self._epochs[report.number] = report.epoch
            if not self._line.ask("report", report):
                return True
        return False

    def stop_all(self) -> bool:
        """Whether the study ends."""
        return self._line.over


class Tasks(Searcher):
    """The tasks of the study as what Tune tries next.

    Args:
        line: to the study.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(metric=VALUE, mode="max")
        self._line = line
        self._running: dict[str, Task] = {}
        self._may_have = True

    def suggest(self, trial_id: str) -> Any:
        """The next task; nothing for now, or at the end."""
        task = self._line.ask("following") if self._may_have else None
        self._may_have = task is not None
        if task is None:
            return None if self._running else Searcher.FINISHED
        self._running[trial_id] = task
        return {_TASK: task}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: `Keeper` has passed it on."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass on how a trial ended: by itself, or given up; why an actor did, `failed` hears."""
        if error:
            return
        task, told = self._running.pop(trial_id), result or {}
        outcome: Outcome | None = told.get(_OUTCOME)
        if outcome is None:
            seconds = float(told.get("time_total_s", 0.0))
            outcome = Outcome(number=task.number, state="pruned", seconds=seconds)
        self._end(outcome)

    def failed(self, trial_id: str, reason: str) -> None:
        """Pass on that a trial has failed, as its actor ended for good."""
        task = self._running.pop(trial_id)
        self._end(Outcome(number=task.number, state="failed", reason=reason))

    def _end(self, outcome: Outcome) -> None:
        self._line.ask("outcome", outcome)
        self._may_have = True

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is in its storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, likewise."""


class Halving(ASHAScheduler):
    """Tune's ASHA, which knows the trials of earlier calls and lets go on what is to be kept.

    Args:
        grace: epochs before which no trial is given up.
        epochs: of every trial.
        known: trials of earlier calls.
    """

    def __init__(self, *, grace: int, epochs: float, known: Sequence[TrialRecord] = ()) -> None:
        super().__init__(
            time_attr=EPOCH,
            metric=VALUE,
            mode="max",
            grace_period=grace,
            max_t=max(grace, math.ceil(epochs)),
            reduction_factor=REDUCTION,
        )
        for record in (record for record in known if record.state in _ENDED):
            stands_for: Any = SimpleNamespace(trial_id=f"trial {record.number}")
            self.on_trial_add(None, stands_for)
            for epoch, value in zip(record.epochs, record.curve):
                super().on_trial_result(None, stands_for, {EPOCH: epoch, VALUE: value})

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether a trial goes on after an epoch."""
        found: str = super().on_trial_result(tune_controller, trial, result)
        return self.CONTINUE if trial.config[_TASK].kept else found
