"""What is dropped is dominated, and with two objectives all of that is dropped."""

import numpy as np
import pytest

from supernet.search.dominance import undominated


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_only_dominated_points_are_dropped(objectives: int, seed: int):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 5, 400)
    points = rng.integers(0, 12, (400, objectives)).astype(float)  # with many equal ones
    kept = undominated(groups, points)
    assert len(set(kept.tolist())) == len(kept)
    no_worse = (points[kept][:, None] <= points[None]).all(axis=2)
    covers = no_worse & (groups[kept][:, None] == groups[None])
    assert covers.any(axis=0).all()  # what was dropped has one that is as good
    assert len(kept) < 300
    if objectives <= 2:
        assert (covers[:, kept].sum(axis=0) == 1).all()  # what was kept has itself only


def test_nothing_is_left_of_nothing():
    for objectives in (1, 2, 3):
        assert not len(undominated(np.zeros(0, dtype=np.int64), np.zeros((0, objectives))))
