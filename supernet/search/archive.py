"""Every subnet that was scored, once each, found again by its genes."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from supernet.search.contract import Evaluated
from supernet.search.objective import Values
from supernet.search.pareto import Index
from supernet.search.problem import Problem
from supernet.space import Genes

__all__ = ["Archive"]

_Scalar = TypeVar("_Scalar", bound=np.generic)


class Archive:
    """Scored subnets in the order in which they came, as arrays that grow.

    Rows are known by their bytes in a hash table, so adding costs the same however many
    there are.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rows: dict[bytes, int] = {}
        width = len(problem.domain.allowed)
        self._genes = np.zeros((1024, width), dtype=np.int8)
        self._columns = {o.name: np.zeros(1024) for o in problem.columns}
        self._violation = np.zeros(1024)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def genes(self) -> Genes:
        """All subnets, shape ``(N, G)``; a view."""
        return self._genes[: len(self)]

    @property
    def columns(self) -> Mapping[str, Values]:
        """All figures by name, each of shape ``(N,)``; views."""
        return {name: values[: len(self)] for name, values in self._columns.items()}

    @property
    def violation(self) -> Values:
        """Shares by which limits are broken, shape ``(N,)``; a view."""
        return self._violation[: len(self)]

    @property
    def losses(self) -> Values:
        """The objectives, all to be minimised, shape ``(N, M)``."""
        return self._problem.losses(self.columns)

    def new(self, genes: Genes) -> Index:
        """Indices of the rows that are not known, each different one once."""
        rows = self._rows
        fresh: dict[bytes, int] = {}
        for index, row in enumerate(_keys(genes)):
            if row not in rows:
                fresh.setdefault(row, index)
        return np.fromiter(fresh.values(), dtype=np.int64, count=len(fresh))

    def find(self, genes: Genes) -> Index:
        """Index of each row, -1 where it is not known; shape ``(N,)``."""
        found = [self._rows.get(row, -1) for row in _keys(genes)]
        return np.array(found, dtype=np.int64)

    def add(self, evaluated: Evaluated) -> Index:
        """Take in subnets, those that are known with their new figures; their indices."""
        rows = self._rows
        index = np.fromiter(
            (rows.setdefault(row, len(rows)) for row in _keys(evaluated.genes)),
            dtype=np.int64,
            count=len(evaluated.genes),
        )
        self._grow()
        self._genes[index] = evaluated.genes
        for name, values in self._columns.items():
            values[index] = evaluated.columns[name]
        self._violation[index] = evaluated.violation
        return index

    def at(self, index: Index) -> Evaluated:
        """What is known of some of them."""
        columns = {name: values[index] for name, values in self._columns.items()}
        return Evaluated(self._genes[index], columns, self._violation[index])

    def _grow(self) -> None:
        size = len(self._violation)
        while size < len(self):
            size *= 2
        if size > len(self._violation):
            self._genes = _longer(self._genes, size)
            self._violation = _longer(self._violation, size)
            self._columns = {n: _longer(values, size) for n, values in self._columns.items()}


def _keys(genes: Genes) -> list[bytes]:
    """The bytes of each row."""
    if genes.shape[1] == 0:
        return [b""] * len(genes)
    packed = np.ascontiguousarray(genes).view(f"V{genes.shape[1]}").ravel()
    keys: list[bytes] = packed.tolist()
    return keys


def _longer(values: npt.NDArray[_Scalar], size: int) -> npt.NDArray[_Scalar]:
    longer = np.zeros((size, *values.shape[1:]), dtype=values.dtype)
    longer[: len(values)] = values
    return longer
