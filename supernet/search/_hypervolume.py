"""How much of the objective space a front covers."""

import numpy as np
import numpy.typing as npt

from supernet.search.pareto import pareto_front

__all__ = ["hypervolume"]

Values = npt.NDArray[np.float64]


def hypervolume(losses: Values, reference: Values) -> float:
    """Volume between points ``(N, M)`` and a reference ``(M,)``, all the less the better.

    Exact, by slicing along the last objective (Fonseca et al., CEC 2006, without the
    pruning): fast for two objectives, fine for three and a few hundred points.
    """
    points = losses[(losses < reference).all(axis=1)]
    points = points[pareto_front(points)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points[:, 0].min())
    if points.shape[1] == 2:  # the front descends in the first while the last ascends
        last = np.append(points[1:, 1], reference[1])
        return float(((reference[0] - points[:, 0]) * (last - points[:, 1])).sum())
    heights = np.append(points[1:, -1], reference[-1]) - points[:, -1]
    return sum(
        float(height) * hypervolume(points[: count + 1, :-1], reference[:-1])
        for count, height in enumerate(heights)
        if height > 0
    )
