"""Timing models on a machine that may be busy, hot or interrupted.

The statistic is the minimum of the thread's CPU time: with one thread the whole model
runs on the calling thread, and its CPU time, unlike wall time, does not grow while
another process has the core. With several threads or on a GPU it is the minimum of wall
time. Models are visited in random order in several rounds, so that a slow minute hits
all of them alike, and loaded anew for each visit, so that no model keeps an unlucky
place in memory.

Around every visit a gauge is timed, a model of the same kind: it tells how fast the
machine was at that moment, and only visits at full speed count. There are two kinds,
since a neighbour who fills the shared cache slows a whole network by 40 % and an
operator, whose weights stay in the core's own cache, by 2 %.
"""

from __future__ import annotations

import bisect
import random
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from supernet.latency.backends.contract import Backend, Run
from supernet.latency.kit.protocol import MOST, Protocol, Timing, Visit, is_settled, summarise
from supernet.latency.kit.spec import Spec

__all__ = ["Gauge", "Task", "burst", "clock_of", "measure_tasks", "statistic_of"]

Clock = Callable[[], int]
Progress = Callable[[int, int, str], None]
Record = Callable[[str, Visit], None]

SMALL, LARGE = "small", "large"
_REFERENCE = Spec("conv", 48, 0, 48, 3, act="relu", height=20, width=20)
_FRESH_S = 0.01  # an older reading of a gauge says nothing about now
_RUNS = 4  # of a gauge in a reading


class Task(NamedTuple):
    """A model to time."""

    key: str
    load: Callable[[], Run]
    gauge: str = SMALL
    """``large`` for whole networks."""


class Gauge:
    """The speed of the machine, by a model that is timed again and again.

    Args:
        run: the model.
        clock: nanoseconds.
        earlier: readings of an earlier part of the same run.
    """

    def __init__(self, run: Run, clock: Clock, earlier: Iterable[float] = ()) -> None:
        self._run, self._clock = run, clock
        self._when, self._last = float("-inf"), 0.0
        self._readings = sorted(earlier)
        for _ in range(5):
            self.read(fresh=True)

    def read(self, *, fresh: bool = False) -> float:
        """Milliseconds of the model now, or a moment ago."""
        if fresh or time.monotonic() - self._when > _FRESH_S:
            self._last = min(burst(self._run, self._clock, _RUNS, 1))
            self._when = time.monotonic()
            bisect.insort(self._readings, self._last)
        return self._last

    @property
    def best_ms(self) -> float:
        """What it takes at full speed."""
        return full_speed_ms(self._readings)


