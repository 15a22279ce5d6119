"""The only loop of a search: ask, score what is new, tell, until the budget is spent."""

import numpy as np

from supernet.errors import ConfigError
from supernet.progress import Progress, silent
from supernet.search.archive import Archive
from supernet.search.clock import Clock
from supernet.search.contract import Algorithm, Factory, Start
from supernet.search.measuring import drive_measured
from supernet.search.pareto import Index
from supernet.search.problem import Problem
from supernet.space import Genes

__all__ = ["IDLE", "drive"]

_BATCH = 2000  # subnets asked for at a time
IDLE = 40
"""Asks without anything new after which a search ends."""


def drive(
    factory: Factory,
    start: Start,
    *,
    seconds: float = np.inf,
    again: int = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> bool:
    """Let a new algorithm spend its budget; what it scores is in the archive of `start`.

    Args:
        factory: makes the algorithm.
        start: what it begins with.
        seconds: wall time, at most.
        again: subnets that a search which was stopped had scored; their time does not count.
        workers: measurements at the same time, where something is measured.
        progress: told about every batch.

    Returns:
        Whether it ended by itself: False where the time was up.

    Raises:
        ConfigError: the factory makes something else.
    """
    clock = Clock(seconds, again, len(start.genes))
    algorithm = factory(start)
    missing = [name for name in ("ask", "tell") if not callable(getattr(algorithm, name, None))]
    if missing:
        raise ConfigError(
            f"algorithm: the factory must make what has {' and '.join(missing)}, found "
            f"{type(algorithm).__name__}",
            hint="see supernet.search.Algorithm",
        )
    if start.problem.measures:
        return drive_measured(
            algorithm, start, clock=clock, workers=workers, idle=IDLE, progress=progress
        )
    return _drive_predicted(algorithm, start, clock, progress)


def _drive_predicted(algorithm: Algorithm, start: Start, clock: Clock, progress: Progress) -> bool:
    """Whole populations at a time, as arrays."""
    problem, archive = start.problem, start.archive
    most, idle = min(start.budget, problem.domain.count), 0
    while len(archive) < most and idle < IDLE:
        known = len(archive)
        asked = algorithm.ask(min(_BATCH, most - known)).genes[: most - known]
        if not len(asked):
            break
        index = _score(problem, archive, asked)
        progress(len(archive), most, "searching")
        if clock.is_up(archive) and len(archive) < most:
            return False
        algorithm.tell(archive.at(index))
        idle = 0 if len(archive) > known else idle + 1
    return True


def _score(problem: Problem, archive: Archive, asked: Genes) -> Index:
    """Score the new ones among the candidates; where all of them are in the archive."""
    known = len(archive)
    index = archive.admit(asked)
    genes = archive.genes[known:]
    columns = problem.cheap(genes)
    violation = problem.violation(columns, len(genes))
    archive.fill(slice(known, len(archive)), columns, violation)
    return index
