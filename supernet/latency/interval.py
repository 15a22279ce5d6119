"""Predictions with the interval that is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from supernet.latency.table import LatencyTable

__all__ = ["Basis", "Prediction", "with_interval"]

Basis = Literal["networks", "operators", "unknown"]
"""What an interval is taken from: whole networks that were held out; operators that were
left out of the fit of the table's model; or nothing is known."""

_UNLIKE = 0.02  # share of a latency that may be unlike all that was measured

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Latencies of a population, each array of shape ``(N,)``."""

    ms: Values
    low_ms: Values
    """Nine in ten held-out networks stayed within this and `high_ms`; NaN where the
    `basis` is unknown."""
    high_ms: Values
    basis: Basis
    measured: Counts
    """Operators whose time was measured."""
    interpolated: Counts
    """Operators that were measured at other input sizes only."""
    fitted: Counts
    """Operators that the table's model prices."""


def with_interval(
    table: "LatencyTable",
    ms: Values,
    fitted_share: Values,
    counts: Sequence[Counts],
    unlike_share: Values,
) -> Prediction:
    """A prediction with the widest error that its operators suggest.

    Args:
        table: that it was made with.
        ms: shape ``(N,)``, as all others.
        fitted_share: of the sum, what the model prices, from 0 to 1.
        counts: operators by origin.
        unlike_share: of the sum, what operators take that are unlike all that the model
            was fitted to. A little of it (a classifier of few classes, say) is added to the
            error whole; with more than a fiftieth nothing is known.
    """
    held_out, error = table.held_out, table.model.error
    of_model = error.unseen_p90 / 100 if error.networks else np.nan
    basis: Basis = "unknown"
    if held_out.networks:
        # operators that no held-out network had may be worse than those
        relative = held_out.error_quantile(0.9) + fitted_share * np.nan_to_num(of_model)
        basis = "networks"
    else:  # sums of measured operators may be off, too, but nobody knows by how much
        relative = np.where(fitted_share > 0, of_model, np.nan)
    relative = np.where(unlike_share > _UNLIKE, np.nan, relative + unlike_share)
    if not np.isfinite(relative).any():
        basis = "unknown"
    elif not held_out.networks:
        basis = "operators"
    return Prediction(
        ms=ms,
        low_ms=ms * np.maximum(0.0, 1 - relative),
        high_ms=ms * (1 + relative),
        basis=basis,
        measured=counts[0],
        interpolated=counts[1],
        fitted=counts[2],
    )
