"""A bound is never below the best subnet, and meets it where it can."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from supernet.predict import AccuracyPairs, Additive, fit_predictor
from supernet.search import Accuracy, Cost, Problem, accuracy_bound, macs, params, peak_memory
from supernet.space import Domain, Head, Space, Stage, Stem, load_space, macs_of, sample
from supernet.space.layout import layout_of

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


@pytest.mark.parametrize("seed", range(6))
def test_no_subnet_within_the_limits_is_above_the_bound(space: Space, seed: int):
    rng = np.random.default_rng(seed)
    domain = Domain.of(space, {"resolution": [24]} if seed % 2 else {})
    everything = domain.everything()
    costs = [macs(space), params(space), peak_memory(space)]
    additive = random_additive(space, seed)
    for chosen in (costs[:1], costs[1:2], costs[:2], costs, costs[::2]):
        one = everything[rng.integers(len(everything))][None]
        limits = {cost.name: float(cost(one)[0]) for cost in chosen}
        within = np.all([cost(everything) <= limits[cost.name] for cost in chosen], axis=0)
        best = value(additive, everything[within]).max()
        bound, met = accuracy_bound(problem(domain, additive, chosen, limits), additive)
        assert bound >= best - 1e-9
        assert bound <= value(additive, everything).max() + 1e-9
        assert domain.contains(met).all()


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


def test_one_limit_leaves_a_small_gap_on_a_real_space():
    """Of 5e20 subnets 60,000 are scored; what is left is mostly the gap of the relaxation."""
    from supernet.search import run_search

    space = load_space("mobilenet_v3")
    rng = np.random.default_rng(0)
    genes = sample(space, 200, rng)
    top1 = 10 * np.log10(macs_of(space, genes)) + rng.normal(0, 0.05, len(genes))
    predictor = fit_predictor(AccuracyPairs(space=space, genes=genes, top1=top1), "ridge")
    cost = macs(space)
    asked = Problem(
        domain=Domain.of(space),
        objectives=(Accuracy(function=predictor.mean), cost),
        limits={"macs": 250e6},
    )
    additive = predictor.additive()
    assert additive is not None
    bound, start = accuracy_bound(asked, additive)
    result = run_search(asked, start=start)
    best = result.figures(result.best())["top1"]
    assert best - 1e-9 <= bound <= best + 0.2


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
