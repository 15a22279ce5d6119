"""Whole networks by which a table is checked."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.metrics import kendall_tau, mean_absolute_percentage_error

__all__ = ["HeldOut"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Whole networks that had no part in the table, predicted and measured."""

    predicted_ms: tuple[float, ...] = ()
    measured_ms: tuple[float, ...] = ()
    space: str = ""
    """Name of the space that they are of."""
    space_hash: str = ""
    """Its content hash."""

    def __post_init__(self) -> None:
        predicted, measured = len(self.predicted_ms), len(self.measured_ms)
        if predicted != measured:
            raise ConfigError(f"predicted_ms and measured_ms: {predicted} and {measured} values")
        if not all(0 < value < 1e7 for value in (*self.predicted_ms, *self.measured_ms)):
            raise ConfigError("predicted_ms and measured_ms: must be above 0 and below 1e7")

    @property
    def networks(self) -> int:
        """How many."""
        return len(self.measured_ms)

    @property
    def mape(self) -> float:
        """Mean absolute error in percent."""
        return mean_absolute_percentage_error(*self._arrays)

    @property
    def kendall(self) -> float:
        """Rank correlation."""
        return kendall_tau(*self._arrays)

    def within(self, relative: float) -> float:
        """Share of the networks whose relative error is at most `relative`."""
        predicted, measured = self._arrays
        return float((np.abs(predicted / measured - 1) <= relative).mean())

    def error_quantile(self, share: float) -> float:
        """How far `share` of the networks stay from what was predicted, as a share of that."""
        predicted, measured = self._arrays
        return float(np.quantile(np.abs(measured / predicted - 1), share))

    @property
    def _arrays(self) -> tuple[Values, Values]:
        return np.array(self.predicted_ms), np.array(self.measured_ms)
