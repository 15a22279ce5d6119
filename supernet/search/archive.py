"""Every subnet that was scored, once each, found again by its genes."""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

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
_ONE, _TWO, _SHIFT = np.uint64(1), np.uint64(2), np.uint64(29)
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # of SplitMix64 (Steele et al. 2014)

Words: TypeAlias = npt.NDArray[np.uint64]
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
        self._factors = rng.integers(0, 2**63, size=self._words, dtype=np.uint64) * _TWO + _ONE
        self.count = 0
        self._rows = np.zeros((_FIRST, self._words), dtype=np.uint64)
        self._hashes = np.zeros(_FIRST, dtype=np.uint64)
        self._table = np.full(_FIRST * _LOAD, -1, dtype=np.int32)

    @property
    def genes(self) -> Genes:
        """All rows, a view of shape ``(N, width)``."""
        return self._rows[: self.count].view(np.int8)[:, : self._width]

    def find(self, genes: Genes) -> Index:
        """Index of each row, -1 where it is not there; shape ``(N,)``."""
        packed = self._packed(genes)
        hashes = self._hashed(packed)
        return self._probe(packed, hashes, self._first_places(hashes))[0]

    def add(self, genes: Genes) -> Index:
        """Index of each row; new rows get the next numbers, in order."""
        packed = self._packed(genes)
        hashes = self._hashed(packed)
        if self.count + len(genes) > len(self._hashes):
            self._grow(self.count + len(genes))
        index, places = self._probe(packed, hashes, self._first_places(hashes))
        new = np.flatnonzero(index < 0)
        while len(new):
            # of rows that meet in one place the first takes it; the others look again
            self._table[places[new[::-1]]] = new[::-1]
            first = self._table[places[new]] == new
            taken = new[first]
            known, self.count = self.count, self.count + len(taken)
            self._rows[known : self.count] = packed[taken]
            self._hashes[known : self.count] = hashes[taken]
            self._table[places[taken]] = index[taken] = np.arange(known, self.count)
            rest = new[~first]
            index[rest], places[rest] = self._probe(packed[rest], hashes[rest], places[rest])
            new = rest[index[rest] < 0]
        return index

    def _packed(self, genes: Genes) -> Words:
        """Rows of eight genes a word, shape ``(N, W)``."""
        padded = np.zeros((len(genes), 8 * self._words), dtype=np.int8)
        padded[:, : self._width] = genes
        return padded.view(np.uint64)

    def _hashed(self, packed: Words) -> Words:
        """One word a row, shape ``(N,)``."""
        mixed = np.zeros(len(packed), dtype=np.uint64)
        for word, factor in zip(packed.T, self._factors):
            mixed ^= mixed >> _SHIFT
            mixed += word * factor
        mixed ^= mixed >> _SHIFT
        mixed *= _MIX
        return mixed

    def _first_places(self, hashes: Words) -> Index:
        return (hashes >> _SHIFT).astype(np.int64) & (len(self._table) - 1)

    def _probe(self, packed: Words, hashes: Words, places: Index) -> tuple[Index, Index]:
        """Index of each row or -1, and its place in the table, free where it is -1.

        Args:
            packed: the rows, shape ``(N, W)``.
            hashes: of the rows, shape ``(N,)``.
            places: where to begin to look, shape ``(N,)``.
        """
        index, places = self._table[places].astype(np.int64), places.copy()
        left = np.flatnonzero(index >= 0)
        while len(left):
            other = self._hashes[index[left]] != hashes[left]
            same = left[~other]
            if (self._rows[index[same]] != packed[same]).any():  # equal hashes by chance
                other = (self._rows[index[left]] != packed[left]).any(axis=1)
            left = left[other]
            places[left] = (places[left] + 1) & (len(self._table) - 1)
            index[left] = self._table[places[left]]
            left = left[index[left] >= 0]
        return index, places

    def _grow(self, count: int) -> None:
        size = len(self._hashes)
        while size < count:
            size *= 2
        self._rows, self._hashes = _longer(self._rows, size), _longer(self._hashes, size)
        self._table = np.full(size * _LOAD, -1, dtype=np.int32)
        left = np.arange(self.count)
        places = self._first_places(self._hashes[left])
        while len(left):
            free = self._table[places[left]] < 0
            tried = left[free]
            self._table[places[tried]] = tried  # of several the last one stays
            left = left[self._table[places[left]] != left]
            places[left] = (places[left] + 1) & (len(self._table) - 1)


class Archive:
    """Scored subnets in the order in which they came, as arrays that grow."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rows = _Rows(len(problem.domain.allowed))
        self._columns = {o.name: np.zeros(_FIRST) for o in problem.columns}
        self._violation = np.zeros(_FIRST)

    def __len__(self) -> int:
        return self._rows.count

    @property
    def genes(self) -> Genes:
        """All subnets, shape ``(N, G)``; a view."""
        return self._rows.genes

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
        return Evaluated(self.genes[index], columns, self._violation[index])

    def _grow(self) -> None:
        size = len(self._violation)
        while size < len(self):
            size *= 2
        if size > len(self._violation):
            self._violation = _longer(self._violation, size)
            self._columns = {n: _longer(values, size) for n, values in self._columns.items()}


def _longer(values: npt.NDArray[_Any], size: int) -> npt.NDArray[_Any]:
    longer = np.zeros((size, *values.shape[1:]), dtype=values.dtype)
    longer[: len(values)] = values
    return longer
