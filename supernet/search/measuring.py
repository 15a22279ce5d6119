"""The loop where figures are measured: one candidate at a time, or as many as there are workers.

Results are told in the order in which they were asked for, whichever is there first. So a seed
gives the same search again with as many workers, and none of them waits for a slow one: twice
as many candidates as workers are on their way.
"""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from supernet.progress import Progress
from supernet.search.clock import Clock
from supernet.search.contract import Algorithm, Candidates, Start
from supernet.search.objective import Objective, Values
from supernet.search.pareto import Index
from supernet.search.problem import Problem
from supernet.space import Genes

__all__ = ["drive_measured"]

_AHEAD = 2  # candidates on their way for each worker
_FRUITLESS = 10_000  # candidates in a row that break limits, after which a search ends
_ROUNDING = 1e-9  # of costs that are added up


def drive_measured(
    algorithm: Algorithm,
    start: Start,
    *,
    clock: Clock,
    workers: int,
    idle: int,
    progress: Progress,
) -> bool:
    """Let an algorithm spend its budget; see `supernet.search.loop.drive`.

    Args:
        algorithm: chooses.
        start: what it began with.
        clock: of the search.
        workers: measurements at the same time, each in a thread that waits for it.
        idle: asks without anything new after which the search ends.
        progress: told about every measurement.
    """
    if workers == 1:
        return _Measuring(algorithm, start, idle).run(clock, progress)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="measuring")

    def begin(measure: _Measure) -> _Measure:
        return pool.submit(measure).result

    try:
        measuring = _Measuring(algorithm, start, idle, begin, ahead=_AHEAD * workers)
        complete = measuring.run(clock, progress)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # who made the problem ends its work
        raise
    pool.shutdown(cancel_futures=True)
    return complete


_Measure = Callable[[], Mapping[str, Values]]  # gives figures, or waits for them


class _One(NamedTuple):
    """A candidate."""

    genes: Genes
    """Shape ``(1, G)``."""
    rung: int
    beyond: bool
    known: Mapping[str, Values]
    """Figures that need not be measured, each of shape ``(1,)``."""


class _Waiting(NamedTuple):
    """A candidate on its way."""

    place: Index
    """In the archive, shape ``(1,)``."""
    figures: _Measure


class _Measuring:
    """Candidates from being asked for to being told.

    Args:
        algorithm: chooses.
        start: what it began with.
        idle: asks without anything new after which the search ends.
        begin: begins a measurement, and gives what waits for its figures.
        ahead: candidates on their way.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        start: Start,
        idle: int,
        begin: Callable[[_Measure], _Measure] = lambda measure: measure,
        ahead: int = 1,
    ) -> None:
        self._algorithm, self._problem, self._archive = algorithm, start.problem, start.archive
        self._most, self._idle = float(start.budget), idle
        self._begin, self._ahead = begin, ahead
        self._costs = start.problem.costs()
        self._asked: deque[_One] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._measured: set[tuple[int, int]] = set()
        self._spent, self._nothing_new, self._fruitless = 0.0, 0, 0
        self._new = True  # whether anything was that the last ask gave

    def run(self, clock: Clock, progress: Progress) -> bool:
        """Until the budget is spent or the algorithm has nothing to ask; else False."""
        most = max(1, round(self._most))
        while True:
            while len(self._waiting) < self._ahead and self._send():
                pass
            if not self._waiting:
                return True
            self._tell(self._waiting.popleft())
            progress(min(most, round(self._spent)), most, "evaluating subnets")
            if clock.is_up(self._archive) and self._left():
                return False

    def _left(self) -> bool:
        """Whether there is still something to spend."""
        fruitful = self._nothing_new < self._idle and self._fruitless < _FRUITLESS
        return self._spent < self._most - _ROUNDING and fruitful

    def _send(self) -> bool:
        """Begin with the next candidate; whether there was one."""
        if not self._left():
            return False
        if not self._asked:
            self._nothing_new = 0 if self._new else self._nothing_new + 1
            self._new = False
            self._asked.extend(_ones(self._algorithm.ask(1), len(self._costs) - 1))
        if not self._asked or not self._affordable(self._asked[0]):
            return False
        one = self._asked.popleft()
        index = self._admitted(one.genes)
        tried = int(index[0]), one.rung
        known = tried in self._measured
        self._new |= not known
        self._measured.add(tried)
        breaks = not one.beyond and bool(self._archive.violation[index[0]] > 0)
        self._fruitless = self._fruitless + 1 if breaks else 0
        if known or breaks:  # neither costs a measurement
            self._waiting.append(_Waiting(index, dict))
            return True
        self._spent += float(self._costs[one.rung])
        columns = dict(self._archive.at(index).columns)
        self._waiting.append(
            _Waiting(index, self._begin(lambda: _figures(self._problem, one, columns)))
        )
        return True

    def _affordable(self, one: _One) -> bool:
        return bool(self._spent + self._costs[one.rung] <= self._most + _ROUNDING)

    def _admitted(self, genes: Genes) -> Index:
        """Where a candidate is in the archive; a new one with what is known for nothing."""
        known = len(self._archive)
        index = self._archive.admit(genes)
        if len(self._archive) > known:
            columns = {o.name: np.full(1, np.nan) for o in self._problem.columns}
            columns |= self._problem.cheap(genes)
            self._archive.fill(index, columns, self._problem.violation(columns))
        return index

    def _tell(self, waiting: _Waiting) -> None:
        found = waiting.figures()
        index = waiting.place
        if found:
            columns = {**self._archive.at(index).columns, **found}
            self._archive.fill(index, columns, self._problem.violation(columns))
        self._algorithm.tell(self._archive.at(index))


def _ones(asked: Candidates, whole: int) -> list[_One]:
    rungs = [whole] * len(asked.genes) if asked.rung is None else asked.rung.tolist()
    ones = []
    for number, rung in enumerate(rungs):
        figures = {name: values[[number]] for name, values in asked.known.items()}
        known = {name: value for name, value in figures.items() if np.isfinite(value[0])}
        ones.append(_One(asked.genes[[number]], rung, asked.beyond, known))
    return ones


def _figures(problem: Problem, one: _One, columns: Mapping[str, Values]) -> dict[str, Values]:
    """What is measured of a candidate, NaN where a limit is broken; by name, ``(1,)``."""
    asked: tuple[Objective, ...] = problem.ladder[one.rung : one.rung + 1]
    asked = asked or (*problem.objectives, *problem.others)
    found: dict[str, Values] = {}
    for objective in (each for each in asked if each.measured):
        if objective.name in one.known:
            found[objective.name] = one.known[objective.name]
            continue
        within = one.beyond or problem.violation({**columns, **found}, 1)[0] <= 0
        found[objective.name] = objective(one.genes) if within else np.full(1, np.nan)
    return found
