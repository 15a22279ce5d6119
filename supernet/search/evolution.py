"""Multi-objective evolution over whole populations (NSGA-II, Deb et al. 2002).

Predictions cost microseconds, so every subnet that was ever looked at is kept: the
front and the answer under the limit are taken from all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, InfeasibleError
from supernet.progress import Progress, silent
from supernet.search.pareto import crowding, front_rank, pareto_front
from supernet.space import (
    Genes,
    Space,
    crossover,
    decode,
    largest,
    mutate,
    neighbours,
    sample,
    smallest,
    unique,
)

__all__ = ["Evolution", "Found", "Latency", "check_limit", "random_of_latency", "search"]

Values = npt.NDArray[np.float64]
Objective = Callable[[Genes], Values]


class Latency(Protocol):
    """Latencies of the subnets of one space; `LatencyPredictor` is one."""

    def ms(self, genes: Genes) -> Values:
        """Milliseconds of a population ``(N, G)``, shape ``(N,)``; asked every generation."""

    def fastest(self) -> Genes:
        """The subnet of the least latency, shape ``(1, G)``; asked before a search.

        A limit that it does not meet is refused.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """How long and how broadly to search."""

    population: int = 256
    """Subnets of a generation."""
    generations: int = 60
    """Each makes as many children as the population has members."""
    mutation: float = 0.1
    """Chance of each gene of a mutated child to change."""

    def __post_init__(self) -> None:
        if self.population < 8 or self.generations < 1 or not 0 < self.mutation <= 1:
            raise ConfigError(
                "a search needs population >= 8, generations >= 1 and 0 < mutation <= 1, "
                f"found {self.population}, {self.generations} and {self.mutation}"
            )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Found:
    """Every subnet that was looked at, and the best ones among them."""

    genes: Genes
    """Shape ``(N, G)``, in the order of the search."""
    top1: Values
    """Predicted percent, shape ``(N,)``."""
    latency_ms: Values
    """Predicted, shape ``(N,)``."""
    front: npt.NDArray[np.int64]
    """Indices of the Pareto front, fastest first."""
    best: int
    """Index of the most accurate subnet within the limit."""


def search(
    space: Space,
    *,
    top1: Objective,
    latency: Latency,
    max_latency_ms: float | None = None,
    evolution: Evolution | None = None,
    start: Genes | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Found:
    """Find the front of accuracy and latency, and the best subnet under a limit.

    Args:
        space: where to search.
        top1: predicts percent for a population ``(N, G)``.
        latency: predicts milliseconds, and knows the fastest subnet.
        max_latency_ms: limit for the answer; without it the most accurate is taken.
        evolution: how long to search.
        start: subnets to begin with beside random ones, shape ``(N, G)``.
        seed: of every random choice.
        progress: told about every generation.

    Raises:
        InfeasibleError: nothing meets the limit; names the fastest subnet.
        ConfigError: the limit is not a positive number.
    """
    evolution = evolution or Evolution()
    rng = np.random.default_rng(seed)
    if max_latency_ms is not None:
        check_limit(space, latency, max_latency_ms)
    first = [latency.fastest(), smallest(space), largest(space)]
    first += [] if start is None else [start]
    seen = unique(np.concatenate([*first, sample(space, evolution.population, rng)]))
    scores = np.stack([top1(seen), latency.ms(seen)])
    parents = np.arange(len(seen))
    for generation in range(evolution.generations):
        accuracy, ms = scores[:, parents]
        rank = front_rank(accuracy, ms)
        distance = crowding(accuracy, ms, rank)
        order = np.lexsort((-distance, rank))[: evolution.population]
        parents = parents[order]
        children = _children(space, seen[parents], evolution, rng)
        merged = unique(np.concatenate([seen, children]))
        new = merged[len(seen) :]
        scores = np.concatenate([scores, np.stack([top1(new), latency.ms(new)])], axis=1)
        parents = np.concatenate([parents, np.arange(len(seen), len(merged))])
        seen = merged
        progress(generation + 1, evolution.generations, "searching")
    return _refined(space, seen, scores, top1, latency, max_latency_ms)


def _children(
    space: Space, parents: Genes, evolution: Evolution, rng: np.random.Generator
) -> Genes:
    """As many as the population: half mutants, half crossed and lightly mutated."""
    half = evolution.population // 2
    # two drawn, the better one taken: parents are sorted best first
    first, second = np.minimum(*rng.integers(0, len(parents), size=(2, 2, half)))
    mutants = mutate(space, parents[first], evolution.mutation, rng)
    crossed = crossover(space, parents[first], parents[second], rng)
    return np.concatenate([mutants, mutate(space, crossed, evolution.mutation / 4, rng)])


def _refined(
    space: Space,
    seen: Genes,
    scores: Values,
    top1: Objective,
    latency: Latency,
    limit: float | None,
) -> Found:
    """Climb from the best subnet under the limit to neighbours until none is better."""
    while True:
        allowed = np.flatnonzero(scores[1] <= (np.inf if limit is None else limit))
        best = int(allowed[scores[0][allowed].argmax()])
        merged = unique(np.concatenate([seen, neighbours(space, seen[best : best + 1])]))
        new = merged[len(seen) :]
        if not len(new):
            break
        scores = np.concatenate([scores, np.stack([top1(new), latency.ms(new)])], axis=1)
        seen = merged
    front = pareto_front(scores[0], scores[1])
    return Found(genes=seen, top1=scores[0], latency_ms=scores[1], front=front, best=best)


def check_limit(space: Space, latency: Latency, limit: float) -> None:
    """Refuse a limit in milliseconds that no subnet meets, naming the fastest one.

    Raises:
        InfeasibleError: nothing is that fast.
        ConfigError: the limit is not a positive number.
    """
    if not 0 < limit < np.inf:
        raise ConfigError(f"the latency limit must be above 0 ms and finite, found {limit:g}")
    fastest = latency.fastest()
    least = float(latency.ms(fastest)[0])
    if least > limit:
        raise InfeasibleError(
            f"no subnet of space {space.name!r} runs in {limit:g} ms; "
            f"the fastest found takes {least:.3g} ms: {decode(space, fastest)[0]}",
            hint=f"ask for at least {_rounded_up(least):g} ms",
        )


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(np.ceil(value / unit) * unit)


def random_of_latency(
    space: Space,
    latency_ms: Objective,
    wanted_ms: float,
    count: int,
    *,
    tolerance: float = 0.05,
    seed: int = 0,
) -> Genes:
    """Up to `count` random subnets within `tolerance` of a latency, shape ``(n, G)``."""
    rng = np.random.default_rng(seed)
    found = sample(space, 0, rng)
    for _ in range(100):
        genes = sample(space, 20000, rng)
        near = np.abs(latency_ms(genes) / wanted_ms - 1) <= tolerance
        found = unique(np.concatenate([found, genes[near]]))
        if len(found) >= count:
            break
    return found[:count]
