"""How well predictions agree with measurements, and shares in percent."""

import math

import numpy as np
import numpy.typing as npt

__all__ = [
    "kendall_tau",
    "mean_absolute_percentage_error",
    "percent_true",
    "root_mean_square_error",
]

Values = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]


def kendall_tau(first: Values, second: Values) -> float:
    """Kendall's rank correlation tau-b, ties accounted for; both of shape ``(N,)``.

    1 for the same order, -1 for the opposite, 0 where nothing can be said; NaN where a value is
    NaN. Takes ``N log N`` steps (Knight 1966), so that no pair is held.
    """
    if np.isnan(first).any() or np.isnan(second).any():
        return math.nan
    a, b = _ranks(first), _ranks(second)
    pairs = len(a) * (len(a) - 1) // 2
    tied_a, tied_b, tied_both = map(_tied, (a, b, a * len(b) + b))
    scale = math.sqrt(float(pairs - tied_a) * float(pairs - tied_b))
    if not scale:
        return 0.0
    opposite = _inversions(b[np.lexsort((b, a))])
    return (pairs - tied_a - tied_b + tied_both - 2 * opposite) / scale


def _ranks(values: Values) -> Ranks:
    """Equal values have one rank; ranks are from 0 to below N, shape ``(N,)``."""
    found: Ranks = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return found


def _tied(ranks: Ranks) -> int:
    """Pairs of equal ranks."""
    counts = np.unique(ranks, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _inversions(ranks: Ranks) -> int:
    """Pairs of which the first is above the second; ranks are from 0 to below N, ``(N,)``.

    Ranks are sorted bit by bit from the highest. Of two that differ first in a bit, the order
    is still the given one when that bit is looked at.
    """
    count = 0
    for bit in reversed(range(len(ranks).bit_length())):
        prefix = ranks >> (bit + 1)  # ascending
        ones = (ranks >> bit) & 1
        before = np.cumsum(ones) - ones
        before -= before[np.searchsorted(prefix, prefix)]  # of the same prefix only
        count += int(before[ones == 0].sum())
        ranks = ranks[np.argsort(ranks >> bit, kind="stable")]
    return count


def percent_true(values: npt.NDArray[np.bool_]) -> float:
    """Share of the true ones in percent: 339 of 1,000 are 33.9, not 33.900000000000006."""
    return 100.0 * int(np.count_nonzero(values)) / len(values)


def mean_absolute_percentage_error(predicted: Values, measured: Values) -> float:
    """Mean of ``|predicted - measured| / measured``, in percent."""
    return 100.0 * float(np.abs(predicted / measured - 1).mean())


def root_mean_square_error(predicted: Values, measured: Values) -> float:
    """In the unit of the values."""
    return float(np.sqrt(np.square(predicted - measured).mean()))
