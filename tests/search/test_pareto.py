"""Fronts, ranks and distances against their definitions."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.search import crowding, front_rank, pareto_front

Values = npt.NDArray[np.float64]
# few different values, so that ties are common
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


def split(points: list[tuple[int, int]]) -> tuple[Values, Values]:
    array = np.array(points, dtype=np.float64)
    return array[:, 0], array[:, 1]


def beats(points: list[tuple[int, int]], j: int, i: int) -> bool:
    """Whether j is as good in both and better in one; of equal points the first one is."""
    (top1, ms), (other_top1, other_ms) = points[i], points[j]
    as_good = other_top1 >= top1 and other_ms <= ms
    return as_good and (points[i] != points[j] or j < i)


@given(POINTS)
def test_the_front_is_what_nothing_beats_fastest_first(points: list[tuple[int, int]]) -> None:
    top1, ms = split(points)
    front = pareto_front(top1, ms)
    every = range(len(points))
    assert set(front) == {i for i in every if not any(beats(points, j, i) for j in every)}
    assert (np.diff(ms[front]) > 0).all()
    assert (np.diff(top1[front]) > 0).all()


@given(POINTS)
def test_ranks_are_found_by_taking_front_after_front_away(
    points: list[tuple[int, int]],
) -> None:
    expected = np.full(len(points), -1)
    left = set(range(len(points)))
    for rank in range(len(points)):
        front = {i for i in left if not any(beats(points, j, i) for j in left)}
        expected[list(front)] = rank
        left -= front
    assert front_rank(*split(points)).tolist() == expected.tolist()


def test_the_first_front_is_the_front(rng: np.random.Generator) -> None:
    top1, ms = rng.normal(size=(2, 500))
    rank = front_rank(top1, ms)
    assert set(np.flatnonzero(rank == 0)) == set(pareto_front(top1, ms))


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
def test_crowding_equals_its_definition(seed: int, count: int) -> None:
    """Deb et al. 2002, section III-B: along each objective, between the neighbours."""
    top1, ms = np.random.default_rng(seed).normal(size=(2, count))
    rank = front_rank(top1, ms)
    expected = np.zeros(count)
    for values in (top1, ms):
        spread = np.ptp(values) or 1.0
        for front in range(rank.max() + 1):
            members = np.flatnonzero(rank == front)
            members = members[values[members].argsort()]
            expected[members[[0, -1]]] = np.inf
            for before, here, after in zip(members, members[1:], members[2:]):
                expected[here] += (values[after] - values[before]) / spread
    np.testing.assert_allclose(crowding(top1, ms, rank), expected)


def test_points_in_a_row_by_hand() -> None:
    top1, ms = np.array([1.0, 2, 4, 8]), np.array([1.0, 2, 3, 4])
    assert pareto_front(top1, ms).tolist() == [0, 1, 2, 3]
    distance = crowding(top1, ms, front_rank(top1, ms))
    assert distance.tolist() == pytest.approx([np.inf, 3 / 7 + 2 / 3, 6 / 7 + 2 / 3, np.inf])


def test_equal_points_have_one_on_the_front() -> None:
    top1, ms = np.full(4, 5.0), np.full(4, 2.0)
    assert pareto_front(top1, ms).tolist() == [0]
    assert np.isinf(crowding(top1, ms, front_rank(top1, ms))).all()
