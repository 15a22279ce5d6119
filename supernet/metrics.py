"""How well predictions agree with measurements, and shares in percent."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "kendall_tau",
    "mean_absolute_percentage_error",
    "percent_true",
    "root_mean_square_error",
]

Values = npt.NDArray[np.float64]


def kendall_tau(first: Values, second: Values) -> float:
    """Kendall's rank correlation tau-b, ties accounted for; both of shape ``(N,)``.

    1 for the same order, -1 for the opposite, 0 where nothing can be said.
    """
    upper = np.triu_indices(len(first), k=1)
    a = np.sign(np.subtract.outer(first, first))[upper]
    b = np.sign(np.subtract.outer(second, second))[upper]
    scale = np.sqrt(float((a != 0).sum()) * float((b != 0).sum()))
    return float((a * b).sum() / scale) if scale else 0.0


def percent_true(values: npt.NDArray[np.bool_]) -> float:
    """Share of the true ones in percent: 339 of 1,000 are 33.9, not 33.900000000000006."""
    return 100.0 * int(np.count_nonzero(values)) / len(values)


def mean_absolute_percentage_error(predicted: Values, measured: Values) -> float:
    """Mean of ``|predicted - measured| / measured``, in percent."""
    return 100.0 * float(np.abs(predicted / measured - 1).mean())


def root_mean_square_error(predicted: Values, measured: Values) -> float:
    """In the unit of the values."""
    return float(np.sqrt(np.square(predicted - measured).mean()))
