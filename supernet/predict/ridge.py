"""Ridge regression: every choice adds something, and so does every pair within a stage.

The one kind whose optimum under additive limits can be found exactly: its prediction is a
sum of tables over few genes. Regularisation is chosen by the leave-one-out error, which
has a closed form (Golub, Heath & Wahba, Technometrics 1979).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.predict._terms import Tables, design, pair_terms, single_terms
from supernet.predict.contract import AccuracyPairs, Additive, Values
from supernet.space import Genes, Space

__all__ = ["Ridge", "fit_ridge", "load_ridge"]

_PAIR_SHARES = (0.0, 0.02, 0.1, 0.4)
"""Prior variance of a pair's weight / of a single choice's, tried in turn."""
_STRENGTHS = np.geomspace(1e-3, 1e3, 25)
"""Regularisation tried in turn."""


@dataclass(frozen=True, slots=True)
class _Solved:
    loo: float
    weights: Values
    basis: Values
    shrunk: Values
    strength: float


class Ridge:
    """A fitted ridge regression.

    Args:
        pairs: that it learns.
        pair_share: prior variance of a pair's weight / of a single choice's.
        strength: regularisation; chosen when not given.
    """

    def __init__(self, pairs: AccuracyPairs, pair_share: float, strength: float = 0.0) -> None:
        self._space: Space = pairs.space
        self._terms = [*single_terms(pairs.space)]
        singles = sum(term.basis.shape[-1] for term in self._terms)
        if pair_share:
            self._terms += pair_terms(pairs.space)
        features = design(self._terms, pairs.genes)
        self._scale = np.full(features.shape[1], np.sqrt(pair_share))
        self._scale[:singles] = 1.0
        self._centre = features.mean(0)
        target = pairs.target
        solved = _solve((features - self._centre) * self._scale, target - target.mean(), strength)
        self.loo, self.strength, self.pair_share = solved.loo, solved.strength, pair_share
        self._basis, self._shrunk = solved.basis, solved.shrunk
        weights = solved.weights * self._scale
        self._offset = float(target.mean() - self._centre @ weights)
        self._tables = Tables(pairs.space, self._terms, weights)

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        return self._offset + self._tables(genes)

    def std(self, genes: Genes) -> Values:
        """Posterior standard deviation of a new measurement over that of the noise."""
        features = (design(self._terms, genes) - self._centre) * self._scale
        inside = features @ self._basis
        outside = np.square(features).sum(1) - np.square(inside).sum(1)
        variance = np.square(inside) @ self._shrunk + np.maximum(outside, 0) / self.strength
        found: Values = np.sqrt(1 + variance)
        return found

    def additive(self) -> Additive:
        """All of it."""
        return Additive(tables=self._tables.tables, offset=self._offset)

    def state(self) -> Mapping[str, Any]:
        """The two regularisation parameters."""
        return {"pair_share": self.pair_share, "strength": self.strength}


def _solve(features: Values, target: Values, strength: float) -> _Solved:
    """Weights for the regularisation of the smallest leave-one-out error, or for a given one."""
    left, singular, right = _decompose(features)
    projected = left.T @ target
    best: tuple[float, float] = (np.inf, strength)
    for tried in [strength] if strength else (_STRENGTHS * len(target) / 100).tolist():
        share = singular**2 / (singular**2 + tried)
        leverage = np.square(left) @ share + 1 / len(target)
        residual = (target - left @ (share * projected)) / np.maximum(1 - leverage, 1e-9)
        best = min(best, (float(np.square(residual).mean()), tried))
    error, strength = best
    weights = right.T @ (singular / (singular**2 + strength) * projected)
    return _Solved(error, weights, right.T, 1 / (singular**2 + strength), strength)


def _decompose(features: Values) -> tuple[Values, Values, Values]:
    """Singular values and vectors, by the smaller of the two matrices of products."""
    wide = features.shape[1] > features.shape[0]
    squared, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = squared > 1e-10 * max(float(squared.max(initial=0.0)), 1e-300)
    singular, vectors = np.sqrt(squared[kept]), vectors[:, kept]
    if wide:
        return vectors, singular, (vectors / singular).T @ features
    return features @ vectors / singular, singular, vectors.T


def fit_ridge(pairs: AccuracyPairs, seed: int = 0) -> Ridge:  # noqa: ARG001  # nothing is random
    """The ridge regression of the smallest leave-one-out error."""
    return min((Ridge(pairs, share) for share in _PAIR_SHARES), key=lambda found: found.loo)


def load_ridge(pairs: AccuracyPairs, state: Mapping[str, Any]) -> Ridge:
    """A ridge regression from its state."""
    share, strength = state.get("pair_share"), state.get("strength")
    if not isinstance(share, int | float) or not 0 <= share <= 10:
        raise ConfigError(f"state.pair_share: must be from 0 to 10, found {share!r}")
    if not isinstance(strength, int | float) or not 0 < strength < 1e12:
        raise ConfigError(f"state.strength: must be above 0, found {strength!r}")
    return Ridge(pairs, float(share), float(strength))
