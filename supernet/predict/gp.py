"""A Gaussian process over subnets: good from a hundred accuracy pairs on.

Its kernel is a linear part over the choices, with one variance a gene, and a Matern 5/2
part over numbers that describe the subnet (costs of the whole and of each stage, means
over blocks, choices), with one length each: *automatic relevance determination*
(Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, ch. 2 and 5). All of
them maximise the marginal likelihood under a prior, which is weak from 70 pairs on.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.predict._features import Standardised
from supernet.predict._likelihood import Kernel, distances, matern
from supernet.predict._terms import Tables, design, single_terms
from supernet.predict._triangular import inverse_of_lower, norms
from supernet.predict.contract import AccuracyPairs, Additive, Values
from supernet.space import Genes

__all__ = ["GaussianProcess", "fit_gp", "load_gp"]

_CHUNK = 4096


class GaussianProcess:
    """A Gaussian process that was fitted to pairs.

    Args:
        pairs: that it learns.
        parameters: of the kernel, logarithms, shape ``(P,)``; found when not given.
        seed: of the pairs that the parameters are found with where there are many.
    """

    def __init__(
        self, pairs: AccuracyPairs, parameters: Values | None = None, seed: int = 0
    ) -> None:
        self._terms = single_terms(pairs.space)
        self._standardised = Standardised.of(pairs.space, pairs.genes)
        self._features = self._standardised(pairs.genes)
        linear = design(self._terms, pairs.genes)
        self._centre = linear.mean(0)
        self._linear = linear - self._centre
        sizes = [term.basis.shape[-1] for term in self._terms]
        self._kernel = Kernel(self._features, self._linear, np.repeat(np.arange(len(sizes)), sizes))
        target = pairs.target
        self._mean, self._scale = float(target.mean()), float(target.std()) or 1.0
        normal = (target - self._mean) / self._scale
        if parameters is None:
            parameters = self._kernel.fit(normal, seed)
        elif parameters.shape != (self._kernel.size,):
            raise ConfigError(
                f"state.parameters: expected {self._kernel.size}, found {parameters.size}"
            )
        self._parameters = parameters
        self._split = self._kernel.split(parameters)
        self._inverse = inverse_of_lower(np.linalg.cholesky(self._kernel.matrix(parameters)))
        self._weights = self._inverse.T @ (self._inverse @ normal)
        self._lengths = np.sqrt(self._split.relevance)
        self._places = self._features * self._lengths
        self._near: npt.NDArray[np.float32] = self._places.astype(np.float32)
        self._near_weights = (self._scale * self._split.signal * self._weights).astype(np.float32)
        weights = self._scale * self._split.linear * (self._linear.T @ self._weights)
        self._offset = self._mean - float(self._centre @ weights)
        self._tables = Tables(pairs.space, self._terms, weights)

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        found = self._offset + self._tables(genes)
        if self._split.signal == 0:
            return found
        for start in range(0, len(genes), _CHUNK):
            rows = genes[start : start + _CHUNK]
            own = (self._standardised(rows) * self._lengths).astype(np.float32)
            near = matern(distances(own, self._near))
            found[start : start + _CHUNK] += near @ self._near_weights
        return found

    @property
    def parameters(self) -> Values:
        """Of the kernel, logarithms, shape ``(P,)``."""
        return self._parameters

    def std(self, genes: Genes, *, noise: bool = True) -> Values:
        """Posterior standard deviation of a new measurement, in percentage points.

        Args:
            genes: shape ``(N, G)``.
            noise: that of the measurement counts, too.
        """
        return self.moments(genes, noise=noise)[1]

    def moments(self, genes: Genes, *, noise: bool = True) -> tuple[Values, Values]:
        """What `mean` and `std` say, in less time than both take; each of shape ``(N,)``."""
        mean, std = self._offset + self._tables(genes), np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            part = slice(start, start + _CHUNK)
            linear = design(self._terms, genes[part]) - self._centre
            own = self._standardised(genes[part]) * self._lengths
            kernel = matern(distances(own, self._places))
            kernel *= self._split.signal
            mean[part] += self._scale * (kernel @ self._weights)
            weighted = linear * self._split.linear
            kernel += weighted @ self._linear.T
            prior = self._split.signal + (weighted * linear).sum(1)
            variance = np.maximum(prior - norms(self._inverse, kernel.T), 1e-12)
            variance += self._split.noise if noise else 0.0
            std[part] = self._scale * np.sqrt(variance)
        return mean, std

    def additive(self) -> Additive:
        """The linear part; the other is within its norm, and between its weights' sums.

        The norm is that of the space of functions that the kernel makes (Cauchy-Schwarz: no
        value is above the norm times that of the kernel at a point, which is 1). With 400
        pairs it is some hundred times tighter than the sums.
        """
        weights = self._near_weights.astype(np.float64)
        places = self._near.astype(np.float64)
        near = matern(distances(places, places))
        norm = float(np.sqrt(max(float(weights @ near @ weights), 0.0)))
        slack = 1e-5 * float(np.abs(weights).sum())  # of single precision
        return Additive(
            tables=self._tables.tables,
            offset=self._offset,
            rest_low=-min(norm, float(np.maximum(-weights, 0).sum())) - slack,
            rest_high=min(norm, float(np.maximum(weights, 0).sum())) + slack,
        )

    def state(self) -> Mapping[str, Any]:
        """The parameters of the kernel."""
        return {"parameters": [round(value, 6) for value in self._parameters.tolist()]}


def fit_gp(pairs: AccuracyPairs, seed: int = 0) -> GaussianProcess:
    """A Gaussian process with the parameters that suit the pairs."""
    return GaussianProcess(pairs, seed=seed)


def load_gp(pairs: AccuracyPairs, state: Mapping[str, Any]) -> GaussianProcess:
    """A Gaussian process from its state; its parameters are found where there is none."""
    values = state.get("parameters")
    if values is None:
        return GaussianProcess(pairs)
    if not isinstance(values, list | tuple) or not all(
        isinstance(value, int | float) and -20 <= value <= 10 for value in values
    ):
        raise ConfigError("state.parameters: must be numbers from -20 to 10")
    return GaussianProcess(pairs, np.array(values, dtype=np.float64))
