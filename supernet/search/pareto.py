"""Two objectives: accuracy, the higher the better, and latency, the lower the better."""

import bisect

import numpy as np
import numpy.typing as npt

__all__ = ["crowding", "front_rank", "pareto_front"]

Values = npt.NDArray[np.float64]


def pareto_front(top1: Values, latency_ms: Values) -> npt.NDArray[np.int64]:
    """Indices of the points that no other point beats in both, fastest first.

    Of equal points only the first is kept. Both of shape ``(N,)``.
    """
    order = np.lexsort((-top1, latency_ms))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(top1[order])[:-1]])
    return order[top1[order] > best_before]


def front_rank(top1: Values, latency_ms: Values) -> npt.NDArray[np.int64]:
    """Number of the front that each point lies on, 0 for the best, shape ``(N,)``.

    Points are visited from the fastest on; a point belongs to the first front whose
    most accurate point so far it beats. Those accuracies descend from front to
    front, so the place is found by bisection: O(N log N) (Jensen, IEEE Trans.
    Evol. Comput. 2003, for two objectives).
    """
    rank = np.empty(len(top1), dtype=np.int64)
    worst: list[float] = []  # minus the highest accuracy of each front so far, ascending
    for index in np.lexsort((-top1, latency_ms)).tolist():
        value = -float(top1[index])
        place = bisect.bisect_right(worst, value)
        if place == len(worst):
            worst.append(value)
        else:
            worst[place] = value
        rank[index] = place
    return rank


def crowding(top1: Values, latency_ms: Values, rank: npt.NDArray[np.int64]) -> Values:
    """Distance to the neighbours on the same front (NSGA-II, Deb et al. 2002).

    Infinite for the ends of a front; shape ``(N,)``.
    """
    distance = np.zeros(len(top1))
    for values in (top1, latency_ms):
        order = np.lexsort((values, rank))
        ordered, fronts = values[order], rank[order]
        gap = np.full(len(values), np.inf)
        inside = (fronts[2:] == fronts[1:-1]) & (fronts[1:-1] == fronts[:-2])
        gap[1:-1][inside] = (ordered[2:] - ordered[:-2])[inside]
        spread = float(np.ptp(values)) or 1.0
        distance[order] += gap / spread
    return distance
