"""The only loop of a search: ask, score what is new, tell, until the budget is spent."""

import time
from dataclasses import dataclass

import numpy as np

from supernet.errors import ConfigError
from supernet.progress import Progress, silent
from supernet.search.archive import Archive
from supernet.search.contract import Algorithm, Candidates, Factory, Start
from supernet.search.limits import check_limits, corners
from supernet.search.problem import Problem
from supernet.search.registry import DEFAULT, algorithm
from supernet.search.result import SearchResult
from supernet.space import Genes

__all__ = ["Budget", "run_search"]

_BATCH = 2000  # subnets asked for at a time
_IDLE = 40  # asks without anything new after which a search ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a search ends: at whichever comes first."""

    scored: int = 60_000
    """Different subnets."""
    seconds: float = np.inf
    """Wall time. A search that ends by it is not the same twice."""

    def __post_init__(self) -> None:
        if self.scored < 1 or not self.seconds > 0:
            raise ConfigError(
                "a budget needs at least 1 scored subnet and more than 0 seconds, found "
                f"{self.scored} and {self.seconds}"
            )


def run_search(
    problem: Problem,
    *,
    factory: Factory | None = None,
    budget: Budget | None = None,
    start: Genes | None = None,
    seed: int = 0,
    batch: int = _BATCH,
    progress: Progress = silent,
) -> SearchResult:
    """Score subnets until the budget is spent.

    Args:
        problem: what is searched for.
        factory: makes the algorithm; that of the default when not given.
        budget: when to end.
        start: subnets to begin with, beside the corners of the domain; shape ``(N, G)``.
        seed: of every random choice; the same seed gives the same result.
        batch: subnets to ask for at a time.
        progress: told about every batch.

    Raises:
        InfeasibleError: nothing meets the limits; names the nearest subnet and the limit
            that is tight.
    """
    begun = time.perf_counter()
    budget = budget or Budget()
    check_limits(problem)
    first = [corners(problem)] + ([] if start is None else [problem.domain.canonical(start)])
    archive = Archive(problem)
    scored = min(budget.scored, problem.domain.count)
    chosen = (factory or algorithm(DEFAULT).factory)(
        Start(
            problem=problem,
            rng=np.random.default_rng(seed),
            budget=scored,
            genes=np.concatenate(first),
        )
    )
    idle = 0
    while len(archive) < scored and idle < _IDLE:
        known = len(archive)
        asked = chosen.ask(min(batch, scored - known))
        if not len(asked.genes):
            break
        _score(problem, archive, chosen, asked, scored)
        idle = 0 if len(archive) > known else idle + 1
        progress(len(archive), scored, "searching")
        if time.perf_counter() - begun > budget.seconds:
            break
    seconds = time.perf_counter() - begun
    return SearchResult.of(problem, archive.at(np.arange(len(archive))), seconds=seconds)


def _score(
    problem: Problem, archive: Archive, chosen: Algorithm, asked: Candidates, most: int
) -> None:
    """Score the new ones among the candidates, and tell the algorithm of all it asked."""
    known = len(archive)
    index = archive.admit(asked.genes[: most - known])
    genes = archive.genes[known:]
    columns = problem.cheap(genes)
    violation = problem.violation(columns)
    for objective in problem.columns:
        if objective.measured:
            values = np.full(len(genes), np.nan)
            within = violation <= 0
            values[within] = objective(genes[within])
            columns[objective.name] = values
    archive.fill(slice(known, len(archive)), columns, problem.violation(columns))
    chosen.tell(archive.at(index))
