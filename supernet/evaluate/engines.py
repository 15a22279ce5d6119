"""Engines execute evaluations; what is evaluated, and what becomes of it, others decide."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.connection import Connection
from typing import Any, Protocol

from supernet.children import Child, how_killed
from supernet.errors import ConfigError
from supernet.evaluate.pool import Killed, Measures, Pool
from supernet.evaluate.task import Evaluation, EvaluationTask

__all__ = ["Engine", "InProcess", "Workers", "evaluate_all"]


class Engine(Protocol):
    """Executes evaluations. Who collects or searches calls it, and closes it at the end."""

    @property
    def slots(self) -> int:
        """Evaluations that run at the same time: so many threads may call it at once."""

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Measure one subnet.

        A task that cannot be measured, such as one that kills its process, comes back
        with NaN. An error of the evaluator (missing images) is raised.
        """

    def close(self) -> None:
        """End everything that was started; whoever waits for a result gets NaN."""


def evaluate_all(engine: Engine, tasks: Sequence[EvaluationTask]) -> Iterator[Evaluation]:
    """Measure all tasks; each result as soon as it is there, in any order.

    Whoever stops listening, or an error, closes the engine if it still works at something.
    """
    if engine.slots == 1:
        yield from map(engine.evaluate, tasks)
        return
    pool = ThreadPoolExecutor(engine.slots)
    futures = [pool.submit(engine.evaluate, task) for task in tasks]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if not all(future.done() for future in futures):
            engine.close()
        pool.shutdown()


class InProcess:
    """One after the other, here.

    Args:
        make: the evaluator; called once, when the first task comes.
    """

    slots = 1

    def __init__(self, make: Callable[[], Measures]) -> None:
        self._make = make
        self._evaluator: Measures | None = None

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """As `Engine.evaluate`."""
        self._evaluator = self._evaluator or self._make()
        return self._evaluator.evaluate(task)

    def close(self) -> None:
        """Forget the evaluator."""
        self._evaluator = None


class Workers(Pool):
    """Processes that measure at the same time, and share the threads of this process.

    Args:
        makes: the evaluator of each process; must be picklable, and is called once there.
    """

    def _start(self, make: Callable[[], Measures]) -> "_Worker":
        import torch

        return _Worker(_work, make, max(1, torch.get_num_threads() // self.slots))

    def _leave(self) -> None:
        pass


class _Worker(Child):
    """One process."""

    def answer(self, task: EvaluationTask) -> Any:
        """As `Worker.answer` of the pool.

        Raises:
            ConfigError: the process ended by itself.
        """
        try:
            self.pipe.send(task)
            return self.pipe.recv()
        except (EOFError, OSError):
            status = self.status()
            if status > 0:
                raise _ended(status) from None
            return Killed(how_killed(status))


def _work(make: Callable[[], Measures], threads: int, pipe: Connection) -> None:
    """Measure what comes through the pipe until it is closed."""
    import torch

    torch.set_num_threads(threads)
    evaluator: Measures | None = None
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
