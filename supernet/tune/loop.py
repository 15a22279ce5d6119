"""The loop of a study: proposals to whoever executes, what comes back to whoever proposes."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from supernet.errors import ConfigError, StorageError
from supernet.progress import Progress, silent
from supernet.tune.contract import Executor, Outcome, Proposer, Report, Task, TrialRecord
from supernet.tune.plan import Plan

__all__ = ["best_of", "run_trials"]


def run_trials(
    plan: Plan,
    proposer: Proposer,
    executor: Executor,
    *,
    trials: int,
    folder: Path,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Go on with a study until it has so many trials.

    Whatever ends it, what runs is ended and marked as lost, to be tried again.

    Args:
        plan: the study.
        proposer: chooses what is tried.
        executor: trains.
        trials: that count, in all.
        folder: for a run of each trial.
        seed: of every training.
        progress: told about epochs.
    """
    loop = _Loop(plan, proposer, trials, folder, seed, progress)
    try:
        for outcome in executor.run(loop.following, loop.report):
            loop.ended(outcome)
    finally:
        executor.close()
        with suppress(StorageError):  # it may be what ended the study
            loop.lose_running()


class _Loop:
    """What `run_trials` keeps in mind."""

    def __init__(
        self,
        plan: Plan,
        proposer: Proposer,
        trials: int,
        folder: Path,
        seed: int,
        progress: Progress,
    ) -> None:
        self._plan, self._proposer, self._trials = plan, proposer, trials
        self._folder, self._seed, self._progress = folder, seed, progress
        self._running: dict[int, int] = {}

    def following(self) -> Task | None:
        """The next training; trials whose values break a rule together fail at once."""
        while self._proposer.count() < self._trials:
            trial = self._proposer.ask()
            if trial is None:
                return None
            try:
                made = self._plan.made(trial.values)
            except ConfigError as error:
                outcome = Outcome(number=trial.number, state="failed", reason=str(error))
                self._proposer.tell(outcome)
                continue
            self._running[trial.number] = 0
            return Task(
                number=trial.number,
                recipe=made.recipe,
                space=made.space,
                seed=self._seed,
                folder=self._folder / str(trial.folder),
                kept=trial.kept,
            )
        return None

    def report(self, report: Report) -> bool:
        """Pass an epoch on; whether the trial goes on: one that is at its end does."""
        self._running[report.number] = report.epoch
        self._show()
        return self._proposer.report(report) or report.epoch >= self._plan.epochs

    def ended(self, outcome: Outcome) -> None:
        """Pass an end on, and keep the weights of the best trial only."""
        del self._running[outcome.number]
        self._proposer.tell(outcome)
        records = self._proposer.records()
        _tidy(self._folder, records)
        self._show(records)

    def lose_running(self) -> None:
        """Mark what runs as stopped: it will be tried again, however often that happens."""
        for number in [*self._running]:
            del self._running[number]
            self._proposer.tell(
                Outcome(number=number, state="stopped", reason="the study was stopped")
            )

    def _show(self, records: Sequence[TrialRecord] | None = None) -> None:
        if records is not None:
            ended = [r for r in records if r.state not in ("running", "lost")]
            best = best_of(records)
            self._text = f"tuning, {len(ended)} of {self._trials} trials ended"
            self._text += f", best {best.value:.2f} %" if best and best.value is not None else ""
            self._ended = len(ended)
        each = max(1, int(self._plan.epochs))
        done = self._ended * each + sum(min(each, epoch) for epoch in self._running.values())
        self._progress(min(done, self._trials * each), self._trials * each, self._text)

    _text, _ended = "tuning", 0


def best_of(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The complete trial of the highest value, the first of several."""
    whole = [record for record in records if record.value is not None]
    return max(whole, key=lambda record: (record.value, -record.number), default=None)


def _tidy(folder: Path, records: Sequence[TrialRecord]) -> None:
    """Remove the weights of trials that ended and are not the best."""
    best = best_of(records)
    kept = {record.folder for record in records if record.state in ("running", "lost")}
    kept |= {best.folder} if best else set()
    for record in records:
        if record.folder not in kept:
            shutil.rmtree(folder / str(record.folder) / "checkpoints", ignore_errors=True)
