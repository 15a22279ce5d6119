"""What the model of `ei` is told of measured figures."""

from dataclasses import replace

import numpy as np
import pytest

from supernet.search import Accuracy
from supernet.search.algorithms.expected_improvement import expected_improvement, percent

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
