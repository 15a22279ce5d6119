"""Several objectives as one number, and the algorithms that search fronts by it."""

import numpy as np
import pytest

from supernet.search import Accuracy, Budget, Problem, algorithm, hypervolume, macs, run_search
from supernet.search.weighing import drawn_weights, weighed
from supernet.space import Domain, Genes, load_space


def test_losses_become_shares_of_their_range_before_they_are_weighed():
    losses = np.array([[-80.0, 10.0], [-70.0, 5.0], [-60.0, 0.0], [np.inf, 0.0]])
    found = weighed(losses, np.array([[0.75, 0.25], [0.25, 0.75]]), losses)
    # (0, 1), (.5, .5), (1, 0): the largest part and .05 of the sum of both
    expected = [[0.2625, 0.4, 0.7875, np.inf], [0.7875, 0.4, 0.2625, np.inf]]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("among", [np.zeros((0, 2)), np.full((3, 2), np.inf)])
def test_where_nothing_is_known_all_are_alike(among: np.ndarray):
    losses = np.array([[-80.0, 10.0], [np.nan, 1.0], [np.inf, 1.0]])
    assert weighed(losses, np.ones((1, 2)), among).tolist() == [[0.0, np.inf, np.inf]]


def test_of_one_value_no_range_is_taken():
    assert np.isfinite(weighed(np.ones((4, 2)), np.array([[1.0, 0.0]]), np.ones((2, 2)))).all()


def test_weights_of_all_mixtures_are_drawn():
    weights = drawn_weights(1000, 2, np.random.default_rng(0))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    low, high = np.quantile(weights[:, 0], [0.1, 0.9])
    assert low == pytest.approx(0.1, abs=0.05)
    assert high == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(
    ("name", "budget", "least"),
    [("aging", 300, 1.005), ("local", 300, 1.02), ("memetic", 1000, 1.02)],
)
def test_a_front_is_searched_along_its_whole_length(name: str, budget: int, least: float):
    """As many random subnets know less of it."""
    space = load_space("demo")
    domain, cost = Domain.of(space), macs(space)
    worth = np.random.default_rng(1).random((domain.counts.size, int(domain.counts.max())))

    def top1(genes: Genes) -> np.ndarray:
        own = worth[np.arange(genes.shape[1]), np.maximum(genes, 0)].mean(axis=1)
        found: np.ndarray = 20 * np.log10(cost(genes)) - 60 + 10 * own
        return found

    objectives = (Accuracy(function=top1, measured=True), cost)
    problem = Problem(domain=domain, objectives=objectives)
    extremes = np.concatenate([domain.smallest(), domain.largest()])
    reference = np.array([-top1(extremes).min(), cost(extremes).max()])

    def volume(algorithm_name: str, seed: int) -> float:
        factory = algorithm(algorithm_name).factory
        found = run_search(problem, factory=factory, budget=Budget(scored=budget), seed=seed)
        front = np.stack([-found.columns["top1"], found.columns["macs"]], axis=1)[found.front]
        return float(hypervolume(front, reference))

    gains = [volume(name, seed) / volume("random", seed) for seed in range(5)]
    assert np.median(gains) > least
