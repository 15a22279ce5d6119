"""Least squares that cannot go below zero, and least absolute errors with a penalty."""

from collections.abc import Callable

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


def least_absolute(matrix: Values, target: Values, penalty: Values) -> Values:
    """The x of least mean ``|matrix @ x - target|``, with a penalty on squares.

    By repeatedly re-weighted least squares (Holland & Welsch, 1977), so that the slow
    runs of a noisy measurement do not draw the fit towards them.

    Args:
        matrix: shape ``(N, T)``.
        target: shape ``(N,)``, of the order of 1.
        penalty: per column, of its squared coefficient, shape ``(T,)``.
    """
    near: Values = np.ones(len(target))
    # columns that no row has say nothing: keep the system solvable
    ridge = np.maximum(penalty, 1e-9) * len(target)
    solve = _by_columns if len(penalty) <= len(target) else _by_rows
    step = solve(matrix, target, ridge)
    for _ in range(_ROUNDS):
        x = step(near)
        near = 1 / np.maximum(np.abs(matrix @ x - target), _SMALLEST)
        near /= near.mean()
    return x


def _by_columns(matrix: Values, target: Values, ridge: Values) -> Callable[[Values], Values]:
    """The x of least squares for weights of the rows, from a system of shape ``(T, T)``."""

    def solved(near: Values) -> Values:
        weighted = matrix * near[:, None]
        gram = weighted.T @ matrix + np.diag(ridge)
        return np.linalg.solve(gram, weighted.T @ target).astype(np.float64, copy=False)

    return solved


def _by_rows(matrix: Values, target: Values, ridge: Values) -> Callable[[Values], Values]:
    """The same from a system of shape ``(N, N)``: far less work where rows are few.

    By ``(A'WA + R)^-1 A'W = R^-1 A' (A R^-1 A' + W^-1)^-1`` (Woodbury).
    """
    spread = matrix.T / ridge[:, None]  # (T, N)
    products = matrix @ spread  # (N, N)

    def solved(near: Values) -> Values:
        x: Values = spread @ np.linalg.solve(products + np.diag(1 / near), target)
        return x

    return solved
