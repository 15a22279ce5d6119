"""Inverses of triangular matrices, by blocks: NumPy has only those of full ones."""

from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.predict.contract import Values

__all__ = ["inverse_of_lower", "norms"]

_BLOCK = 64  # up to which a full inverse is as fast
_ROWS = 128  # multiplied at once, where all behind them are zeros


def inverse_of_lower(matrix: npt.NDArray[np.floating[Any]]) -> Values:
    """Of a lower triangular matrix, shape ``(N, N)``: a sixth of the work of a full inverse."""
    count = len(matrix)
    if count <= _BLOCK:
        return np.tril(np.linalg.inv(matrix))
    half = count // 2
    found = np.zeros_like(matrix)
    first, last = inverse_of_lower(matrix[:half, :half]), inverse_of_lower(matrix[half:, half:])
    found[:half, :half], found[half:, half:] = first, last
    found[half:, :half] = -(last @ (matrix[half:, :half] @ first))
    return found


def norms(lower: Values, columns: Values) -> Values:
    """Squared length of a lower triangular matrix times each column, ``(N, M)``: shape ``(M,)``."""
    found = np.zeros(columns.shape[1])
    for start in range(0, len(lower), _ROWS):
        stop = start + _ROWS
        part = lower[start:stop, :stop] @ columns[:stop]
        found += np.einsum("ij,ij->j", part, part)
    return found
