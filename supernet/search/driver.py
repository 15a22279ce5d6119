"""A search: limits are checked, an algorithm is made and driven, the result kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from supernet.arguments import checked, number, whole
from supernet.errors import ConfigError
from supernet.memory import keep_freed_memory
from supernet.progress import Progress, silent
from supernet.search.archive import Archive
from supernet.search.contract import Factory, Start
from supernet.search.limits import check_limits, corners
from supernet.search.loop import drive
from supernet.search.problem import Problem
from supernet.search.registry import algorithm, suited
from supernet.search.result import SearchResult
from supernet.space import Genes
from supernet.threads import products_alone_if_busy

__all__ = ["Budget", "run_search", "searched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a search ends: at whichever comes first."""

    scored: int = 60_000
    """Different subnets; of a ladder, whole measurements or as much work."""
    seconds: float = np.inf
    """Wall time. A search that ends by it is not the same twice."""

    def __post_init__(self) -> None:
        given = {"scored": self.scored, "seconds": self.seconds}
        checked(given, {"scored": whole(-1), "seconds": number()})
        if self.scored < 1 or not self.seconds > 0:
            raise ConfigError(
                "a budget needs at least 1 scored subnet and more than 0 seconds, found "
                f"{self.scored} and {self.seconds}"
            )


def run_search(  # noqa: PLR0913  # what a search is made of
    problem: Problem,
    *,
    factory: Factory | None = None,
    budget: Budget | None = None,
    start: Genes | None = None,
    given: Genes | None = None,
    seed: int = 0,
    again: int = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> SearchResult:
    """Score subnets until the budget is spent.

    Args:
        problem: what is searched for.
        factory: makes the algorithm; that which suits the problem when not given.
        budget: when to end.
        start: subnets to begin with, beside the corners of the domain; shape ``(N, G)``.
        given: likewise, of the user: what `netadapt` shrinks.
        seed: of every random choice; the same seed gives the same result.
        again: subnets that the same search had scored before its time was up; scoring them
            again takes none of the budget's.
        workers: measurements at the same time; with as many, a seed gives the same result.
        progress: told about every batch.

    Raises:
        InfeasibleError: nothing meets the limits; names the nearest subnet and the limit
            that is tight.
    """
    checked({"seed": seed, "workers": workers}, {"seed": whole(0, np.inf), "workers": whole(1)})
    budget = budget or Budget()
    chosen = factory or algorithm(suited(problem, budget.scored, budget.seconds)).factory

    def drive_algorithm(begin: Start) -> bool:
        return drive(
            chosen,
            begin,
            seconds=budget.seconds,
            again=again,
            workers=workers,
            progress=progress,
        )

    return searched(problem, drive_algorithm, budget=budget, start=start, given=given, seed=seed)


def searched(
    problem: Problem,
    drive_it: Callable[[Start], bool],
    *,
    budget: Budget,
    start: Genes | None = None,
    given: Genes | None = None,
    seed: int = 0,
) -> SearchResult:
    """What a search finds, whatever drives it.

    Args:
        problem: what is searched for.
        drive_it: spends the budget and keeps what it scores in the archive; whether it ended by
            itself, and not since the time was up.
        budget: when to end.
        start: as of `run_search`.
        given: as of `run_search`.
        seed: as of `run_search`.

    Raises:
        InfeasibleError: as `run_search`.
    """
    begun = time.perf_counter()
    keep_freed_memory()
    check_limits(problem)
    named = problem.domain.canonical(corners(problem)[:0] if given is None else given)
    first = [named, corners(problem), *([] if start is None else [problem.domain.canonical(start)])]
    archive = Archive(problem)
    start_with = Start(
        problem=problem,
        rng=np.random.default_rng(seed),
        budget=budget.scored if problem.ladder else min(budget.scored, problem.domain.count),
        genes=np.concatenate(first),
        given=named,
        archive=archive,
    )
    with products_alone_if_busy():
        complete = drive_it(start_with)
    everything = archive.at(np.arange(len(archive)))
    seconds = time.perf_counter() - begun
    return SearchResult.of(problem, everything, seconds=seconds, complete=complete)
