"""What stands in for trainings: must be importable by worker processes."""

import math
import os
import signal
import time
from pathlib import Path

from supernet.tune import Report, Task
from supernet.tune.contract import Reporter
from supernet.tune.trial import PrunedError

EPOCHS = 4


def goodness(task: Task) -> float:
    """Best at a weight decay of 1e-3, percent."""
    return 90 - 10 * abs(math.log10(task.recipe.weight_decay) + 3)


def rising(task: Task, report: Reporter) -> float:
    """Four epochs that rise to the goodness of the weight decay."""
    top1 = math.nan
    for epoch in range(1, EPOCHS + 1):
        top1 = goodness(task) * epoch / EPOCHS
        if not report(Report(number=task.number, epoch=epoch, value=top1)):
            raise PrunedError
    return top1


def late_baseline(task: Task, report: Reporter) -> float:
    """What is to be kept is poor, and comes behind all others."""
    if not task.kept:
        return rising(task, report)
    for epoch in range(1, EPOCHS + 1):
        time.sleep(3 if epoch == 1 else 0)
        if not report(Report(number=task.number, epoch=epoch, value=1.0)):
            raise PrunedError
    return 1.0


def nan_at_large(task: Task, report: Reporter) -> float:
    """NaN, or an error, for large weight decays."""
    if task.recipe.weight_decay > 1e-2:
        return math.nan
    if task.recipe.weight_decay > 1e-3:
        raise ValueError("too large\nin two lines")
    return rising(task, report)


def failing(task: Task, report: Reporter) -> float:
    """Never works."""
    raise ArithmeticError(f"trial {task.number} broke")


def killed_once(task: Task, report: Reporter) -> float:
    """Kills its process, the first time that it has this folder."""
    note = task.folder.with_suffix(".begun")
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return rising(task, report)


def killed_always(task: Task, report: Reporter) -> float:
    """Kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def ending(task: Task, report: Reporter) -> float:
    """Ends its process as a crash of a library would."""
    os._exit(3)


def slow(task: Task, report: Reporter) -> float:
    """Notes its process and takes a minute."""
    task.folder.mkdir(parents=True, exist_ok=True)
    Path(task.folder / "pid").write_text(str(os.getpid()))
    report(Report(number=task.number, epoch=1, value=50.0))
    time.sleep(60)
    return 50.0


def full_disk(task: Task, report: Reporter) -> float:
    """What would fail every other training too."""
    from supernet.errors import StorageError

    raise StorageError("no space is left on the disk", hint="free some")
