"""Which of many points may be dropped because another of their group is as good in all."""

import numpy as np
import numpy.typing as npt

__all__ = ["undominated"]

Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_NEAR = 48
"""Points that each is compared with where there are more than two objectives."""


def undominated(groups: Index, points: Values) -> Index:
    """Indices of points that no other of their group is at least as good as in everything.

    Of equal points one is kept. With one or two objectives all others are dropped; with
    more, each point is compared with those beside it only, in the order of each objective.

    Args:
        groups: of each point, shape ``(N,)``.
        points: the less the better, shape ``(N, M)``.
    """
    if points.shape[1] <= 2:
        return _sweep(groups, points)
    left = np.arange(len(points))
    for first in range(points.shape[1]):
        keys = [*np.delete(points[left], first, axis=1).T, points[left, first], groups[left]]
        left = left[np.lexsort(keys)]
        left = left[~_near(groups[left], points[left])]
    return left


def _sweep(groups: Index, points: Values) -> Index:
    """By the first objective, and of each group those that are better than all before."""
    order = np.lexsort([points[:, -1], points[:, 0], groups])
    changes = np.diff(groups[order], prepend=groups[order[:1]]) != 0
    _, place = np.unique(points[:, -1], return_inverse=True)
    place = place[order] - len(points) * np.cumsum(changes)  # a later group begins below
    before = np.minimum.accumulate(place)[:-1]
    kept = np.concatenate([np.ones(min(1, len(points)), dtype=bool), place[1:] < before])
    found: Index = order[kept]
    return found


def _near(groups: Index, points: Values) -> npt.NDArray[np.bool_]:
    """Which sorted points one of those just before them dominates, or equals."""
    found = np.zeros(len(points), dtype=bool)
    columns = np.ascontiguousarray(points.T)
    for shift in range(1, min(_NEAR, len(points))):
        same = groups[shift:] == groups[:-shift]
        if not same.any():
            break
        for values in columns:
            same &= values[:-shift] <= values[shift:]
        found[shift:] |= same
    return found
