"""Timing models on a machine that may be busy, hot or interrupted.

A model is timed in turn with a gauge, run by run: a model of the same kind whose time
at full speed is known from the whole run. What slows the machine for a moment, be it a
neighbour who fills the shared cache, or a clock that drops with the heat, slows both,
and their ratio stays. On two cores with three foreign jobs the times of whole networks
scattered by 11 % from visit to visit, their minima by 3 % even after four visits, and
the ratio by 1.2 %.

Time is the CPU time of the calling thread where that thread does all the work (unlike
wall time it does not grow while another process has the core), else wall time. Models
are visited in random order in several rounds, and loaded anew for each visit, so that
no model keeps an unlucky place in memory, until their visits agree.
"""

from __future__ import annotations

import bisect
import random
import time
from typing import Callable, Iterable, Mapping, NamedTuple, Sequence

from supernet.errors import ConfigError
from supernet.latency.backends.contract import Backend, Run
from supernet.latency.kit.protocol import (
    MOST,
    Protocol,
    Timing,
    Visit,
    is_settled,
    paired,
    summarise,
)

__all__ = ["LARGE", "SMALL", "Gauge", "Task", "clock_of", "measure_tasks", "statistic_of"]

Clock = Callable[[], int]
Progress = Callable[[int, int, str], None]
Record = Callable[[str, Visit], None]

SMALL, LARGE = "small", "large"
"""Kinds of gauge: an operator, whose weights stay in the core's own cache, and a network,
whose weights come from farther away. Both are of what is measured: beside a neighbour on the
same core a plain convolution took 1.4 times as long, MBConv operators 1.8 to 2.1 times."""
_GAUGE_RUNS = 5  # of a reading outside of a visit
_TRIES = 100  # of a run that seemed to take no time


class Task(NamedTuple):
    """A model to time."""

    key: str
    load: Callable[[], Run]
    gauge: str = SMALL


class Gauge:
    """A model that is timed again and again, to tell how fast the machine is.

    Args:
        run: the model.
        clock: nanoseconds.
        earlier: readings of an earlier part of the same run.
    """

    def __init__(self, run: Run, clock: Clock, earlier: Iterable[float] = ()) -> None:
        self.run, self._clock = run, clock
        self._readings = sorted(earlier)
        for _ in range(5):
            self.read()

    def read(self) -> float:
        """Milliseconds of the model now."""
        times = sorted(_time(self.run, self._clock) for _ in range(_GAUGE_RUNS))
        self.note(times[len(times) // 2])
        return times[len(times) // 2]

    def note(self, ms: float) -> None:
        """Keep a reading."""
        bisect.insort(self._readings, ms)

    @property
    def full_ms(self) -> float:
        """What it takes at full speed.

        One reading in twenty is as fast: the very best may be luck that never comes again.
        """
        return self._readings[len(self._readings) // 20]


def clock_of(backend: Backend) -> Clock:
    """CPU time of this thread where it does all the work, else the time on the wall."""
    fine = time.get_clock_info("thread_time").resolution <= 1e-6  # not on Windows
    return time.thread_time_ns if backend.on_calling_thread and fine else time.perf_counter_ns


def statistic_of(backend: Backend) -> str:
    """What `Protocol.statistic` says of it."""
    on_thread = clock_of(backend) is time.thread_time_ns
    clock = "thread CPU time" if on_thread else "wall time"
    return f"{clock}, median ratio to a gauge run in turn"


def measure_tasks(
    tasks: Sequence[Task],
    gauges: Mapping[str, Run],
    clock: Clock,
    protocol: Protocol,
    *,
    known: Mapping[str, Sequence[Visit]] | None = None,
    record: Record | None = None,
    watch: Callable[[Gauge], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, Timing]:
    """Visit every model until its times agree.

    Args:
        tasks: models with distinct keys.
        gauges: by kind, as loaded as the models are.
        clock: nanoseconds.
        protocol: how often.
        known: visits of an earlier part of the same run, by key.
        record: told every visit as it ends.
        watch: called with the gauge of the first kind before each visit; may wait for a
            machine that has slowed down.
        progress: visits done, visits expected in all, and what is going on.

    Returns:
        What was measured, by key.
    """
    state = _State(tasks, dict(known or {}), gauges, clock, protocol)
    first, seed = next(iter(state.gauges.values())), state.done
    for number in range(protocol.rounds):
        behind = [task for task in state.unsettled() if len(state.visits[task.key]) <= number]
        random.Random(f"{seed} {number}").shuffle(behind)  # noqa: S311  # nothing secret
        for left in range(len(behind) - 1, -1, -1):
            if watch:
                watch(first)
            task = behind[left]
            visit = _visit(task.load(), state.gauges[task.gauge], clock, protocol)
            state.visits[task.key].append(visit)
            if record:
                record(task.key, visit)
            if progress:
                progress(state.done, state.expected(left), f"timing, round {number + 1}")
    return state.timings()


class _State:
    """What was visited, and what is left."""

    def __init__(
        self,
        tasks: Sequence[Task],
        known: Mapping[str, Sequence[Visit]],
        gauges: Mapping[str, Run],
        clock: Clock,
        protocol: Protocol,
    ) -> None:
        self._tasks, self._protocol = tasks, protocol
        self.visits: dict[str, list[Visit]] = {t.key: list(known.get(t.key, ())) for t in tasks}
        self.gauges = {kind: Gauge(run, clock, self._earlier(kind)) for kind, run in gauges.items()}

    def _earlier(self, kind: str) -> list[float]:
        keys = [task.key for task in self._tasks if task.gauge == kind]
        return [visit.gauge_ms for key in keys for visit in self.visits[key]]

    def unsettled(self) -> list[Task]:
        return [t for t in self._tasks if not is_settled(self.visits[t.key], self._protocol)]

    @property
    def done(self) -> int:
        """Visits so far."""
        return sum(map(len, self.visits.values()))

    def expected(self, left: int) -> int:
        """Visits in all if models settle as soon as they may, `left` of them in this round."""
        least = self._protocol.least
        return self.done + max(left, sum(max(0, least - len(v)) for v in self.visits.values()))

    def timings(self) -> dict[str, Timing]:
        return {
            task.key: summarise(self.visits[task.key], self.gauges[task.gauge].full_ms)
            for task in self._tasks
            if self.visits[task.key]
        }


def _time(run: Run, clock: Clock) -> float:
    """Milliseconds of one run.

    The CPU time of a thread may stand still for a moment on a virtual machine: a run that
    seems to take no time was not measured, and is made again.
    """
    for _ in range(_TRIES):
        start = clock()
        run()
        taken = clock() - start
        if taken > 0:
            return taken / 1e6
    raise ConfigError(f"the clock stood still over {_TRIES} runs: this machine cannot be measured")


def _visit(run: Run, gauge: Gauge, clock: Clock, protocol: Protocol) -> Visit:
    usual = 0.0
    for _ in range(max(1, protocol.warmup)):
        usual = _time(run, clock)
    more = int(min(MOST, protocol.visit_ms / max(usual, 1e-6)))
    model_ms: list[float] = []
    gauge_ms = [_time(gauge.run, clock)]
    for _ in range(max(protocol.burst, more)):
        model_ms.append(_time(run, clock))
        gauge_ms.append(_time(gauge.run, clock))
    visit = paired(model_ms, gauge_ms)
    gauge.note(visit.gauge_ms)
    return visit
