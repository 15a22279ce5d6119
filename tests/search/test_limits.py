"""Costs, their extremes and limits against an enumeration of every subnet."""

from collections.abc import Mapping

import numpy as np
import pytest

from supernet.errors import ConfigError, InfeasibleError
from supernet.latency import load_target
from supernet.search import Budget, Cost, Problem, check_limits, corners, latency, run_search
from supernet.search.objective import COSTS, total
from supernet.space import Domain, Head, Space, Stage, Stem, load_space

SPACE = Space(
    name="countable",
    resolutions=(16, 24),
    stem=Stem(width=(8, 16)),
    stages=(
        Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5), expand=(2.0, 3.0)),
        Stage(width=(16, 24), depth=(1,), kernel=(3, 5, 7), expand=(3.0, 4.0)),
    ),
    head=Head(),
)
FIXES: list[dict[str, list[float | str]]] = [
    {},
    {"resolution": [24], "stage1.depth": [2]},
    {"stage2.kernel": [5, 7], "stage1.kernel": [5]},
]


@pytest.fixture(scope="module")
def costs() -> Mapping[str, Cost]:
    return {name: make(SPACE) for name, make in COSTS.items()}


def value(cost: Cost, domain: Domain) -> np.ndarray:
    return cost(domain.everything())


@pytest.mark.parametrize("fix", FIXES)
@pytest.mark.parametrize("name", COSTS)
def test_the_lowest_cost_is_that_of_an_enumeration(
    costs: Mapping[str, Cost], name: str, fix: dict[str, list[float | str]]
) -> None:
    domain, cost = Domain.of(SPACE, fix), costs[name]
    lowest = cost.lowest(domain)
    assert domain.contains(lowest).all()
    assert cost(lowest)[0] == pytest.approx(value(cost, domain).min(), rel=1e-12)
    peak, everything = costs["peak_memory"], domain.everything()
    limit = float(np.median(peak(everything)))
    banned = cost.lowest(domain, peak.bans(limit))
    within = everything[peak(everything) <= limit]
    assert peak(banned)[0] <= limit
    assert cost(banned)[0] == pytest.approx(cost(within).min(), rel=1e-12)


@pytest.mark.parametrize("name", COSTS)
def test_a_cost_is_the_sum_or_the_largest_of_its_tables(
    costs: Mapping[str, Cost], name: str
) -> None:
    cost, genes = costs[name], Domain.of(SPACE).everything()
    found = cost(genes)
    assert found.shape == (len(genes),)
    if cost.peak:
        each = [table[tuple(genes[:, c] for c in columns)] for columns, table in cost.tables]
        assert (found == np.max(np.broadcast_arrays(*each), axis=0)).all()
    else:
        np.testing.assert_allclose(found, total(genes, cost.tables) + cost.offset, rtol=1e-12)


def test_tables_of_a_target_bound_its_latencies_from_below(rng: np.random.Generator) -> None:
    space = load_space("mobilenet_v3")
    domain = Domain.of(space)
    cost = latency("mobile_cpu", load_target("mobile_cpu").predictor(space))
    genes = domain.sample_spread(2000, rng)
    assert (total(genes, cost.tables) + cost.offset <= cost(genes) * (1 + 1e-9)).all()
    assert cost(cost.lowest(domain))[0] <= cost(genes).min()


@pytest.mark.parametrize("seed", range(40))
def test_limits_are_refused_only_where_an_enumeration_finds_nothing(
    costs: Mapping[str, Cost], seed: int
) -> None:
    """What is not refused and has no answer either ends with the search."""
    rng = np.random.default_rng(seed)
    domain = Domain.of(SPACE, FIXES[seed % len(FIXES)])
    names = rng.choice([*COSTS], size=rng.integers(1, 4), replace=False).tolist()
    limits = {n: float(np.quantile(value(costs[n], domain), rng.uniform(0, 0.25))) for n in names}
    problem = Problem(domain=domain, objectives=tuple(costs[n] for n in names), limits=limits)
    keeps = [value(costs[n], domain) <= limit * (1 + 1e-12) for n, limit in limits.items()]
    if np.all(keeps, axis=0).any():
        check_limits(problem)
    else:
        with pytest.raises(InfeasibleError, match=r"no subnet|none of"):
            run_search(problem, budget=Budget(scored=500))


@pytest.mark.parametrize("name", COSTS)
def test_a_limit_below_the_least_names_the_least(costs: Mapping[str, Cost], name: str) -> None:
    domain = Domain.of(SPACE)
    least = float(value(costs[name], domain).min())
    problem = Problem(domain=domain, objectives=(costs[name],), limits={name: least * 0.99})
    with pytest.raises(InfeasibleError) as caught:
        check_limits(problem)
    assert f"has {name} within" in str(caught.value)
    assert f"the least is {least:.4g}" in str(caught.value)
    hint = float(caught.value.hint.split()[4])
    check_limits(Problem(domain=domain, objectives=(costs[name],), limits={name: hint}))


def test_corners_lie_in_the_domain(costs: Mapping[str, Cost]) -> None:
    for fix in FIXES:
        domain = Domain.of(SPACE, fix)
        assert domain.contains(corners(Problem(domain=domain, objectives=(costs["macs"],)))).all()


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_number_above_0(costs: Mapping[str, Cost], limit: float) -> None:
    with pytest.raises(ConfigError, match="macs: must be above 0 and finite"):
        Problem(domain=Domain.of(SPACE), objectives=(costs["macs"],), limits={"macs": limit})


def test_a_wrong_problem_says_all_that_is_wrong(costs: Mapping[str, Cost]) -> None:
    with pytest.raises(ConfigError) as caught:
        Problem(
            domain=Domain.of(SPACE),
            objectives=(costs["macs"],),
            others=(costs["macs"],),
            limits={"mcas": 1.0},
        )
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError, match="at least one is needed"):
        Problem(domain=Domain.of(SPACE), objectives=())
