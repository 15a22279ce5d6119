"""From sums of operator times to latencies of whole networks.

An operator that is timed alone pays for being called, and finds its weights in the
core's own cache, where its last run left them. In a network it is called by the
runtime for less, and its weights come from farther away: the more weights a network
has, the more it loses. On a machine with 1 MB of cache a core, leaving that term out
raised the error on held-out networks from 1.9 to 2.9 %.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError

__all__ = ["Correction", "fit_correction"]

Values = npt.NDArray[np.float64]

# What is believed before a network was measured: the sum is right within 30 %, the other
# terms are within these shares of a latency. Decides only where networks are few or alike.
_PRIOR = np.array([0.3, 0.1, 0.1, 0.2])
_NOISE = 0.015  # relative, of a measured network; found from the fit where there are enough
_ENOUGH = 8  # networks to find the noise from
_LEAST_SLOPE = 0.05
_MOST_SHARE = 0.9  # of a latency, that a constant can be


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """From sums of operator times to latencies of whole networks."""

    slope: float = 1.0
    intercept_ms: float = 0.0
    per_operator_ms: float = 0.0
    """What each operator of a network adds (below zero: calling an operator alone
    costs time that it does not cost inside a network)."""
    per_mparam_ms: float = 0.0
    """What a million learned values add: in a network they come from a farther cache."""
    networks: int = 0
    """Whole networks it was fitted to."""
    mean_ms: float = 0.0
    """Their mean latency; 0 where it is not known."""

    def __post_init__(self) -> None:
        values = (self.slope, self.intercept_ms, self.per_operator_ms, self.per_mparam_ms)
        if not all(math.isfinite(value) for value in values) or self.slope <= 0:
            raise ConfigError(f"slope must be above 0 and all values finite, found {values}")
        if not 0 <= self.mean_ms < math.inf:
            raise ConfigError(f"mean_ms: must be finite and at least 0, found {self.mean_ms}")

    def apply(
        self, sums_ms: Values, counts: Values | float, params: Values | float = 0.0
    ) -> Values:
        """Latencies of networks with these sums, numbers of operators and learned values.

        Never below a tenth of the sum: a line that was fitted to large networks must
        not make small ones cost nothing.
        """
        line = self.slope * sums_ms + self.intercept_ms + self.per_operator_ms * counts
        line = line + self.per_mparam_ms * (np.asarray(params) / 1e6)
        found: Values = np.maximum(line, 0.1 * sums_ms)
        return found

    def of_parts(self) -> "Correction":
        """The correction of parts of such networks, for one the backbones.

        The constant of whole networks may be larger than a small part: a part gets the
        share of it that it has of the mean network. Where the mean is not known it gets none.
        """
        share = self.intercept_ms / self.mean_ms if self.mean_ms else 0.0
        scale = 1 / (1 - min(share, _MOST_SHARE))
        return replace(
            self,
            slope=self.slope * scale,
            intercept_ms=0.0,
            per_operator_ms=self.per_operator_ms * scale,
            per_mparam_ms=self.per_mparam_ms * scale,
        )


def fit_correction(
    sums_ms: Values, counts: Values, measured_ms: Values, params: Values | None = None
) -> Correction:
    """Least squares of relative errors, drawn to the plain sum where networks say little.

    All of shape ``(N,)``: sums of operator times, numbers of operators, measured
    latencies, learned values. Without `params` that term is left out.
    """
    columns = [sums_ms, np.ones_like(sums_ms), counts]
    columns += [] if params is None else [params / 1e6]
    terms = np.stack(columns, axis=1)
    # each term as a share of the latency that it is part of, of mean 1 over the networks
    shares = terms / measured_ms[:, None]
    scale = np.maximum(shares.mean(axis=0), 1e-12)
    scale[0] = 1.0
    shares = shares / scale
    weights = _ridge(shares, _PRIOR[: len(scale)]) / scale
    if weights[0] < _LEAST_SLOPE:  # nonsense: only the ratio can be believed
        weights = np.zeros_like(weights)
        weights[0] = 1 / shares[:, 0].mean()
    slope, intercept, per_operator, per_mparam = [*weights.tolist(), 0.0][:4]
    return Correction(
        slope=slope,
        intercept_ms=intercept,
        per_operator_ms=per_operator,
        per_mparam_ms=per_mparam,
        networks=len(measured_ms),
        mean_ms=float(measured_ms.mean()),
    )


def _ridge(shares: Values, prior: Values) -> Values:
    """Weights whose weighted terms, ``(N, T)``, add up to 1, near 1 for the first."""
    count, start = len(shares), np.eye(len(prior))[0]
    noise = _NOISE
    weights: Values = start
    for _ in range(20):
        rows = np.concatenate([shares / noise, np.diag(1 / prior)])
        values = np.concatenate([np.ones(count) / noise, start / prior])
        weights, *_ = np.linalg.lstsq(rows, values, rcond=None)
        if count < _ENOUGH:
            break
        left = shares @ weights - 1
        noise = max(float(np.sqrt(left @ left / (count - len(prior)))), 1e-7)
    return weights
