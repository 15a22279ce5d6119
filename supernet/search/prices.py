"""Prices of limits that make the greatest priced value low, for each input size.

Projected subgradients with steps after Polyak (USSR Computational Mathematics 9, 1969): as
long as if the value fell to that of the best subnet known, halved where nothing was gained.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from supernet.search.objective import Values
from supernet.search.relaxation import Priced

__all__ = ["Prices"]

_FIRST = 10.0  # of all limits together, in percent per share
_RAISE = 4.0  # where no subnet within the limits is known
_PATIENCE = 2  # rounds without a lower value after which steps are halved
_LEAST = 1e-3  # percent that a step aims at


@dataclass(eq=False, slots=True)
class Prices:
    """Percent per share of a limit, for S input sizes and L limits."""

    tried: Values
    """To ask for next, shape ``(S, L)``."""
    best: Values
    """Of the lowest values so far, shape ``(S, L)``."""
    lowest: Values
    """Those values in percent: bounds, shape ``(S,)``."""
    length: Values
    """Of steps, shape ``(S,)``; 1 reaches the value of the best subnet known."""
    waited: npt.NDArray[np.int64]
    """Rounds without a lower value, shape ``(S,)``."""

    @classmethod
    def first(cls, sizes: int, limits: int) -> "Prices":
        """The same for all."""
        prices = np.full((sizes, limits), _FIRST / max(limits, 1))
        start = np.full(sizes, np.inf)
        return cls(prices, prices, start, np.ones(sizes), np.zeros(sizes, dtype=np.int64))

    def take(self, sizes: npt.NDArray[np.int64]) -> "Prices":
        """Those of some input sizes."""
        return Prices(
            self.tried[sizes],
            self.best[sizes],
            self.lowest[sizes],
            self.length[sizes],
            self.waited[sizes],
        )

    def learn(self, priced: Priced, floor: float) -> None:
        """Move on from what was asked for.

        Args:
            priced: by the prices `tried`.
            floor: percent of the best subnet known; infinite below for none.
        """
        lower = priced.value < self.lowest
        self.best = np.where(lower[:, None], self.tried, self.best)
        self.lowest = np.minimum(self.lowest, priced.value)
        self.waited = np.where(lower, 0, self.waited + 1)
        late = self.waited >= _PATIENCE
        self.length = np.where(late, self.length / 2, self.length)
        self.waited = np.where(late, 0, self.waited)
        if np.isinf(floor):
            self.tried = self.tried * np.where(priced.excess > 0, _RAISE, 1.0)
            return
        slope = np.where((self.tried <= 0) & (priced.excess < 0), 0.0, priced.excess)
        norm = np.maximum(np.square(slope).sum(axis=1), 1e-12)
        step = self.length * np.maximum(priced.value - floor, _LEAST) / norm
        self.tried = np.maximum(self.tried + step[:, None] * slope, 0.0)
