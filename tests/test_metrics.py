"""Measures of agreement, against their definitions."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.metrics import (
    kendall_tau,
    mean_absolute_percentage_error,
    percent_true,
    root_mean_square_error,
)

NUMBERS = st.integers(0, 6).map(float)


def tau_b(a: list[float], b: list[float]) -> float:
    """Kendall 1945: pairs in the same order minus the others, ties left out."""
    same = opposite = only_a = only_b = 0
    for i, j in itertools.combinations(range(len(a)), 2):
        x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
        same += x * y > 0
        opposite += x * y < 0
        only_a += x != 0 and y == 0
        only_b += x == 0 and y != 0
    scale = math.sqrt((same + opposite + only_a) * (same + opposite + only_b))
    return (same - opposite) / scale if scale else 0.0


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=12))
def test_kendall_equals_its_definition_with_ties(pairs: list[tuple[float, float]]) -> None:
    a, b = map(list, zip(*pairs))
    assert kendall_tau(np.array(a), np.array(b)) == pytest.approx(tau_b(a, b))


@pytest.mark.parametrize("different", [2, 7, 40, 10**6])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 64, 257])
def test_kendall_of_many_values_equals_the_count_of_all_pairs(count: int, different: int) -> None:
    rng = np.random.default_rng(count)
    a, b = rng.integers(0, different, (2, count)) / 7.0
    assert kendall_tau(a, b) == pytest.approx(tau_b(a.tolist(), b.tolist()), abs=1e-12)
    assert kendall_tau(a, b + a) == pytest.approx(tau_b(a.tolist(), (b + a).tolist()), abs=1e-12)


def test_kendall_of_so_many_values_that_pairs_do_not_fit_into_memory() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5000, 50_000).astype(np.float64)
    tracemalloc.start()
    try:
        found = kendall_tau(a, a + rng.uniform(0, 0.9, len(a)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    pairs, counts = 50_000 * 49_999 / 2, np.unique(a, return_counts=True)[1]
    tied = float((counts * (counts - 1) / 2).sum())  # in the first alone
    assert found == pytest.approx(math.sqrt((pairs - tied) / pairs), abs=1e-12)
    assert most < 20e6  # bytes; a pair each would take 10 GB


def test_kendall_of_what_is_not_known_is_not_known() -> None:
    assert math.isnan(kendall_tau(np.array([1.0, np.nan, 3.0]), np.arange(3.0)))
    assert kendall_tau(np.array([1.0, np.inf, 3.0, -np.inf]), np.arange(4.0)) == pytest.approx(
        -1 / 3
    )


def test_kendall_of_known_orders() -> None:
    ascending = np.arange(5.0)
    assert kendall_tau(ascending, ascending**3) == 1.0
    assert kendall_tau(ascending, -ascending) == -1.0
    assert kendall_tau(ascending, np.zeros(5)) == 0.0
    # one swap of neighbours among ten pairs: (9 - 1) / 10
    assert kendall_tau(ascending, np.array([0.0, 1, 3, 2, 4])) == pytest.approx(0.8)


def test_errors_worked_out_by_hand() -> None:
    predicted, measured = np.array([1.1, 1.8]), np.array([1.0, 2.0])
    assert mean_absolute_percentage_error(predicted, measured) == pytest.approx(10.0)
    assert root_mean_square_error(predicted, measured) == pytest.approx(math.sqrt(0.025))


def test_a_share_in_percent_is_rounded_once() -> None:
    assert percent_true(np.arange(1000) < 339) == 33.9
    assert percent_true(np.array([True, False, False])) == 100 / 3
