"""One network instead of a supernet: the largest of a space that devices run fast enough.

Size needs no training and is the plainest guess at what a network reaches by it; cleverer guesses
without training are seldom better (NAS-Bench-Suite-Zero, arXiv:2210.03230).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supernet.errors import ConfigError
from supernet.latency import LatencyTable
from supernet.progress import Progress, silent
from supernet.search import Accuracy, SearchResult, check_limits, macs, run_search
from supernet.search.setup import problem_of, tables_of
from supernet.space import Space, Subnet, macs_of, params_of
from supernet.workflow.quality import standalone_space
from supernet.workflow.subnet_files import predicted_latency

__all__ = ["Largest", "largest_within", "search_by_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The network, and what is known of it."""

    space: Space
    """Whose only subnet it is."""
    subnet: Subnet
    """As the space that it was chosen from names it."""
    macs: int
    params: int
    latencies: Mapping[str, Mapping[str, float]]
    """By target: ``latency_ms``, and its interval where networks were held out."""


def largest_within(
    space: Space,
    targets: Sequence[str],
    limits: Mapping[str, float],
    *,
    fix: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Largest:
    """The subnet with the most multiply-adds within limits, as a space of its own.

    Args:
        space: to choose from.
        targets: names or tables of devices.
        limits: the most that is allowed, by cost; ``latency`` will do where there is one target.
        fix: choices that are left, by dimension (see `supernet.space.Domain.of`).
        seed: of the search.
        progress: told about measuring this machine.

    Raises:
        ConfigError: no limit, or an unknown target, cost or dimension.
        InfeasibleError: nothing meets the limits; names the nearest.
    """
    if not limits:
        raise ConfigError(
            "limits: without one, the largest subnet is the space's own",
            hint="say what is allowed: --max-latency-ms MS",
        )
    tables = tables_of(space, targets, progress=progress)
    result = search_by_size(space, tables, limits=limits, fix=fix, seed=seed)
    best = result.best()
    genes, subnet = result.genes[[best]], result.subnet(best)
    return Largest(
        space=standalone_space(space, subnet, dropout=space.head.dropout),
        subnet=subnet,
        macs=int(macs_of(space, genes)[0]),
        params=int(params_of(space, genes)[0]),
        latencies={name: predicted_latency(table, space, genes) for name, table in tables.items()},
    )


def search_by_size(
    space: Space,
    tables: Mapping[str, LatencyTable],
    *,
    limits: Mapping[str, float] | None = None,
    fix: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
) -> SearchResult:
    """A search in which multiply-adds stand for the accuracy; the arguments of `largest_within`.

    Without limits, for the whole front of size and latencies.

    Raises:
        ConfigError: an unknown cost or dimension.
        InfeasibleError: nothing meets the limits; names the nearest.
    """
    size = Accuracy(function=macs(space), name="size", unit="multiply-adds")
    problem = problem_of(space, tables, size, limits=limits, fix=fix)
    check_limits(problem)
    return run_search(problem, seed=seed)
