"""Fronts, ranks, crowding and hypervolume against brute force."""

import numpy as np
import pytest

from supernet.search import crowding, fronts, hypervolume, pareto_front


def dominated(points: np.ndarray, i: int) -> bool:
    """By another point, or by an equal one that comes before."""
    no_worse = (points <= points[i]).all(axis=1)
    better = (points < points[i]).any(axis=1)
    equal_before = (points == points[i]).all(axis=1) & (np.arange(len(points)) < i)
    return bool((no_worse & better).any() or equal_before.any())


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_the_front_is_that_of_brute_force(objectives: int, levels: int, seed: int):
    points = np.random.default_rng(seed).integers(0, levels, (150, objectives)).astype(float)
    expected = [i for i in range(len(points)) if not dominated(points, i)]
    assert sorted(pareto_front(points).tolist()) == expected


def test_more_points_than_a_block_of_comparisons():
    points = np.random.default_rng(0).random((1500, 3))
    expected = [i for i in range(len(points)) if not dominated(points, i)]
    assert sorted(pareto_front(points).tolist()) == expected


def test_the_front_is_ordered_by_the_last_objective():
    points = np.random.default_rng(1).random((200, 2))
    front = points[pareto_front(points)]
    assert (np.diff(front[:, 1]) > 0).all()
    assert (np.diff(front[:, 0]) < 0).all()


def test_points_without_a_value_are_on_no_front():
    points = np.array([[np.inf, 0.0], [1.0, 1.0], [0.5, np.inf]])
    assert pareto_front(points).tolist() == [1]
    assert pareto_front(np.full((3, 2), np.inf)).tolist() == []
    assert pareto_front(np.zeros((0, 2))).tolist() == []


@pytest.mark.parametrize("objectives", [2, 3])
def test_ranks_peel_one_front_after_the_other(objectives: int):
    points = np.random.default_rng(2).random((120, objectives))
    rank = fronts(points, len(points))
    for number in range(int(rank.max()) + 1):
        left = np.flatnonzero(rank >= number)
        assert set(left[pareto_front(points[left])]) == set(np.flatnonzero(rank == number))


def test_no_more_fronts_are_peeled_than_needed():
    points = np.random.default_rng(3).random((300, 2))
    rank, whole = fronts(points, 40), fronts(points, 300)
    last = rank.max()
    assert (rank[rank < last] == whole[rank < last]).all()
    assert (rank < last).sum() >= 40


def test_ranks_of_points_without_a_value_end():
    assert fronts(np.full((4, 2), np.inf), 4).tolist() == [0, 0, 0, 0]


def test_the_ends_of_a_front_are_infinitely_far_apart():
    points = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0], [5.0, 5.0]])
    distance = crowding(points, np.array([0, 0, 0, 0, 1]))
    assert np.isinf(distance[[0, 3, 4]]).all()
    # NSGA-II: the gap between both neighbours, as a share of the range, summed over axes
    assert distance[1] == pytest.approx(3 / 5 + 3 / 5)
    assert distance[2] == pytest.approx(3 / 5 + 2 / 5)


def test_the_hypervolume_of_known_shapes():
    assert hypervolume(np.array([[1.0, 1.0]]), np.array([3.0, 2.0])) == 2.0
    stairs = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [2.5, 2.5]])
    assert hypervolume(stairs, np.array([3.0, 3.0])) == 6.0
    assert hypervolume(np.array([[0.0, 0.0, 0.0]]), np.array([1.0, 2.0, 3.0])) == 6.0
    assert hypervolume(np.array([[4.0, 0.0]]), np.array([3.0, 3.0])) == 0.0


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_the_hypervolume_is_the_share_of_random_points_that_are_dominated(objectives: int):
    rng = np.random.default_rng(4)
    points, drawn = rng.random((15, objectives)), rng.random((40_000, objectives))
    better = np.all(points[None] <= drawn[:, None], axis=2)
    share = float(np.any(better, axis=1).mean())
    assert hypervolume(points, np.ones(objectives)) == pytest.approx(share, abs=0.01)
