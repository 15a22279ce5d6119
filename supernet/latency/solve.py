"""Least squares that cannot go below zero, and least absolute errors with a penalty."""

import numpy as np
import numpy.typing as npt

__all__ = ["least_absolute", "nonnegative_least_squares"]

Values = npt.NDArray[np.float64]

_ROUNDS = 12  # of re-weighting; the error changes in the fourth digit after that
_SMALLEST = 0.003  # residual below which all count alike


def nonnegative_least_squares(matrix: Values, target: Values) -> Values:
    """The ``x >= 0`` of least ``|matrix @ x - target|``, by active sets.

    Lawson & Hanson, Solving Least Squares Problems, 1974, ch. 23. Shapes ``(N, T)``,
    ``(N,)`` and ``(T,)``.
    """
    scale = np.abs(matrix).max(axis=0, initial=0.0)
    used = np.flatnonzero(scale > 0)
    scaled = matrix[:, used] / scale[used]
    found = np.zeros(matrix.shape[1])
    found[used] = _active_sets(scaled, target) / scale[used]
    return found


def _active_sets(matrix: Values, target: Values) -> Values:
    gram, toward = matrix.T @ matrix, matrix.T @ target
    x = np.zeros(matrix.shape[1])
    free = np.zeros(len(x), dtype=bool)
    enough = 1e-10 * np.abs(toward).max(initial=0.0)
    for _ in range(10 * len(x)):
        gain = np.where(free, -np.inf, toward - gram @ x)
        best = int(gain.argmax()) if len(x) else 0
        if not len(x) or gain[best] <= enough:
            break
        free[best] = True
        while free.any():
            trial = np.zeros(len(x))
            trial[free] = np.linalg.lstsq(gram[np.ix_(free, free)], toward[free], rcond=None)[0]
            if trial[free].min() > 0:
                x = trial
                break
            stop = free & (trial <= 0)
            x = x + (x[stop] / (x[stop] - trial[stop])).min() * (trial - x)
            free &= x > 1e-15
            x[~free] = 0
    return x


def least_absolute(
    matrix: Values, target: Values, penalty: Values, *, weights: Values | None = None
) -> Values:
    """The x of least mean ``|matrix @ x - target|``, with a penalty on squares.

    By repeatedly re-weighted least squares (Holland & Welsch, 1977), so that the slow
    runs of a noisy measurement do not draw the fit towards them.

    Args:
        matrix: shape ``(N, T)``.
        target: shape ``(N,)``, of the order of 1.
        penalty: per column, of its squared coefficient, shape ``(T,)``.
        weights: of the rows, shape ``(N,)``; all alike when not given.
    """
    own = np.ones(len(target)) if weights is None else weights
    near = own / own.mean()
    # columns that no row has say nothing: keep the system solvable
    ridge = np.diag(np.maximum(penalty, 1e-9) * len(target))
    x = np.zeros(matrix.shape[1])
    for _ in range(_ROUNDS):
        weighted = matrix * near[:, None]
        x = np.linalg.solve(weighted.T @ matrix + ridge, weighted.T @ target)
        near = own / np.maximum(np.abs(matrix @ x - target), _SMALLEST)
        near /= near.mean()
    return x
