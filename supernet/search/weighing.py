"""Several objectives as one number, by random weights (ParEGO, Knowles 2006, section III)."""

import numpy as np

from supernet.search.objective import Values

__all__ = ["drawn_weights", "weighed"]

_SUM = 0.05  # share of the weighted sum, so that of equal worst parts the better rest decides


def drawn_weights(count: int, objectives: int, rng: np.random.Generator) -> Values:
    """Weights that add up to 1, all mixtures alike, shape ``(count, objectives)``."""
    return rng.dirichlet(np.ones(objectives), count)


def weighed(losses: Values, weights: Values, among: Values) -> Values:
    """The largest weighted loss, and a little of their sum, the less the better, ``(W, N)``.

    Infinite where a loss is.

    Args:
        losses: shape ``(N, M)``.
        weights: shape ``(W, M)``.
        among: losses whose lowest and highest values become 0 and 1, shape ``(K, M)``.
    """
    finite = among[np.isfinite(among).all(axis=1)]
    if not len(finite):
        return np.where(np.isfinite(losses).all(axis=1), 0.0, np.inf) + np.zeros((len(weights), 1))
    low = finite.min(axis=0)
    scale = finite.max(axis=0) - low
    scaled = (losses - low) / np.where(scale > 0, scale, 1.0)
    parts = scaled * np.maximum(weights, 1e-9)[:, None, :]  # a loss that is infinite stays so
    found: Values = parts.max(axis=2) + _SUM * parts.sum(axis=2)
    return found
