"""One trial: a training that says how good it is after each epoch."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from supernet.data import EMBEDDED
from supernet.errors import BusyError
from supernet.locks import remove_folder
from supernet.runs import Run
from supernet.space import Genes, Space, canonical, decode, largest, smallest
from supernet.space.layout import layout_of
from supernet.train import list_checkpoints
from supernet.train.sampling import step_rng
from supernet.train.schedule import plan
from supernet.tune.contract import Report, Reporter, Task
from supernet.tune.spec import Measured
from supernet.workflow.train import EachEpoch, resume_training, train_supernet

__all__ = ["PrunedError", "TrainTrial", "measured_genes"]

_RANDOM = 3


class PrunedError(Exception):
    """The training was told not to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainTrial:
    """Trains a task as `supernet train` would, into its folder."""

    data: str = EMBEDDED
    device: str = "cpu"
    subnet: Measured = "largest"

    def __call__(self, task: Task, report: Reporter) -> float:
        """The top-1 of the last epoch, percent.

        Raises:
            PrunedError: a report was answered with no.
        """
        reports = _Reports(task, report, f"top1_{self.subnet}")
        each_epoch = _each_epoch(self.subnet, task, reports)
        if list_checkpoints(Run(task.folder).checkpoints):
            try:
                reports.again()
                resume_training(Run(task.folder), device=self.device, each_epoch=each_epoch)
            except BusyError:
                raise
            except (ValueError, OSError):  # cut short while it was written: from the start
                self._anew(task, each_epoch)
        else:
            self._anew(task, each_epoch)
        return reports.last

    def _anew(self, task: Task, each_epoch: EachEpoch) -> None:
        remove_folder(task.folder)
        train_supernet(
            task.space,
            task.recipe,
            self.data,
            folder=task.folder,
            seed=task.seed,
            device=self.device,
            each_epoch=each_epoch,
        )


class _Reports:
    """Reports whole epochs, each once: phases may end within one."""

    def __init__(self, task: Task, report: Reporter, key: str) -> None:
        self._task, self._report, self._key = task, report, key
        self._epoch = 0
        self.last = math.nan

    def again(self) -> None:
        """Report what the run has in its metrics; of a run that was stopped."""
        for record in Run(self._task.folder).metrics():
            if self._key in record:
                self(record["epoch"], record[self._key])

    def due(self, record: dict[str, Any]) -> bool:
        """Whether an epoch is measured: a whole one, or the last."""
        if _whole(record["epoch"]) > self._epoch:
            return True
        steps_per_epoch = round(record["step"] / record["epoch"])
        return bool(record["step"] >= plan(self._task.recipe.phases, steps_per_epoch)[-1].end)

    def __call__(self, epoch: float, value: float) -> None:
        """Report the value after so many epochs."""
        self.last = value
        whole = _whole(epoch)
        if whole > self._epoch:
            self._epoch = whole
            if not self._report(Report(number=self._task.number, epoch=whole, value=value)):
                raise PrunedError


def _whole(epoch: float) -> int:
    return math.floor(epoch + 1e-9)


def _each_epoch(subnet: Measured, task: Task, reports: _Reports) -> EachEpoch:
    def measure(evaluator: Any, record: dict[str, Any]) -> dict[str, Any]:
        if not reports.due(record):
            return {}
        space = evaluator.supernet.space
        subnets = decode(space, measured_genes(space, subnet, task.seed))
        found = [evaluator.subnet_top1(one, "holdout") for one in subnets]
        value = sum(found) / len(found)
        reports(record["epoch"], value)
        return {f"top1_{subnet}": value}

    return measure


def measured_genes(space: Space, subnet: Measured, seed: int) -> Genes:
    """The subnets whose mean accuracy is that of a trial, shape ``(N, G)``."""
    ends = {"largest": [largest(space)], "smallest": [smallest(space)]}
    if subnet != "mean":
        return ends[subnet][0]
    choices = layout_of(space).num_choices
    drawn = step_rng(seed, "tune", 0).integers(0, choices, size=(_RANDOM, len(choices)))
    rows = canonical(space, drawn.astype(np.int8))
    return np.concatenate([largest(space), smallest(space), rows])
