"""The only loop of a search: ask, score what is new, tell, until the budget is spent."""

import time

import numpy as np

from supernet.progress import Progress, silent
from supernet.search.archive import Archive
from supernet.search.contract import Algorithm, Candidates, Factory, Start
from supernet.search.problem import Problem

__all__ = ["drive"]

_BATCH = 2000  # subnets asked for at a time
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
    begun = time.perf_counter()
    algorithm, problem, archive = factory(start), start.problem, start.archive
    most = min(start.budget, problem.domain.count)
    idle = 0
    while len(archive) < most and idle < _IDLE:
        known = len(archive)
        asked = algorithm.ask(min(_BATCH, most - known))
        if not len(asked.genes):
            break
        _score(problem, archive, algorithm, asked, most)
        idle = 0 if len(archive) > known else idle + 1
        progress(len(archive), most, "searching")
        if len(archive) <= again:
            begun = time.perf_counter()
        elif time.perf_counter() - begun > seconds:
            return len(archive) >= most
    return True


def _score(
    problem: Problem, archive: Archive, algorithm: Algorithm, asked: Candidates, most: int
) -> None:
    """Score the new ones among the candidates, and tell the algorithm of all it asked."""
    known = len(archive)
    index = archive.admit(asked.genes[: most - known])
    genes = archive.genes[known:]
    columns = problem.cheap(genes)
    violation = problem.violation(columns)
    for objective in problem.columns:
        if objective.measured:  # only where all that is known for nothing is within the limits
            values = np.full(len(genes), np.nan)
            within = violation <= 0
            values[within] = objective(genes[within])
            columns[objective.name] = values
            violation = problem.violation(columns)
    archive.fill(slice(known, len(archive)), columns, violation)
    algorithm.tell(archive.at(index))
