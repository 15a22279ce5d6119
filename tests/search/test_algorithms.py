"""What every algorithm keeps; a new entry of the registry is tested for free."""

from collections.abc import Callable

import numpy as np
import pytest

from supernet.errors import InfeasibleError
from supernet.search import (
    ALGORITHMS,
    Accuracy,
    Budget,
    Candidates,
    Evaluated,
    Objective,
    Problem,
    SearchResult,
    Start,
    corners,
    macs,
    params,
    peak_memory,
    run_search,
)
from supernet.search.objective import Values
from supernet.space import Domain, Genes, Head, Space, Stage, Stem, one_hot

pytestmark = pytest.mark.timeout(120)  # a search that loops fails

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
DOMAIN = Domain.of(SPACE)
every_algorithm = pytest.mark.parametrize("name", ALGORITHMS)


def worth(genes: Genes) -> Values:
    """Mostly a sum over choices, as real accuracies are, and uneven."""
    hot = one_hot(SPACE, genes)
    rng = np.random.default_rng(5)
    values: Values = (
        70
        + hot @ rng.normal(size=hot.shape[1])
        + 0.2 * np.sin(37.0 * (hot @ rng.random(hot.shape[1])))
    )
    return values


def problem(
    *, measured: bool = False, function: Callable[[Genes], Values] = worth, share: float = 0.4
) -> Problem:
    cost: Objective = macs(SPACE)
    limit = float(np.quantile(cost(DOMAIN.everything()), share))
    return Problem(
        domain=DOMAIN,
        objectives=(Accuracy(function=function, measured=measured), cost),
        others=(params(SPACE),),
        limits={"macs": limit},
    )


def find(name: str, asked: Problem, scored: int, seed: int = 0) -> SearchResult:
    factory = ALGORITHMS[name].factory
    return run_search(asked, factory=factory, budget=Budget(scored=scored), seed=seed, batch=64)


@every_algorithm
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_of_a_space_that_was_enumerated_is_found(name: str, seed: int) -> None:
    asked = problem()
    everything = DOMAIN.everything()
    within = asked.objectives[1](everything) <= asked.limits["macs"]
    budget = DOMAIN.count if name == "random" else DOMAIN.count // 2
    result = find(name, asked, budget, seed)
    assert len(result) <= budget
    best = result.best()
    assert result.columns["macs"][best] <= asked.limits["macs"]
    gap = worth(everything[within]).max() - result.columns["top1"][best]
    assert gap == pytest.approx(0, abs=1e-9)


@every_algorithm
@pytest.mark.parametrize("budget", [1, 7, 500])
def test_the_same_seed_gives_the_same_subnets(name: str, budget: int) -> None:
    asked = problem()
    first, second = (find(name, asked, budget, seed=3) for _ in range(2))
    assert (first.genes == second.genes).all()
    assert len(first) == budget
    assert len(np.unique(first.genes, axis=0)) == budget
    assert DOMAIN.contains(first.genes).all()


@every_algorithm
def test_nothing_that_breaks_a_limit_is_measured(name: str) -> None:
    seen: list[Genes] = []

    def measure(genes: Genes) -> Values:
        seen.append(genes)
        return worth(genes)

    asked = problem(measured=True, function=measure)
    result = find(name, asked, 600)
    measured = np.concatenate(seen)
    assert (asked.objectives[1](measured) <= asked.limits["macs"]).all()
    assert len(np.unique(measured, axis=0)) == len(measured)  # nothing twice
    assert np.isfinite(result.columns["top1"]).sum() == len(measured)


@every_algorithm
def test_failed_measurements_do_no_harm(name: str) -> None:
    def fails(genes: Genes) -> Values:
        return np.where(genes[:, 1] == 0, np.nan, worth(genes))

    result = find(name, problem(function=fails), 800)
    assert np.isfinite(result.figures(result.best())["top1"])
    assert (result.genes[result.front][:, 1] == 1).all()


@every_algorithm
def test_tell_takes_any_order_repeats_and_foreign_rows(name: str) -> None:
    asked, rng = problem(), np.random.default_rng(0)
    chosen = ALGORITHMS[name].factory(
        Start(problem=asked, rng=rng, budget=1000, genes=corners(asked))
    )
    for _ in range(12):
        candidates: Candidates = chosen.ask(64)
        if not len(candidates.genes):
            break
        assert DOMAIN.contains(candidates.genes).all()
        rows = np.concatenate([candidates.genes, candidates.genes[:5], DOMAIN.sample(9, rng)])
        rows = rows[rng.permutation(len(rows))]
        columns = asked.cheap(rows)
        columns["top1"] = np.where(rng.random(len(rows)) < 0.1, np.nan, columns["top1"])
        chosen.tell(Evaluated(rows, columns, asked.violation(columns)))


@every_algorithm
def test_a_small_domain_is_scored_whole_and_the_search_ends(name: str) -> None:
    domain = Domain.of(SPACE, {"kernel": [3], "expand": [3.0], "depth": [1]})
    asked = Problem(domain=domain, objectives=(macs(SPACE),))
    assert len(find(name, asked, 10_000)) == domain.count


@every_algorithm
def test_limits_that_nothing_meets_are_refused(name: str) -> None:
    asked = Problem(
        domain=DOMAIN,
        objectives=(Accuracy(function=worth), peak_memory(SPACE)),
        limits={"top1": 99.0},
    )
    with pytest.raises(InfeasibleError, match="scored subnets meets all limits"):
        find(name, asked, 300)
