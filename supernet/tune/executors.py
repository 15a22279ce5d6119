"""Trainings in this process, or in several at once."""

import contextlib
import math
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from supernet.children import Child, how_killed
from supernet.errors import MissingPackageError, StorageError
from supernet.tune.contract import Outcome, Report, Reporter, Task, Train
from supernet.tune.trial import PrunedError

__all__ = ["InProcess", "Workers"]

_LOOK_S = 5.0  # between calls of `idle`
_FOR_ALL = (StorageError, MissingPackageError)
"""What would fail every other training too."""


class InProcess:
    """One training after the other, here.

    Args:
        train: trains a task.
        idle: called now and then meanwhile, in a thread of its own.
    """

    def __init__(self, train: Train, *, idle: Callable[[], None] = lambda: None) -> None:
        self._train, self._idle = train, idle

    def run(self, following: Callable[[], Task | None], report: Reporter) -> Iterator[Outcome]:
        """As `Executor.run`."""
        while (task := following()) is not None:
            with _beside(self._idle):
                outcome = outcome_of(self._train, task, report)
            yield outcome

    def close(self) -> None:
        """Nothing was started."""


@contextlib.contextmanager
def _beside(idle: Callable[[], None]) -> Iterator[None]:
    """Call something every few seconds while the block runs."""
    ended = threading.Event()

    def call() -> None:
        while not ended.wait(_LOOK_S):
            with contextlib.suppress(StorageError):  # the next report meets it too
                idle()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Workers:
    """Processes that train at the same time and share the threads of this one.

    They are ended with this process, however that ends.

    Args:
        trains: what trains a task, one for each process (each may have a GPU of its own); must
            be picklable.
        idle: called now and then while they work.
    """

    def __init__(self, trains: list[Train], *, idle: Callable[[], None] = lambda: None) -> None:
        self._trains, self._idle = trains, idle
        self._workers: list[_Worker | None] = [None] * len(trains)

    def run(self, following: Callable[[], Task | None], report: Reporter) -> Iterator[Outcome]:
        """As `Executor.run`."""
        busy: dict[Connection, int] = {}
        try:
            while True:
                self._give(following, busy)
                if not busy:
                    return
                for pipe in wait(list(busy), timeout=_LOOK_S):
                    assert isinstance(pipe, Connection)
                    outcome = self._heard(busy[pipe], report)
                    if outcome is not None:
                        del busy[pipe]
                        yield outcome
                self._idle()
        finally:
            if busy:  # stopped, or an error: results that nobody waits for
                self.close()

    def close(self) -> None:
        """End all processes."""
        workers = [worker for worker in self._workers if worker is not None]
        self._workers = [None] * len(self._trains)
        for worker in workers:
            worker.end()

    def _give(self, following: Callable[[], Task | None], busy: dict[Connection, int]) -> None:
        taken = set(busy.values())
        for place in (place for place in range(len(self._trains)) if place not in taken):
            task = following()
            if task is None:
                return
            worker = self._workers[place]
            if worker is None or not worker.ask(task):  # none yet, or killed while it was idle
                if worker is not None:
                    worker.end()
                worker = _Worker(self._trains[place], self._threads())
                worker.ask(task)
                self._workers[place] = worker
            busy[worker.pipe] = place

    def _threads(self) -> int:
        import torch

        return max(1, torch.get_num_threads() // len(self._trains))

    def _heard(self, place: int, report: Reporter) -> Outcome | None:
        """An outcome, or None after a report, which was answered."""
        worker = self._workers[place]
        assert worker is not None
        message = worker.answer()
        if isinstance(message, Report):
            worker.ask(report(message))
            return None
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, Outcome):
            return message
        self._workers[place] = None
        return worker.ended()


class _Worker(Child):
    """One process."""

    def __init__(self, train: Train, threads: int) -> None:
        super().__init__(_work, train, threads)
        self._task: Task | None = None

    def ask(self, message: Any) -> bool:
        """Whether it could be told."""
        self._task = message if isinstance(message, Task) else self._task
        try:
            self.pipe.send(message)
        except OSError:
            return False
        return True

    def answer(self) -> Any:
        """What came back: a report, an outcome, an error, or None of a killed one."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def ended(self) -> Outcome:
        """What became of the task of a process that is no more."""
        assert self._task is not None
        status = self.status()
        self.end()
        if status < 0:
            reason = how_killed(status)
            return Outcome(number=self._task.number, state="lost", reason=reason)
        reason = (
            f"its process ended by itself (status {status}; its message is above); a script that "
            'starts workers needs `if __name__ == "__main__":` around what it runs'
        )
        return Outcome(number=self._task.number, state="failed", reason=reason)


def outcome_of(train: Train, task: Task, report: Reporter) -> Outcome:
    """Train a task; whatever goes wrong with it alone is an outcome."""
    since = time.perf_counter()
    state, value, reason = "complete", math.nan, ""
    try:
        value = train(task, report)
        if not math.isfinite(value):
            state, reason = "failed", f"its accuracy is {value}"
    except PrunedError:
        state = "pruned"
    except _FOR_ALL:
        raise
    except Exception as error:  # noqa: BLE001  # one trial's, which the study goes on without
        state, reason = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    return Outcome(
        number=task.number,
        state=state,  # type: ignore[arg-type]  # one of the words above
        value=value,
        reason=reason,
        seconds=time.perf_counter() - since,
        peak_mib=_peak_mib(),
        gpu_mib=_gpu_mib(),
    )


def _gpu_mib() -> float:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0.0
    devices = range(torch.cuda.device_count())
    return float(sum(torch.cuda.max_memory_reserved(device) for device in devices)) / 2**20


def _peak_mib() -> float:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _work(train: Train, threads: int, pipe: Connection) -> None:
    """Train what comes through the pipe until it is closed."""
    import torch

    torch.set_num_threads(threads)

    def report(message: Report) -> bool:
        pipe.send(message)
        return bool(pipe.recv())

    with contextlib.suppress(EOFError, OSError):
        while True:
            task: Task = pipe.recv()
            try:
                answer: Outcome | Exception = outcome_of(train, task, report)
            except Exception as error:  # noqa: BLE001  # whatever it is, the parent raises it
                answer = error
            pipe.send(answer)
