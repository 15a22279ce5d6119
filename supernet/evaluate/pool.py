"""A pool of workers: what all engines share that measure in other processes."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from supernet.evaluate.task import Evaluation, EvaluationTask, failed

__all__ = ["TRIES", "Killed", "Measures", "Pool", "Worker"]

TRIES = 2
"""Of a task whose worker was killed."""


class Measures(Protocol):
    """What measures subnets in one place, such as an `Evaluator`."""

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Measure one subnet."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What comes back of a worker that was killed."""

    how: str
    """By what, in words."""


class Worker(Protocol):
    """One process that measures; a place of the pool starts it and talks to it."""

    @property
    def alive(self) -> bool:
        """Whether it still takes tasks."""

    def answer(self, task: EvaluationTask) -> Any:
        """What came back: an evaluation, an error, or `Killed`."""

    def stop(self) -> None:
        """Have it end; whoever waits for its answer gets `Killed`."""

    def end(self) -> None:
        """Wait until it has ended, and free what it held."""


class Pool(ABC):
    """Workers that measure at the same time, each with an evaluator of its own.

    A worker is started when its place first gets a task. One that is killed is replaced and its
    task tried once more; whatever ends the work here, none of them stays.

    Args:
        makes: the evaluator of each worker; must be picklable, and is called once there.
    """

    def __init__(self, makes: Sequence[Callable[[], Measures]]) -> None:
        self._places = tuple(_Place(make) for make in makes)
        self._free = list(self._places[::-1])
        self._changed = threading.Condition()
        self._callers = 0
        self._closing = False

    @abstractmethod
    def _start(self, make: Callable[[], Measures]) -> Worker:
        """A new worker; called by several threads at a time."""

    @abstractmethod
    def _leave(self) -> None:
        """Free what the workers shared; called when all of them have ended."""

    @property
    def slots(self) -> int:
        """Number of workers."""
        return len(self._places)

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """As `Engine.evaluate`."""
        how = ""
        with self._place() as place:
            for _ in range(TRIES):
                if self._closing:
                    return failed(task)
                result = self._worker(place).answer(task)
                if isinstance(result, Evaluation):
                    return result
                if isinstance(result, BaseException):
                    raise result
                how = result.how
        return failed(task, f"tried {TRIES} times, and the last time {how}")

    def close(self) -> None:
        """End all workers; whoever waits for one is told that the task failed."""
        with self._changed:
            self._closing = True
            for place in self._places:
                if place.worker:
                    place.worker.stop()
            self._changed.wait_for(lambda: not self._callers)
            for place in self._places:
                place.empty()
            self._leave()
            self._closing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _place(self) -> Iterator["_Place"]:
        """A place that nobody else has, as soon as there is one."""
        with self._changed:
            self._callers += 1
            try:
                self._changed.wait_for(lambda: self._free)
            except BaseException:  # Ctrl-C
                self._callers -= 1
                raise
            place = self._free.pop()
        try:
            yield place
        finally:
            with self._changed:
                self._callers -= 1
                self._free.append(place)
                self._changed.notify_all()

    def _worker(self, place: "_Place") -> Worker:
        """The worker of a place that is taken; a new one where it has none alive."""
        if place.worker is not None and place.worker.alive:
            return place.worker
        place.empty()
        worker = self._start(place.make)
        with self._changed:
            place.worker = worker
            if self._closing:
                worker.stop()
        return worker


class _Place:
    """Room for one worker at a time."""

    def __init__(self, make: Callable[[], Measures]) -> None:
        self.make = make
        self.worker: Worker | None = None

    def empty(self) -> None:
        worker, self.worker = self.worker, None
        if worker:
            worker.end()
