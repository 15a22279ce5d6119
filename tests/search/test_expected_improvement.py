"""What the model of `ei` is told of measured figures, and what it is then expected to gain."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from supernet.search import Accuracy, hypervolume
from supernet.search.algorithms import expected_improvement as module
from supernet.search.algorithms.expected_improvement import (
    _Improvement,
    expected_improvement,
    percent,
)
from supernet.space import Genes

Values = npt.NDArray[np.float64]

QUANTILES = 400  # of a normal variable, in place of drawn values
TOP1 = Accuracy(function=lambda genes: np.zeros(len(genes)), measured=True)


def test_figures_grow_from_10_to_90() -> None:
    np.testing.assert_allclose(percent(np.array([60.0, 50.0, 70.0]), TOP1), [50, 10, 90])
    costs = percent(np.array([1.0, 2.0, 3.0]), replace(TOP1, maximise=False))
    np.testing.assert_allclose(costs, [90, 50, 10])
    np.testing.assert_allclose(percent(np.array([7.0, 7.0]), TOP1), 10)


@pytest.mark.parametrize("worst", [-1e6, 0.0, 39.0])
def test_how_bad_the_worst_are_makes_no_difference(worst: float) -> None:
    """Median 60 and best 80: what is below 40 counts as 40."""
    found = percent(np.array([worst, worst, 50.0, 60.0, 70.0, 75.0, 80.0]), TOP1)
    np.testing.assert_allclose(found, [10, 10, 30, 50, 70, 80, 90])


def test_improvement_is_the_mean_of_what_is_above_the_best() -> None:
    """Against a mean over drawn values; sure gains count whole, hopeless ones not at all."""
    rng = np.random.default_rng(0)
    drawn = np.maximum(rng.normal(1.0, 2.0, 1_000_000) - 1.5, 0).mean()
    found = expected_improvement(
        np.array([1.0, 9.0, -90.0]), np.array([2.0, 0.1, 1.0]), np.array(1.5)
    )
    np.testing.assert_allclose(found, [drawn, 7.5, 0.0], atol=0.01)


class Model:
    """A normal variable for each subnet, which is told by its one gene."""

    def __init__(self, means: Sequence[float], stds: Sequence[float]) -> None:
        self.means, self.stds = np.array(means), np.array(stds)

    def mean(self, genes: Genes) -> Values:
        found: Values = self.means[genes[:, 0]]
        return found

    def moments(self, genes: Genes, *, noise: bool) -> tuple[Values, Values]:
        assert not noise  # what a subnet is worth, not what the next measurement says
        return self.mean(genes), self.stds[genes[:, 0]]


def improvement(model: Model, costs: Values, known: int) -> Values:
    """Of all subnets after the first `known`, whose costs ``(N, K)`` are beside their means."""

    def cost(column: int) -> Callable[[Genes], Values]:
        return lambda genes: costs[genes[:, 0], column]

    genes = np.arange(len(model.means), dtype=np.int8)[:, None]
    own: Any = model
    asked = [cost(column) for column in range(costs.shape[1])]
    return _Improvement(asked, own, genes[:known], np.random.default_rng(0))(genes[known:])


def test_of_one_figure_it_is_the_improvement_of_the_best() -> None:
    """By hand, with half of the model's deviation: a + b (phi(z) + z Phi(z)), z = 1.25, -1.25."""
    model = Model([50.0, 60.0, 65.0, 55.0, 10.0], [9.0, 9.0, 8.0, 8.0, 2.0])
    found = improvement(model, np.zeros((5, 0)), known=2)
    np.testing.assert_allclose(found, [5.202346, 0.202346, 0.0], atol=1e-4)


def test_along_a_front_it_is_the_mean_over_what_may_be_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In closed form: from cost 1 to 2 the best is 50, to 4 it is 60; improvements as above."""
    monkeypatch.setattr(module, "_POINTS", 100_000)
    means, spent = [50.0, 60.0, 70.0], [1.0, 2.0, 4.0]
    candidates = [(65.0, 2.5), (55.0, 0.5), (99.0, 5.0)]  # the last one is out of the room
    model = Model([*means, *(mean for mean, _ in candidates)], [8.0] * 6)
    costs = np.array([*spent, *(cost for _, cost in candidates)])[:, None]
    expected = [5.202346 * 1.5 / 3, 5.202346 / 3 + 0.202346 * 2 / 3, 0.0]
    np.testing.assert_allclose(improvement(model, costs, known=3), expected, rtol=0.01)


def test_it_is_the_expected_hypervolume_improvement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the mean over quantiles; the references are the worst of the known figures."""
    monkeypatch.setattr(module, "_POINTS", 40_000)
    rng = np.random.default_rng(1)
    known, every = 8, 12
    model = Model(rng.uniform(40, 80, every).tolist(), rng.uniform(4, 16, every).tolist())
    costs = np.concatenate([rng.uniform(1, 3, (known, 2)), rng.uniform(0.9, 2, (every - known, 2))])
    low, high = costs[:known].min(axis=0), costs[:known].max(axis=0)
    losses = np.column_stack([-model.means, np.maximum(costs, low)])
    reference = np.append(-model.means[:known].min(), high)
    before = hypervolume(losses[:known], reference)
    gains = []
    for number in range(known, every):
        normal = NormalDist(model.means[number], 0.5 * model.stds[number])
        drawn = [normal.inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES)]
        own = [np.append(-value, losses[number, 1:]) for value in drawn]
        more = [hypervolume(np.vstack([losses[:known], one]), reference) - before for one in own]
        gains.append(np.mean(more) / np.prod(high - low))
    assert np.median(gains) > 0.3
    found = improvement(model, costs, known)
    np.testing.assert_allclose(found, gains, rtol=0.08)
