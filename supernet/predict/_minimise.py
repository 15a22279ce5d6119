"""L-BFGS with bounds by projection: enough for a marginal likelihood, and no dependency."""

from collections.abc import Callable

import numpy as np

from supernet.predict.contract import Values

__all__ = ["minimise"]

_MEMORY = 8
_LONGEST = 1.5  # of a step in any coordinate: parameters are logarithms


def minimise(
    function: Callable[[Values], tuple[float, Values]],
    start: Values,
    low: Values,
    high: Values,
    steps: int,
) -> Values:
    """Where `function`, which also returns its gradient, is small (Nocedal 1980).

    Args:
        function: value and gradient at a point of shape ``(P,)``.
        start: first point.
        low: bounds, shape ``(P,)``.
        high: bounds, shape ``(P,)``.
        steps: the most steps.
    """
    point = np.clip(start, low, high)
    value, gradient = function(point)
    history: list[tuple[Values, Values]] = []
    for _ in range(steps):
        direction = -_newton(gradient, history)
        if direction @ gradient >= 0:
            history.clear()
            direction = -gradient
        length = min(1.0, _LONGEST / max(float(np.abs(direction).max()), 1e-12))
        for _ in range(12):
            moved = np.clip(point + length * direction, low, high)
            new_value, new_gradient = function(moved)
            if new_value <= value + 1e-4 * float(gradient @ (moved - point)):
                break
            length *= 0.4
        else:
            return point
        step, change = moved - point, new_gradient - gradient
        if step @ change > 1e-10:
            history = [*history[1 - _MEMORY :], (step, change)]
        improved = value - new_value
        point, value, gradient = moved, new_value, new_gradient
        if improved < 1e-4 * max(1.0, abs(value)) * 0.01:
            return point
    return point


def _newton(gradient: Values, history: list[tuple[Values, Values]]) -> Values:
    """The gradient times the inverse Hessian that the last steps suggest."""
    found = gradient.copy()
    kept: list[float] = []
    for step, change in reversed(history):
        kept.append(float(step @ found) / float(step @ change))
        found -= kept[-1] * change
    if history:
        step, change = history[-1]
        found *= float(step @ change) / float(change @ change)
    for (step, change), share in zip(history, reversed(kept)):
        found += (share - float(change @ found) / float(step @ change)) * step
    return found
