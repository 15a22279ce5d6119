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

_FIRST = 4096  # rows that there is room for in the beginning
_LOAD = 4  # places of the hash table for each row
_Any = TypeVar("_Any", bound=np.generic)


class _Rows:
    """Different rows of small integers, found by an open hash table in arrays.

    Whole batches are looked up and added by a few passes of NumPy, whatever is there
    already: no object is made for a row.
    """

    def __init__(self, width: int) -> None:
        self._words = -(-max(width, 1) // 8)
        self._width = width
        rng = np.random.default_rng(0)
        odd = rng.integers(0, 2**62, size=self._words, dtype=np.uint64) * np.uint64(2)
        self._factors = odd + np.uint64(1)
        self.rows = np.zeros((_FIRST, self._words), dtype=np.uint64)
        self.count = 0
        self._table = np.full(_FIRST * _LOAD, -1, dtype=np.int64)

    def find(self, genes: Genes) -> Index:
        """Index of each row, -1 where it is not there; shape ``(N,)``."""
        packed = self._packed(genes)
        return self._probe(packed)[0]

    def add(self, genes: Genes) -> Index:
        """Index of each row; new rows get the next numbers."""
        packed = self._packed(genes)
        index, places = self._probe(packed)
        while len(new := np.flatnonzero(index < 0)):
            if self.count + len(new) > len(self.rows):
                self._grow(self.count + len(new))
                index, places = self._probe(packed)
                continue
            # of rows that meet in one place the first takes it; the others look again
            _, first = np.unique(places[new], return_index=True)
            taken = new[np.sort(first)]
            numbers = np.arange(self.count, self.count + len(taken))
            self.rows[numbers] = packed[taken]
            self._table[places[taken]] = numbers
            self.count += len(taken)
            index[taken] = numbers
            rest = np.flatnonzero(index < 0)
            index[rest], places[rest] = self._probe(packed[rest], places[rest])
        return index

    def _packed(self, genes: Genes) -> npt.NDArray[np.uint64]:
        """Rows of eight genes a word, shape ``(N, W)``."""
        padded = np.zeros((len(genes), 8 * self._words), dtype=np.int8)
        padded[:, : self._width] = genes
        return padded.view(np.uint64)

    def _probe(
        self, packed: npt.NDArray[np.uint64], places: Index | None = None
    ) -> tuple[Index, Index]:
        """Index of each row or -1, and its place in the table, free where it is -1."""
        mask = len(self._table) - 1
        if places is None:
            mixed = (packed * self._factors).sum(axis=1, dtype=np.uint64)
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            places = (mixed >> np.uint64(20)).astype(np.int64) & mask
        else:
            places = places.copy()
        index = self._table[places]
        left = np.flatnonzero(index >= 0)
        while True:
            same = (self.rows[index[left]] == packed[left]).all(axis=1)
            left = left[~same]
            if not len(left):
                return index, places
            places[left] = (places[left] + 1) & mask
            index[left] = self._table[places[left]]
            left = left[index[left] >= 0]

    def _grow(self, count: int) -> None:
        size = len(self.rows)
        while size < count:
            size *= 2
        self.rows = _longer(self.rows, size)
        self._table = np.full(size * _LOAD, -1, dtype=np.int64)
        _, places = self._probe(self.rows[: self.count])  # the table is empty
        left = np.arange(self.count)
        mask = len(self._table) - 1
        while len(left):
            free = self._table[places[left]] < 0
            tried = left[free]
            self._table[places[tried]] = tried  # of several the last one stays
            left = left[self._table[places[left]] != left]
            places[left] = (places[left] + 1) & mask


class Archive:
    """Scored subnets in the order in which they came, as arrays that grow."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        width = len(problem.domain.allowed)
        self._rows = _Rows(width)
        self._genes = np.zeros((_FIRST, width), dtype=np.int8)
        self._columns = {o.name: np.zeros(_FIRST) for o in problem.columns}
        self._violation = np.zeros(_FIRST)

    def __len__(self) -> int:
        return self._rows.count

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

    def find(self, genes: Genes) -> Index:
        """Index of each row, -1 where it is not known; shape ``(N,)``."""
        return self._rows.find(genes)

    def admit(self, genes: Genes) -> Index:
        """Make room for subnets whose figures will be filled in; their indices.

        New ones are those from the former length on.
        """
        index = self._rows.add(genes)
        self._grow()
        self._genes[index] = genes
        return index

    def fill(self, index: Index | slice, columns: Mapping[str, Values], violation: Values) -> None:
        """Set the figures of subnets."""
        for name, values in self._columns.items():
            values[index] = columns[name]
        self._violation[index] = violation

    def add(self, evaluated: Evaluated) -> Index:
        """Take in subnets, those that are known with their new figures; their indices."""
        index = self.admit(evaluated.genes)
        self.fill(index, evaluated.columns, evaluated.violation)
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


def _longer(values: npt.NDArray[_Any], size: int) -> npt.NDArray[_Any]:
    longer = np.zeros((size, *values.shape[1:]), dtype=values.dtype)
    longer[: len(values)] = values
    return longer
