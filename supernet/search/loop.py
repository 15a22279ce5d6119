"""The only loop of a search: ask, score what is new, tell, until the budget is spent."""

import time
from collections.abc import Iterator

import numpy as np

from supernet.progress import Progress, silent
from supernet.search.archive import Archive
from supernet.search.contract import Factory, Start
from supernet.search.pareto import Index
from supernet.search.problem import Problem
from supernet.space import Genes

__all__ = ["drive"]

_BATCH = 2000  # subnets asked for at a time; of measured ones one, so that each is learned from
_IDLE = 40  # asks without anything new after which a search ends


def drive(
    factory: Factory,
    start: Start,
    *,
    seconds: float = np.inf,
    again: int = 0,
    progress: Progress = silent,
) -> bool:
    """Let a new algorithm spend its budget; what it scores is in the archive of `start`.

    Args:
        factory: makes the algorithm.
        start: what it begins with.
        seconds: wall time, at most.
        again: subnets that a search which was stopped had scored; their time does not count.
        progress: told about every batch.

    Returns:
        Whether it ended by itself: False where the time was up.
    """
    clock = _Clock(seconds, again, len(start.genes))
    algorithm, problem, archive = factory(start), start.problem, start.archive
    most = min(start.budget, problem.domain.count)
    idle, batch = 0, 1 if problem.measures else _BATCH
    while len(archive) < most and idle < _IDLE:
        known = len(archive)
        asked = algorithm.ask(min(batch, most - known)).genes[: most - known]
        if not len(asked):
            break
        index: list[Index] = []
        for part in clock.parts(asked, archive, measured=problem.measures):
            index.append(_score(problem, archive, part))
            progress(len(archive), most, "searching")
            if clock.is_up(archive) and len(archive) < most:
                return False
        algorithm.tell(archive.at(np.concatenate(index)))
        idle = 0 if len(archive) > known else idle + 1
    return True


class _Clock:
    """The wall time of a search; what an earlier one had scored takes none.

    Args:
        seconds: until the time is up.
        again: subnets that had been scored before.
        least: subnets that are scored in any case.
    """

    def __init__(self, seconds: float, again: int, least: int) -> None:
        self._seconds, self._again, self._least = seconds, again, least
        self._begun, self._known = time.perf_counter(), 0

    def is_up(self, archive: Archive) -> bool:
        """Whether the time is spent, never before the subnets to begin with are scored."""
        if len(archive) <= self._again:
            self._begun, self._known = time.perf_counter(), len(archive)
            return False
        if len(archive) < self._least:
            return False
        return time.perf_counter() - self._begun > self._seconds

    def parts(self, genes: Genes, archive: Archive, *, measured: bool) -> Iterator[Genes]:
        """All subnets at once; where they are measured against the time, a few, then more.

        A part takes a quarter of the time that is left, and is at most twice the last one.
        """
        if not (measured and np.isfinite(self._seconds)):
            yield genes
            return
        size = 1
        while len(genes):
            yield genes[:size]
            genes = genes[size:]
            spent, done = time.perf_counter() - self._begun, len(archive) - self._known
            left = self._again - len(archive)
            if left <= 0:
                left = int((self._seconds - spent) / 4 * done / spent)
            size = max(1, min(2 * size, left))


def _score(problem: Problem, archive: Archive, asked: Genes) -> Index:
    """Score the new ones among the candidates; where all of them are in the archive."""
    known = len(archive)
    index = archive.admit(asked)
    genes = archive.genes[known:]
    columns = problem.cheap(genes)
    violation = problem.violation(columns, len(genes))
    for objective in problem.columns:
        if objective.measured:  # only where all that is known for nothing is within the limits
            values = np.full(len(genes), np.nan)
            within = violation <= 0
            values[within] = objective(genes[within])
            columns[objective.name] = values
            violation = problem.violation(columns)
    archive.fill(slice(known, len(archive)), columns, violation)
    return index
