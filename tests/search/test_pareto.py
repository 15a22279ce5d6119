"""Fronts, ranks, distances and volumes against their definitions."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.search import crowding, fronts, hypervolume, pareto_front
from supernet.search.pareto import along_fronts

Values = npt.NDArray[np.float64]


@st.composite
def points(draw: st.DrawFn, *, infinite: bool = False) -> Values:
    """Few different values, so that ties and equal points are common."""
    seed, count, axes = (
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 30)),
        draw(st.integers(1, 4)),
    )
    found = np.random.default_rng(seed).integers(0, 6, (count, axes)).astype(np.float64)
    if infinite:
        found[found == 5] = np.inf
    return found


def beats(one: Values, other: Values) -> bool:
    return bool((one <= other).all() and (one < other).any())


def brute_force(losses: Values) -> set[int]:
    """Finite points that nothing beats, the first of equal ones."""
    return {
        i
        for i, point in enumerate(losses)
        if np.isfinite(point).all()
        and not any(beats(other, point) for other in losses)
        and not any((other == point).all() for other in losses[:i])
    }


@given(points(infinite=True))
def test_the_front_is_what_nothing_beats(losses: Values) -> None:
    front = pareto_front(losses)
    assert set(front.tolist()) == brute_force(losses)
    assert len(front) == len(brute_force(losses))
    assert front.tolist() == sorted(front, key=lambda i: (losses[i, -1], losses[i, 0]))


def test_the_front_of_many_points_is_found_in_portions(rng: np.random.Generator) -> None:
    losses = rng.integers(0, 40, (1500, 3)).astype(np.float64)
    no_worse = (losses[:, None] <= losses[None]).all(axis=2)
    better = (losses[:, None] < losses[None]).any(axis=2)
    expected = losses[~(no_worse & better).any(axis=0)]
    found = losses[pareto_front(losses)]
    assert {tuple(row) for row in found.tolist()} == {tuple(row) for row in expected.tolist()}


@given(points(), st.integers(1, 40))
def test_ranks_are_those_of_peeling_front_after_front(losses: Values, enough: int) -> None:
    left, number, expected = list(range(len(losses))), 0, np.zeros(len(losses), dtype=np.int64)
    while left and len(losses) - len(left) < enough:
        best = [left[i] for i in sorted(brute_force(losses[left]))]
        expected[best] = number
        left = [i for i in left if i not in best]
        number += 1
    expected[left] = number
    rank = fronts(losses, enough)
    assert np.bincount(rank).tolist() == np.bincount(expected).tolist()
    for row in {tuple(point) for point in losses.tolist()}:  # which of equal ones is free
        same = (losses == row).all(axis=1)
        assert sorted(rank[same]) == sorted(expected[same])


@given(points(infinite=True), st.integers(1, 40))
def test_no_point_ranks_before_one_that_beats_it(losses: Values, enough: int) -> None:
    rank = fronts(losses, enough)
    for i, j in itertools.permutations(range(len(losses)), 2):
        if beats(losses[i], losses[j]):
            assert rank[i] <= rank[j]


def test_crowding_is_the_distance_of_the_neighbours_and_infinite_at_the_ends() -> None:
    losses = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0], [5.0, 5.0]])
    found = crowding(losses, np.array([0, 0, 0, 0, 1]))
    assert found.tolist() == pytest.approx([np.inf, 3 / 5 + 3 / 5, 3 / 5 + 3 / 5, np.inf, np.inf])
    assert crowding(losses[:0], np.zeros(0, dtype=np.int64)).shape == (0,)


@given(points(infinite=True))
def test_the_hypervolume_is_that_of_counted_cells(losses: Values) -> None:
    """All values are whole numbers below 5: a unit cell is covered or it is not."""
    reference = np.full(losses.shape[1], 5.0)
    cells = np.indices([5] * losses.shape[1]).reshape(losses.shape[1], -1).T
    covered = [bool((losses <= cell).all(axis=1).any()) for cell in cells]
    assert hypervolume(losses, reference) == pytest.approx(sum(covered))


def test_points_along_the_fronts_are_evenly_spread_and_come_from_the_next_where_one_is_short():
    best = np.stack([np.arange(8.0), 7.0 - np.arange(8.0)], axis=1)
    losses = np.concatenate([best + 1, best, [[np.inf, 0.0]]])
    own = pareto_front(losses).tolist()
    assert along_fronts(losses, 2).tolist() == [own[2], own[6]]
    assert along_fronts(losses, 8).tolist() == own
    assert along_fronts(losses, 9).tolist()[:8] == own
    assert set(along_fronts(losses, 9).tolist()[8:]) <= set(range(8))
    assert sorted(along_fronts(losses, 99).tolist()) == list(range(16))
    assert along_fronts(losses, 0).tolist() == []
