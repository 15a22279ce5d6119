"""Limits that cannot be met are refused, and only those: against enumeration."""

from collections.abc import Callable

import numpy as np
import pytest

from supernet.errors import ConfigError, InfeasibleError
from supernet.search import (
    Budget,
    Problem,
    check_limits,
    corners,
    file_size,
    macs,
    params,
    peak_memory,
    run_search,
)
from supernet.search.objective import COSTS, cost_of
from supernet.space import Domain, Genes, Space

Make = Callable[..., Problem]


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("fix", [{}, {"resolution": [24], "stage2.kernel": [5, 7]}])
def test_the_least_cost_is_that_of_all_subnets(
    space: Space, name: str, fix: dict[str, list[float | str]]
):
    domain = Domain.of(space, fix)
    cost = cost_of(name, space)
    values = cost(domain.everything())
    lowest = cost.lowest(domain)
    assert lowest.shape == (1, len(domain.allowed))
    assert domain.contains(lowest).all()
    assert cost(lowest)[0] == values.min()


@pytest.mark.parametrize("name", COSTS)
def test_tables_give_the_cost(space: Space, everything: Genes, name: str):
    cost = cost_of(name, space)
    entries = [
        table[tuple(everything[:, column] for column in columns)] * np.ones(len(everything))
        for columns, table in cost.tables
    ]
    reduced = np.max(entries, axis=0) if cost.peak else np.sum(entries, axis=0) + cost.offset
    np.testing.assert_allclose(cost(everything), reduced)


@pytest.mark.parametrize("seed", range(12))
def test_limits_are_refused_if_and_only_if_nothing_meets_them(
    space: Space, everything: Genes, problem: Make, seed: int
):
    rng = np.random.default_rng(seed)
    costs = [macs(space), params(space), peak_memory(space), file_size(space)]
    values = {cost.name: cost(everything) for cost in costs}
    limits = {n: float(np.quantile(v, rng.uniform(0, 0.25))) for n, v in values.items()}
    possible = np.all([values[name] <= limit for name, limit in limits.items()], axis=0).any()
    asked = problem(others=(params(space), *costs[2:]), limits=limits)
    if possible:
        check_limits(asked)
        found = run_search(asked, budget=Budget(scored=1920))
        assert all(found.figures(found.best())[n] <= limit for n, limit in limits.items())
    else:  # refuted at once, or by having looked at everything
        with pytest.raises(InfeasibleError):
            run_search(asked, budget=Budget(scored=1920))


def test_limits_that_only_together_are_impossible_name_the_tight_one(
    space: Space, everything: Genes, problem: Make
):
    """The stem's width costs both; the fewest parameters need few, the least work as well."""
    work, values = macs(space)(everything), params(space)(everything)
    both = Domain.of(space, {"resolution": [24]})
    inside = both.contains(everything)
    limits = {"macs": float(work[inside].min()), "params": float(values[inside].min())}
    meets = (work <= limits["macs"]) & (values <= limits["params"]) & inside
    asked = problem(domain=both, limits=limits)
    if meets.any():
        check_limits(asked)
        return
    with pytest.raises(InfeasibleError, match="meets all limits together") as caught:
        check_limits(asked)
    assert "the tight limit is" in caught.value.hint


def test_a_refusal_names_the_nearest_subnet_and_the_way_out(space: Space, problem: Make):
    with pytest.raises(InfeasibleError, match=r"has macs within 100; the least is .*: 16px") as e:
        check_limits(problem(limits={"macs": 100.0}))
    limit = float(e.value.hint.removeprefix("ask for at least "))
    check_limits(problem(limits={"macs": limit}))


def test_a_search_begins_with_the_corners(space: Space, everything: Genes, problem: Make):
    found = {row.tobytes() for row in corners(problem())}
    least = everything[macs(space)(everything).argmin()]
    assert least.tobytes() in found
    assert Domain.of(space).largest()[0].tobytes() in found


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"limits": {"power": 1.0}}, "unknown objective 'power'"),
        ({"limits": {"macs": -1.0}}, "macs: must be above 0 and finite, found -1"),
        ({"limits": {"macs": float("inf")}}, "macs: must be above 0 and finite, found inf"),
    ],
)
def test_wrong_limits(problem: Make, options: dict[str, object], text: str):
    with pytest.raises(ConfigError, match=text):
        problem(**options)
