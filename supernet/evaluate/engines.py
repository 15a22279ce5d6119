"""Engines execute evaluations; what is evaluated, and what becomes of it, others decide."""

import contextlib
import math
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from supernet.errors import ConfigError
from supernet.evaluate.task import Evaluation, EvaluationTask

if TYPE_CHECKING:  # torch is loaded by what makes an evaluator, once there is a task
    from supernet.evaluate.evaluator import Evaluator

__all__ = ["Engine", "InProcess", "Workers"]

_TRIES = 2  # of a task whose worker was killed
_END_S = 5.0  # for a worker that was told to end


class Engine(Protocol):
    """Executes evaluations. Who collects or searches calls it, and closes it at the end."""

    def submit(self, tasks: Sequence[EvaluationTask]) -> Iterator[Evaluation]:
        """Measure all tasks; each result as soon as it is there, in any order.

        A task that cannot be measured, such as one that kills its process, comes back
        with NaN. An error of the evaluator (missing images) is raised.
        """

    def close(self) -> None:
        """End everything that was started."""


class InProcess:
    """One after the other, here.

    Args:
        make: the evaluator; called once, when the first task comes.
    """

    def __init__(self, make: Callable[[], "Evaluator"]) -> None:
        self._make = make
        self._evaluator: Evaluator | None = None

    def submit(self, tasks: Sequence[EvaluationTask]) -> Iterator[Evaluation]:
        """As `Engine.submit`."""
        for task in tasks:
            self._evaluator = self._evaluator or self._make()
            yield self._evaluator.evaluate(task)

    def close(self) -> None:
        """Forget the evaluator."""
        self._evaluator = None


class Workers:
    """Processes that measure at the same time, each with an evaluator of its own.

    They share the threads of this process. A worker that is killed is replaced and its
    task tried once more; whatever ends the work here, none of them stays.

    Args:
        make: the evaluator; must be picklable, and is called once in every worker.
        count: of processes.
    """

    def __init__(self, make: Callable[[], "Evaluator"], count: int) -> None:
        self._make, self._count = make, count
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, EvaluationTask, int]] = {}

    def submit(self, tasks: Sequence[EvaluationTask]) -> Iterator[Evaluation]:
        """As `Engine.submit`."""
        waiting = deque((task, 1) for task in tasks)
        try:
            while waiting or self._busy:
                while waiting and len(self._busy) < self._count:
                    self._start(*waiting.popleft())
                for pipe in wait(list(self._busy)):
                    assert isinstance(pipe, Connection)
                    worker, task, tries = self._busy.pop(pipe)
                    result = worker.answer()
                    if result is not None:
                        self._idle.append(worker)
                    if isinstance(result, Evaluation):
                        yield result
                    elif isinstance(result, BaseException):
                        raise result
                    elif tries < _TRIES:
                        waiting.appendleft((task, tries + 1))
                    else:
                        yield _failed(task)
        finally:
            if self._busy:  # stopped, or an error: results that nobody waits for
                self.close()

    def close(self) -> None:
        """End all processes."""
        workers = [*self._idle, *(worker for worker, _, _ in self._busy.values())]
        self._idle, self._busy = [], {}
        for worker in workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, task: EvaluationTask, tries: int) -> None:
        worker = self._idle.pop() if self._idle else self._new()
        if not worker.ask(task):  # killed while it was idle
            worker.end()
            worker = self._new()
            worker.ask(task)
        self._busy[worker.pipe] = worker, task, tries

    def _new(self) -> "_Worker":
        import torch

        return _Worker(self._make, max(1, torch.get_num_threads() // self._count))


class _Worker:
    """One process."""

    def __init__(self, make: Callable[[], "Evaluator"], threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(make, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, task: EvaluationTask) -> bool:
        """Whether it could be told."""
        try:
            self.pipe.send(task)
        except OSError:
            return False
        return True

    def answer(self) -> Any:
        """What came back: an evaluation, an error, or None of a killed one.

        Raises:
            ConfigError: the process ended by itself.
        """
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self._process.join(_END_S)
            status = self._process.exitcode or 0
            self.end()
            if status > 0:  # negative: the number of the signal that killed it
                raise _ended(status) from None
            return None

    def end(self) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _work(make: Callable[[], "Evaluator"], threads: int, pipe: Connection) -> None:
    """Measure what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    import torch

    torch.set_num_threads(threads)
    evaluator: Evaluator | None = None
    with contextlib.suppress(EOFError, OSError):
        while True:
            task: EvaluationTask = pipe.recv()
            try:
                evaluator = evaluator or make()
                answer: Evaluation | Exception = evaluator.evaluate(task)
            except Exception as error:  # noqa: BLE001  # whatever it is, the parent raises it
                answer = error
            pipe.send(answer)


def _ended(status: int) -> Exception:
    return ConfigError(
        f"a worker process ended by itself (status {status}; its message is above): it must be"
        " able to import what makes the evaluator, and a script that starts workers needs"
        ' `if __name__ == "__main__":` around what it runs'
    )


def _failed(task: EvaluationTask) -> Evaluation:
    nan = math.nan
    return Evaluation(key=task.subnet.key, genes=task.genes, top1=nan, loss=nan, seconds=nan)
