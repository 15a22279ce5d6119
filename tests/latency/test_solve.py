"""The two solvers against what defines their answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.latency.solve import least_absolute, nonnegative_least_squares


@given(seed=st.integers(0, 2**32 - 1), columns=st.integers(1, 8))
def test_the_answer_meets_the_conditions_of_karush_kuhn_and_tucker(seed: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, target = rng.standard_normal((30, columns)), rng.standard_normal(30)
    x = nonnegative_least_squares(matrix, target)
    gradient = matrix.T @ (matrix @ x - target)
    assert (x >= 0).all()
    assert (gradient > -1e-8).all()  # nothing is gained by more of any
    assert np.abs(gradient[x > 0]).max(initial=0) < 1e-8


@given(seed=st.integers(0, 2**32 - 1))
def test_coefficients_from_zero_are_found_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0, 1, (40, 5)) * 10.0 ** np.arange(-3, 2)
    x = rng.uniform(0, 2, 5) * (rng.random(5) > 0.4)
    np.testing.assert_allclose(nonnegative_least_squares(matrix, matrix @ x), x, atol=1e-6)


def test_a_column_of_zeros_gets_nothing() -> None:
    matrix = np.array([[1.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(nonnegative_least_squares(matrix, np.array([2.0, 4.0])), [2.0, 0.0])


def test_slow_outliers_do_not_draw_the_fit(rng: np.random.Generator) -> None:
    matrix = np.stack([np.ones(200), rng.uniform(0, 1, 200)], axis=1)
    target = matrix @ [0.8, 0.4]
    target[rng.permutation(200)[:40]] *= 1.5  # one in five
    found = least_absolute(matrix, target, np.zeros(2))
    np.testing.assert_allclose(found, [0.8, 0.4], atol=0.01)
    squares, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    assert np.abs(squares - [0.8, 0.4]).max() > 0.05


def test_a_penalty_draws_its_column_only(rng: np.random.Generator) -> None:
    matrix = np.stack([np.ones(100), rng.standard_normal(100)], axis=1)
    target = 1 + 0.1 * matrix[:, 1]
    found = least_absolute(matrix, target, np.array([0.0, 100.0]))
    assert found[0] == pytest.approx(1, abs=0.02)
    assert abs(found[1]) < 0.01


def test_few_rows_and_many_rows_are_the_same_problem(rng: np.random.Generator) -> None:
    """More columns than rows takes another system; columns of zeros change no answer."""
    matrix, target = rng.standard_normal((60, 40)), rng.uniform(0.5, 2, 60)
    penalty = rng.uniform(1e-4, 1, 40)
    found = least_absolute(matrix, target, penalty)
    wide, more = np.hstack([matrix, np.zeros((60, 40))]), np.concatenate([penalty, np.ones(40)])
    again = least_absolute(wide, target, more)
    np.testing.assert_allclose(again[:40], found, atol=1e-9)
    np.testing.assert_array_equal(again[40:], 0)
