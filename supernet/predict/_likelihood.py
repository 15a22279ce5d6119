"""The kernel of the Gaussian process, and its marginal likelihood with gradients."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from supernet.predict._minimise import minimise
from supernet.predict._triangular import inverse_of_lower
from supernet.predict.contract import Values

__all__ = ["Kernel", "Split", "distances", "matern"]

_MOST = 800  # pairs that the parameters are found with: the time grows with the cube
_STEPS = 30
_JITTER = 1e-5
_FEW, _WIDTHS = (50, 70), (0.7, 3.0)  # pairs, and standard deviation of the logarithms' prior
_LOW, _HIGH = -14.0, 6.0
_LOWEST_NOISE = -8.0

Floats = TypeVar("Floats", npt.NDArray[np.float32], npt.NDArray[np.float64])


def distances(first: Floats, second: Floats) -> Floats:
    """Squared Euclidean distances, shape ``(N, M)``."""
    found = first @ (-2 * second.T)
    found += np.square(first).sum(1)[:, None]
    found += np.square(second).sum(1)[None]
    np.maximum(found, 0, out=found)
    return found


def matern(squared: Floats) -> Floats:
    """Matern 5/2 of squared distances."""
    squared *= 5
    root = np.sqrt(squared)
    squared /= 3
    squared += root
    squared += 1
    np.negative(root, out=root)
    np.exp(root, out=root)
    squared *= root
    return squared


@dataclass(frozen=True, slots=True)
class Split:
    """What the parameters of a kernel are."""

    relevance: Values
    """1 / squared length of each feature."""
    linear: Values
    """Prior variance of the weight of each linear feature."""
    signal: float
    """Variance of the Matern part."""
    noise: float
    """Variance of the labels' noise."""


class Kernel:
    """A linear and a Matern 5/2 part.

    Args:
        features: of the Matern part, shape ``(N, F)``.
        linear: of the linear part, shape ``(N, L)``.
        groups: which of the linear features share a variance, shape ``(L,)``.
    """

    def __init__(self, features: Values, linear: Values, groups: npt.NDArray[np.int64]) -> None:
        self._features, self._linear, self._groups = features, linear, groups
        self._count = int(groups.max()) + 1 if len(groups) else 0
        self.size = features.shape[1] + self._count + 2

    def split(self, parameters: Values) -> Split:
        """The parameters by their meaning."""
        width = self._features.shape[1]
        values = np.exp(parameters)
        return Split(
            relevance=values[:width],
            linear=values[width:-2][self._groups],
            signal=float(values[-2]) if width else 0.0,
            noise=float(values[-1]) + _JITTER,
        )

    def matrix(self, parameters: Values) -> Values:
        """Covariance of the pairs with noise, shape ``(N, N)``."""
        split = self.split(parameters)
        own = self._features * np.sqrt(split.relevance)
        kernel = split.signal * matern(distances(own, own))
        kernel += (self._linear * split.linear) @ self._linear.T
        kernel[np.diag_indices(len(kernel))] += split.noise
        return kernel

    def fit(self, target: Values, seed: int) -> Values:
        """Parameters of the highest marginal likelihood under a prior.

        It is weak where there are many pairs. A few dozen cannot tell which of a hundred
        features matter: under a weak prior they find some that explain them by chance, and
        what is then predicted to be best is far from it.
        """
        width = self._features.shape[1]
        start = np.full(self.size, np.log(0.3 / max(self._count, 1)))
        start[:width] = np.log(0.5 / max(width, 1))
        start[-2:] = 0.0, np.log(0.05)
        low, high = np.full(self.size, _LOW), np.full(self.size, _HIGH)
        low[-2:], high[-2:] = _LOWEST_NOISE, 2.0
        rows = np.arange(len(target))
        if len(rows) > _MOST:
            rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:_MOST])
        own = Kernel(self._features[rows], self._linear[rows], self._groups)
        prior = float(np.interp(len(rows), _FEW, _WIDTHS))

        def objective(parameters: Values) -> tuple[float, Values]:
            value, gradient = own.likelihood(parameters, target[rows])
            away = (parameters - start) / prior
            away[-2:] = 0.0
            return 0.5 * float(away @ away) - value, away / prior - gradient

        return minimise(objective, start, low, high, _STEPS)

    def likelihood(self, parameters: Values, target: Values) -> tuple[float, Values]:
        """Logarithm of the marginal likelihood, and its gradient; minus infinity for none."""
        split, width = self.split(parameters), self._features.shape[1]
        own = self._features * np.sqrt(split.relevance)
        squared = distances(own, own)
        root = np.sqrt(5 * squared)
        decay = np.exp(-root)
        near = (1 + root + 5 / 3 * squared) * decay
        kernel = split.signal * near + (self._linear * split.linear) @ self._linear.T
        kernel[np.diag_indices(len(kernel))] += split.noise
        try:
            cholesky = np.linalg.cholesky(kernel)
        except np.linalg.LinAlgError:
            return -np.inf, np.zeros_like(parameters)
        lower = inverse_of_lower(cholesky)
        inverse = lower.T @ lower
        weights = inverse @ target
        value = -0.5 * float(target @ weights) - float(np.log(np.diag(cholesky)).sum())
        slope = 0.5 * (np.outer(weights, weights) - inverse)  # of the value by the kernel
        gradient = np.empty_like(parameters)
        by_distance = slope * (-5 / 6 * split.signal) * (1 + root) * decay
        total = by_distance.sum(1)
        apart = 2 * (np.square(own) * total[:, None] - own * (by_distance @ own)).sum(0)
        gradient[:width] = apart
        each = split.linear * (self._linear * (slope @ self._linear)).sum(0)
        gradient[width:-2] = np.bincount(self._groups, each, minlength=self._count)
        gradient[-2] = split.signal * float((slope * near).sum())
        gradient[-1] = (split.noise - _JITTER) * float(np.trace(slope))
        return value, gradient
