"""Search finds the known optimum, respects its limit, and ends."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from supernet.errors import ConfigError, InfeasibleError
from supernet.search import (
    Evolution,
    Found,
    check_limit,
    pareto_front,
    random_of_latency,
    search,
)
from supernet.space import (
    Genes,
    Head,
    Space,
    Stage,
    Stem,
    canonical,
    count_subnets,
    decode,
    encode,
    one_hot,
    sample,
    smallest,
    unique,
)
from supernet.space.layout import layout_of

Values = npt.NDArray[np.float64]
Objective = Callable[[Genes], Values]
SHORT = Evolution(population=64, generations=15)

pytestmark = pytest.mark.timeout(30)  # a search that loops fails


@dataclass(frozen=True)
class Known:
    """Latencies from a function, and the fastest subnet."""

    function: Objective
    quickest: Genes

    def ms(self, genes: Genes) -> Values:
        return self.function(genes)

    def fastest(self) -> Genes:
        return self.quickest


@pytest.fixture(scope="module")
def space() -> Space:
    """1,920 subnets: few enough to look at them all."""
    return Space(
        name="countable",
        resolutions=(16, 24),
        stem=Stem(width=(8, 16)),
        stages=(
            Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5), expand=(2.0, 3.0)),
            Stage(width=(16, 24), depth=(1,), kernel=(3, 5, 7), expand=(3.0, 4.0)),
        ),
        head=Head(),
    )


@pytest.fixture(scope="module")
def everything(space: Space) -> Genes:
    choices = [range(n) for n in layout_of(space).num_choices]
    genes = np.array(list(itertools.product(*choices)), dtype=np.int8)
    genes = unique(canonical(space, genes))
    assert len(genes) == count_subnets(space) == 1920
    return genes


def additive(space: Space, seed: int, offset: float) -> Objective:
    """Each choice adds something between 0 and 1."""
    columns = int(layout_of(space).num_choices.sum())
    weights = np.random.default_rng(seed).uniform(0, 1, columns)

    def value(genes: Genes) -> Values:
        return np.asarray(offset + one_hot(space, genes) @ weights, dtype=np.float64)

    return value


def latency_of(everything: Genes, ms: Objective) -> Known:
    best = int(ms(everything).argmin())
    return Known(ms, everything[best : best + 1])


def found_genes(found: Found) -> list[int]:
    row: list[int] = found.genes[found.best].tolist()
    return row


@pytest.mark.parametrize("seed", range(4))
def test_the_best_subnet_under_a_limit_is_the_best_of_all(
    space: Space, everything: Genes, seed: int
) -> None:
    top1, ms = additive(space, seed, 60), additive(space, seed + 100, 1)
    for share in (0.02, 0.3, 0.8):
        limit = float(np.quantile(ms(everything), share))
        found = search(
            space,
            top1=top1,
            latency=latency_of(everything, ms),
            max_latency_ms=limit,
            evolution=SHORT,
            seed=seed,
        )
        allowed = ms(everything) <= limit
        best = top1(everything)[allowed].max()
        assert found.top1[found.best] == pytest.approx(best, rel=1e-12)
        assert found.latency_ms[found.best] <= limit


def test_the_front_is_the_front_of_all(space: Space, everything: Genes) -> None:
    top1, ms = additive(space, 1, 60), additive(space, 2, 1)
    found = search(space, top1=top1, latency=latency_of(everything, ms))
    expected = pareto_front(top1(everything), ms(everything))
    assert sorted(map(tuple, found.genes[found.front].tolist())) == sorted(
        map(tuple, everything[expected].tolist())
    )


def test_without_a_limit_the_most_accurate_is_taken(space: Space, everything: Genes) -> None:
    top1, ms = additive(space, 3, 60), additive(space, 4, 1)
    found = search(space, top1=top1, latency=latency_of(everything, ms), evolution=SHORT)
    assert found.top1[found.best] == pytest.approx(top1(everything).max(), rel=1e-12)


def test_what_was_looked_at_is_kept_once_with_its_scores(space: Space, everything: Genes) -> None:
    top1, ms = additive(space, 1, 60), additive(space, 2, 1)
    told: list[tuple[int, int, str]] = []
    latency = latency_of(everything, ms)
    found = search(
        space, top1=top1, latency=latency, evolution=SHORT, progress=lambda *v: told.append(v)
    )
    assert latency.fastest()[0].tolist() in found.genes.tolist()
    assert len(unique(found.genes)) == len(found.genes)
    assert (canonical(space, found.genes) == found.genes).all()
    np.testing.assert_allclose(found.top1, top1(found.genes))
    np.testing.assert_allclose(found.latency_ms, ms(found.genes))
    assert told == [(g, 15, "searching") for g in range(1, 16)]


def test_the_same_seed_finds_the_same(tiny_space: Space) -> None:
    top1 = additive(tiny_space, 1, 60)
    latency = Known(additive(tiny_space, 2, 1), smallest(tiny_space))
    brief = Evolution(population=16, generations=3)
    first, second, other = (
        search(tiny_space, top1=top1, latency=latency, evolution=brief, seed=seed)
        for seed in (5, 5, 6)
    )
    assert (first.genes == second.genes).all()
    assert (first.front == second.front).all()
    assert first.best == second.best
    assert first.genes.tolist() != other.genes.tolist()


def test_subnets_to_start_with_are_looked_at(tiny_space: Space) -> None:
    top1 = additive(tiny_space, 1, 60)
    latency = Known(additive(tiny_space, 2, 1), smallest(tiny_space))
    start = sample(tiny_space, 30, np.random.default_rng(9))
    brief = Evolution(population=8, generations=1)
    found = search(tiny_space, top1=top1, latency=latency, evolution=brief, start=start)
    assert {tuple(row) for row in start.tolist()} <= {tuple(row) for row in found.genes.tolist()}
    assert found.top1[found.best] >= top1(start).max()


def test_equal_subnets_everywhere_end_the_search(space: Space) -> None:
    def flat(genes: Genes) -> Values:
        return np.ones(len(genes))

    latency = Known(flat, smallest(space))
    found = search(space, top1=flat, latency=latency, max_latency_ms=1.0, evolution=SHORT)
    assert len(found.front) == 1


# ------------------------------------------------------------------ limits


def test_an_impossible_limit_names_the_fastest_subnet_and_a_limit_that_works(
    space: Space, everything: Genes
) -> None:
    top1, latency = additive(space, 1, 60), latency_of(everything, additive(space, 2, 1))
    least = float(latency.ms(latency.quickest)[0])
    with pytest.raises(InfeasibleError) as caught:
        search(space, top1=top1, latency=latency, max_latency_ms=least * 0.99, evolution=SHORT)
    assert str(decode(space, latency.quickest)[0]) in str(caught.value)
    assert f"the fastest found takes {least:.3g} ms" in str(caught.value)
    assert caught.value.exit_code == 4
    asked = float(caught.value.hint.removeprefix("ask for at least ").removesuffix(" ms"))
    assert least <= asked < 1.02 * least
    found = search(space, top1=top1, latency=latency, max_latency_ms=asked, evolution=SHORT)
    assert found.latency_ms[found.best] <= asked


def test_a_limit_that_only_the_fastest_meets_gives_the_fastest(
    space: Space, everything: Genes
) -> None:
    top1, latency = additive(space, 1, 60), latency_of(everything, additive(space, 2, 1))
    limit = float(latency.ms(latency.quickest)[0]) * (1 + 1e-9)
    found = search(space, top1=top1, latency=latency, max_latency_ms=limit, evolution=SHORT)
    assert found_genes(found) == latency.quickest[0].tolist()


@pytest.mark.parametrize("limit", [0.0, -0.0, -5.0, float("nan"), float("inf"), float("-inf")])
def test_a_limit_that_is_no_positive_number_is_refused(space: Space, limit: float) -> None:
    latency = Known(additive(space, 2, 1), smallest(space))
    with pytest.raises(ConfigError, match="the latency limit must be above 0 ms and finite, found"):
        check_limit(space, latency, limit)
    with pytest.raises(ConfigError, match="the latency limit must be above 0 ms and finite, found"):
        search(space, top1=latency.ms, latency=latency, max_latency_ms=limit, evolution=SHORT)


@pytest.mark.parametrize(
    "changes",
    [{"population": 7}, {"generations": 0}, {"mutation": 0.0}, {"mutation": float("nan")}],
)
def test_an_impossible_search_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="population >= 8, generations >= 1 and 0 < mutation"):
        Evolution(**changes)


# ------------------------------------------------------------------ random subnets


def test_random_subnets_have_about_the_wanted_latency(tiny_space: Space) -> None:
    ms = additive(tiny_space, 2, 1)
    genes = random_of_latency(tiny_space, ms, 7.0, 50)
    assert len(genes) == len(unique(genes)) == 50
    assert (abs(ms(genes) / 7.0 - 1) <= 0.05).all()
    assert (genes == random_of_latency(tiny_space, ms, 7.0, 50)).all()
    assert (encode(tiny_space, decode(tiny_space, genes)) == genes).all()
    other = random_of_latency(tiny_space, ms, 7.0, 50, seed=1)
    assert genes.tolist() != other.tolist()


def test_a_latency_that_nothing_has_gives_nothing(space: Space) -> None:
    def seconds(genes: Genes) -> Values:
        return np.full(len(genes), 1000.0)

    assert len(random_of_latency(space, seconds, 1.0, 5)) == 0