def full_speed_ms(readings: Sequence[float]) -> float:
    """What a gauge takes at full speed, from its sorted readings.

    One in twenty is as fast: the very best reading may be luck that never comes again.
    """
    return readings[len(readings) // 20]


def clock_of(backend: Backend) -> Clock:
    """CPU time of this thread where it does all the work, else the time on the wall."""
    fine = time.get_clock_info("thread_time").resolution <= 1e-6  # noqa: PLR2004  # not on Windows
    return time.thread_time_ns if backend.on_calling_thread and fine else time.perf_counter_ns


def statistic_of(backend: Backend) -> str:
    """What `Protocol.statistic` says of it."""
    on_thread = clock_of(backend) is time.thread_time_ns
    return "minimum of thread CPU time" if on_thread else "minimum of wall time"


def burst(run: Run, clock: Clock, count: int, warmup: int) -> List[float]:
    """Milliseconds of runs in a row, after some that are not timed."""
    for _ in range(warmup):
        run()
    samples = []
    for _ in range(count):
        start = clock()
        run()
        samples.append((clock() - start) / 1e6)
    return samples


def measure_tasks(
    tasks: Sequence[Task],
    backend: Backend,
    protocol: Protocol,
    *,
    large: Optional[Sequence[Any]] = None,
    known: Optional[Mapping[str, Sequence[Visit]]] = None,
    record: Optional[Record] = None,
    watch: Optional[Callable[[Gauge], None]] = None,
    progress: Optional[Progress] = None,
    clock: Optional[Clock] = None,
    seed: int = 0,
) -> Dict[str, Timing]:
    """Visit every model until its times agree.

    Args:
        tasks: models with distinct keys.
        backend: that they are loaded in; loads the gauges.
        protocol: how often.
        large: operators of the network that is the gauge of whole networks.
        known: visits of an earlier part of the same run, by key.
        record: told every visit as it ends.
        watch: called with the small gauge before each visit; may wait for a machine
            that has slowed down.
        progress: visits done, visits expected in all, and what is going on.
        clock: nanoseconds; that of the backend when not given.
        seed: of the order of visits.

    Returns:
        What was measured, by key.
    """
    clock = clock or clock_of(backend)
    state = _State(tasks, dict(known or {}), protocol)
    state.add_gauge(SMALL, Gauge(backend.load([_REFERENCE]), clock, state.earlier(SMALL)))
    if large:
        state.add_gauge(LARGE, Gauge(backend.load(large), clock, state.earlier(LARGE)))
    for number in range(protocol.rounds):
        behind = [task for task in state.unsettled() if len(state.visits[task.key]) <= number]
        random.Random(f"{seed} {number}").shuffle(behind)  # noqa: S311  # nothing secret
        for left in range(len(behind) - 1, -1, -1):
            task = behind[left]
            if watch:
                watch(state.gauges[SMALL])
            visit = _visit(task, state.gauge(task), clock, protocol)
            state.visits[task.key].append(visit)
            if record:
                record(task.key, visit)
            if progress:
                progress(*state.progress(left), f"timing, round {number + 1}")
    return state.timings()


class _State:
    """What was visited, and what is left."""

    def __init__(
        self, tasks: Sequence[Task], known: Dict[str, Sequence[Visit]], protocol: Protocol
    ) -> None:
        self._tasks, self._protocol = tasks, protocol
        self.gauges: Dict[str, Gauge] = {}
        self.visits: Dict[str, List[Visit]] = {t.key: list(known.get(t.key, ())) for t in tasks}

    def add_gauge(self, kind: str, gauge: Gauge) -> None:
        self.gauges[kind] = gauge

    def gauge(self, task: Task) -> Gauge:
        return self.gauges.get(task.gauge, self.gauges[SMALL])

    def earlier(self, kind: str) -> List[float]:
        """The readings of a gauge that the visits hold."""
        keys = [task.key for task in self._tasks if task.gauge == kind]
        return [visit.reference_ms for key in keys for visit in self.visits[key]]

    def unsettled(self) -> List[Task]:
        return [
            task
            for task in self._tasks
            if not is_settled(self.visits[task.key], self.gauge(task).best_ms, self._protocol)
        ]

    def progress(self, left: int) -> Any:
        """Visits done, and in all if models settle as soon as they may.

        Args:
            left: visits to come in this round.
        """
        counts = [len(visits) for visits in self.visits.values()]
        least = sum(max(0, self._protocol.least - count) for count in counts)
        return sum(counts), sum(counts) + max(left, least)

    def timings(self) -> Dict[str, Timing]:
        return {
            task.key: summarise(self.visits[task.key], self.gauge(task).best_ms)
            for task in self._tasks
            if self.visits[task.key]
        }


def _visit(task: Task, gauge: Gauge, clock: Clock, protocol: Protocol) -> Visit:
    run = task.load()
    before = gauge.read()
    samples = burst(run, clock, protocol.burst, protocol.warmup)
    more = protocol.visit_ms / max(min(samples), 1e-6) - len(samples)
    samples = sorted(samples + burst(run, clock, max(0, min(int(more), MOST - len(samples))), 0))
    after = gauge.read(fresh=True)
    return Visit(samples[0], samples[len(samples) // 2], max(before, after))
