"""A bound is never below the best subnet, and meets it where it can."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from supernet.predict import AccuracyPairs, Additive, fit_predictor
from supernet.predict.ridge import Ridge
from supernet.search import (
    Accuracy,
    Budget,
    Cost,
    Problem,
    accuracy_bound,
    macs,
    params,
    run_search,
)
from supernet.search.objective import COSTS, cost_of
from supernet.space import Domain, Head, Space, Stage, Stem, load_space, macs_of, sample
from supernet.space.layout import layout_of

SPACES = {
    "sizes": Space(
        name="sizes",
        resolutions=(16, 24, 32),
        stem=Stem(width=(8,)),
        stages=(
            Stage(width=(8,), depth=(1, 2, 3), kernel=(3, 5), expand=(2.0, 3.0)),
            Stage(width=(16, 24), depth=(1,), kernel=(3, 5), expand=(3.0, 4.0), stride=2),
        ),
        head=Head(),
    ),
    "kinds": Space(  # one size; kinds of block, of which one does not expand
        name="kinds",
        resolutions=(16,),
        stem=Stem(width=(8, 12)),
        stages=(
            Stage(
                block=("conv", "mbconv"), width=(8, 16), depth=(1, 2), kernel=(3, 5),
                expand=(2.0, 3.0), se=(0.0, 0.25),
            ),
            Stage(width=(16, 24), depth=(1, 2), kernel=(3, 5), expand=(3.0, 4.0), shared=True),
        ),
        head=Head(),
    ),
}  # fmt: skip


def narrowed(space: Space, keep: int) -> Domain:
    """A space of which each gene keeps a random part of its choices, mostly all of them."""
    rng = np.random.default_rng(keep)
    allowed = []
    for count in layout_of(space).num_choices.tolist():
        left = np.flatnonzero(rng.random(count) < 0.9)
        allowed.append(tuple(left.tolist()) or (0,))
    return Domain(space, tuple(allowed))


PUBLISHED = Path(__file__).parents[3] / "shared" / "published" / "accuracy"


def random_additive(space: Space, seed: int) -> Additive:
    """A table for every gene that always has an effect, and one over two of them."""
    rng = np.random.default_rng(seed)
    layout = layout_of(space)
    always = {gene.column for gene in layout.genes} - {
        column for condition in layout.conditions for column in condition[:, 0].tolist()
    }
    tables: list[tuple[tuple[int, ...], np.ndarray]] = [
        ((column,), rng.uniform(0, 2, int(layout.num_choices[column]))) for column in always
    ]
    first, second = sorted(always)[:2]
    sizes = layout.num_choices[[first, second]]
    tables.append(((first, second), rng.uniform(0, 1, sizes)))
    return Additive(tables=tuple(tables), offset=60.0)


def value(additive: Additive, genes: np.ndarray) -> np.ndarray:
    found = np.full(len(genes), additive.offset)
    for columns, table in additive.tables:
        found += table[tuple(genes[:, column] for column in columns)]
    return found


def problem(domain: Domain, additive: Additive, costs: list[Cost], limits: dict[str, float]):
    top1 = Accuracy(function=lambda genes: value(additive, genes))
    return Problem(domain=domain, objectives=(top1,), others=tuple(costs), limits=limits)


@functools.cache
def tables(name: str, seed: int) -> Additive:
    """A ridge regression of random accuracies, with pairs of choices within stages."""
    rng = np.random.default_rng(seed)
    genes = sample(SPACES[name], 60, rng)
    top1 = 60 + rng.normal(0, 3, len(genes))
    return Ridge(AccuracyPairs(space=SPACES[name], genes=genes, top1=top1), 0.2, 1.0).additive()


@settings(max_examples=120)
@given(
    name=st.sampled_from(sorted(SPACES)),
    seed=st.integers(0, 5),
    chosen=st.lists(st.sampled_from(sorted(COSTS)), max_size=4, unique=True),
    nth=st.lists(st.integers(0, 10**6), min_size=4, max_size=4),
    keep=st.integers(0, 2**32 - 1),
    width=st.sampled_from([1, 8, 10**6]),
)
def test_no_subnet_within_the_limits_is_above_the_bound(
    name: str, seed: int, chosen: list[str], nth: list[int], keep: int, width: int
):
    """Limits are costs of some subnets; if nothing was lost, the bound is the optimum."""
    domain, additive = narrowed(SPACES[name], keep), tables(name, seed)
    everything = domain.everything()
    costs = [cost_of(cost, SPACES[name]) for cost in chosen]
    limits = {
        cost.name: float(cost(everything[[number % len(everything)]])[0])
        for cost, number in zip(costs, nth)
    }
    within = np.ones(len(everything), dtype=bool)
    for cost in costs:
        within &= cost(everything) <= limits[cost.name]
    assume(np.any(within))
    accuracies = np.where(within, value(additive, everything), -np.inf)
    asked = problem(domain, additive, costs, limits)
    bound, met = accuracy_bound(asked, additive, [width])
    assert bound >= accuracies.max() - 1e-9
    assert bound <= value(additive, everything).max() + 1e-9
    assert domain.contains(met).all()
    if width > len(everything):
        assert bound == pytest.approx(accuracies.max(), abs=2e-9)
        best = accuracies[(everything == met[0]).all(axis=1)]
        assert best == pytest.approx(accuracies.max(), abs=2e-9)


def test_without_limits_the_bound_is_the_optimum(space: Space):
    additive = random_additive(space, 7)
    domain = Domain.of(space)
    bound, met = accuracy_bound(problem(domain, additive, [], {}), additive)
    best = value(additive, domain.everything()).max()
    assert bound == pytest.approx(best, abs=1e-9)
    assert value(additive, met).max() == pytest.approx(best, abs=1e-9)


def test_the_rest_of_a_predictor_is_added(space: Space):
    additive = random_additive(space, 8)
    asked = problem(Domain.of(space), additive, [], {})
    plain, _ = accuracy_bound(asked, additive)
    more, _ = accuracy_bound(asked, replace(additive, rest_low=-1.0, rest_high=0.25))
    assert more == pytest.approx(plain + 0.25)


@pytest.mark.parametrize(
    "limits", [{"macs": 250e6}, {"macs": 250e6, "params": 5.2e6}], ids=["one", "two"]
)
def test_on_a_real_space_the_optimum_is_proven(limits: dict[str, float]):
    """Of 5e20 subnets; the relaxation alone is above it, and a search alone below it."""
    space = load_space("mobilenet_v3")
    rng = np.random.default_rng(0)
    genes = sample(space, 200, rng)
    top1 = 10 * np.log10(macs_of(space, genes)) + rng.normal(0, 0.05, len(genes))
    predictor = fit_predictor(AccuracyPairs(space=space, genes=genes, top1=top1), "ridge")
    asked = Problem(
        domain=Domain.of(space),
        objectives=(Accuracy(function=predictor.mean), macs(space)),
        others=(params(space),),
        limits=limits,
    )
    additive = predictor.additive()
    assert additive is not None
    relaxed, _ = accuracy_bound(asked, additive, [])
    bound, start = accuracy_bound(asked, additive)
    assert asked.violation(asked.cheap(start[:1])) == 0
    assert predictor.mean(start[:1]) == pytest.approx(bound, abs=2e-9)
    assert bound < relaxed - 1e-4
    found = run_search(asked, budget=Budget(scored=4000))
    assert found.columns["top1"][found.best()] <= bound + 1e-9
    told = run_search(asked, budget=Budget(scored=4000), start=start).bounded(bound)
    assert told.bound == told.columns["top1"][told.best()]


@pytest.mark.skipif(
    not (PUBLISHED / "nasbench_macro.npz").is_file(), reason="needs NAS-Bench-Macro's table"
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_on_nas_bench_macro_the_bound_holds(share: float):
    """Eight layers of one of three operators; accuracies of all 6,561 networks are known."""
    data = np.load(PUBLISHED / "nasbench_macro.npz")
    top1 = data["mean_acc"]
    stages = (Stage(width=(16,), depth=(1,), expand=(2.0, 3.0, 4.0)),) * 8
    space = Space(
        name="macro", resolutions=(32,), stem=Stem(width=(16,)), stages=stages, head=Head()
    )
    genes = data["arch"].astype(np.int8)
    domain = Domain.of(space)
    assert domain.count == len(genes) == 6561
    choices = np.eye(3)[genes].reshape(len(genes), -1)
    weights, *_ = np.linalg.lstsq(choices, top1, rcond=None)
    rest = top1 - choices @ weights
    additive = Additive(
        tables=tuple(((column,), weights[3 * column : 3 * column + 3]) for column in range(8)),
        offset=0.0,
        rest_low=float(rest.min()),
        rest_high=float(rest.max()),
    )
    cost = macs(space)
    values = cost(genes)
    limit = float(np.quantile(values, share))
    bound, _ = accuracy_bound(problem(domain, additive, [cost], {"macs": limit}), additive)
    assert bound >= top1[values <= limit].max()
