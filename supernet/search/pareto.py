"""Dominance among points; every objective the less the better."""

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

__all__ = ["Index", "along_fronts", "crowding", "fronts", "pareto_front"]

Values = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_BLOCK = 512  # rows compared with all others at a time


def pareto_front(losses: Values) -> Index:
    """Indices of the points of ``(N, M)`` that no other beats in all objectives.

    Ordered by the last objective, then the first; of equal points only the first is kept.
    Points with an infinite loss are on no front.
    """
    finite = np.flatnonzero(np.isfinite(losses).all(axis=1))
    points = losses[finite]
    order = np.lexsort(np.concatenate([points.T, [np.arange(len(points))]])[::-1])
    order = order[_first_of_equals(points[order])]
    kept = order[_best(points[order])]
    kept = kept[np.lexsort((points[kept, 0], points[kept, -1]))]
    return finite[kept]


def along_fronts(losses: Values, count: int) -> Index:
    """Indices of points of ``(N, M)``, spread along the front; from the next ones if it is short.

    Points with an infinite loss are on no front.
    """
    found, left = np.zeros(0, dtype=np.int64), np.arange(len(losses))
    while len(found) < count and len(front := pareto_front(losses[left])):
        wanted = min(len(front), count - len(found))
        steps = ((np.arange(wanted) + 0.5) * (len(front) / wanted)).astype(np.int64)
        found = np.concatenate([found, left[front[steps]]])
        left = np.delete(left, front)
    return found


def _first_of_equals(points: Values) -> npt.NDArray[np.bool_]:
    """Where a sorted row differs from the one before."""
    differ = (points[1:] != points[:-1]).any(axis=1)
    return np.concatenate([np.ones(min(1, len(points)), dtype=bool), differ])


def _best(points: Values) -> npt.NDArray[np.bool_]:
    """Which rows, in lexicographic order and without equals, are dominated by none."""
    if points.shape[1] == 1:
        first: npt.NDArray[np.bool_] = np.arange(len(points)) == 0
        return first
    if points.shape[1] == 2:  # better than all before in the second
        before = np.concatenate([[np.inf], np.minimum.accumulate(points[:, 1])[:-1]])
        lower: npt.NDArray[np.bool_] = points[:, 1] < before
        return lower
    kept = np.zeros((0, points.shape[1]))
    found = np.zeros(len(points), dtype=bool)
    for start in range(0, len(points), _BLOCK):  # only earlier rows dominate
        block = points[start : start + _BLOCK]
        alive = ~_dominated(block, kept)
        alive[alive] = ~_dominated(block[alive], block[alive])
        found[start : start + _BLOCK] = alive
        kept = np.concatenate([kept, block[alive]])
    return found


def _dominated(points: Values, others: Values) -> npt.NDArray[np.bool_]:
    """Which points some other point is at least as good as in all, and not equal to."""
    found = np.zeros(len(points), dtype=bool)
    for start in range(0, len(others), _BLOCK):
        near = others[start : start + _BLOCK]
        no_worse = np.all(near[None] <= points[:, None], axis=2)
        better = np.any(near[None] < points[:, None], axis=2)
        found |= np.any(no_worse & better, axis=1)
    return found


def fronts(losses: Values, enough: int) -> npt.NDArray[np.int64]:
    """Number of the front of each point of ``(N, M)``, 0 for the best (NSGA-II, Deb 2002).

    Fronts are peeled off until they hold `enough` points; all others get the next number.
    Equal points lie on one front after the other.
    """
    order = np.lexsort(losses.T[::-1])
    if losses.shape[1] <= 2:
        return _capped(_sweep(losses[order]), order, enough)
    rank = np.full(len(losses), -1, dtype=np.int64)
    left = order
    number = done = 0
    while len(left) and done < enough:
        points = losses[left]
        fresh = np.flatnonzero(_first_of_equals(points))
        best = np.zeros(len(left), dtype=bool)
        best[fresh[_best(points[fresh])]] = True
        rank[left[best]] = number
        done += int(best.sum())
        left = left[~best]
        number += 1
    rank[left] = number
    return rank


def _sweep(points: Values) -> npt.NDArray[np.int64]:
    """Front of each row of sorted points in one pass (Jensen, IEEE TEVC 7(5), 2003).

    A row lies on the first front that has nothing as good in the last objective. Peeling
    would take a pass a front, and there are as many as points where the objectives agree.
    """
    if points.shape[1] == 1:
        return np.arange(len(points))
    lowest: list[float] = []  # of each front in the last objective; ascending
    rank = []
    for value in points[:, 1].tolist():
        number = bisect_right(lowest, value)
        lowest[number : number + 1] = [value]
        rank.append(number)
    return np.array(rank, dtype=np.int64)


def _capped(rank: Index, order: Index, enough: int) -> Index:
    """Ranks of sorted points in the order of the points, one number behind enough of them."""
    held = np.cumsum(np.bincount(rank, minlength=1))
    found = np.empty(len(rank), dtype=np.int64)
    found[order] = np.minimum(rank, np.searchsorted(held, enough) + 1 if enough > 0 else 0)
    return found


def crowding(losses: Values, rank: Index) -> Values:
    """Distance to the neighbours on the same front (NSGA-II), infinite for its ends.

    Args:
        losses: shape ``(N, M)``.
        rank: number of the front of each point, shape ``(N,)``.
    """
    distance = np.zeros(len(losses))
    for values in losses.T:
        order = np.lexsort((values, rank))
        ordered, numbers = values[order], rank[order]
        gap = np.full(len(values), np.inf)
        inside = (numbers[2:] == numbers[1:-1]) & (numbers[1:-1] == numbers[:-2])
        with np.errstate(invalid="ignore"):
            gap[1:-1][inside] = (ordered[2:] - ordered[:-2])[inside]
        finite = values[np.isfinite(values)]
        spread = float(np.ptp(finite)) if len(finite) else 1.0
        distance[order] += np.nan_to_num(gap, nan=0.0, posinf=np.inf) / (spread or 1.0)
    return distance
