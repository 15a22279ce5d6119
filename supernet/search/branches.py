"""Subnets decided gene by gene, all at once that may still be the best.

The input size is decided first, then stage after stage. A part of the genes is dropped when
another one that leaves the same to decide is as good in accuracy and in every cost
(dominance), when no completion is within a limit, or when no completion has a priced value
above the best subnet known. The last two are exact: elimination knows the least of any sum
over the genes that are not decided. What is left after all genes holds the optimum.

For one limit this is Nemhauser & Ullmann's dynamic programming for knapsacks (Management
Science 15, 1969) with bounds (Morin & Marsten, Operations Research 24, 1976), here over
tables that share genes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from supernet.search.dominance import undominated
from supernet.search.objective import ROUNDING, Values
from supernet.search.relaxation import Relaxation
from supernet.space import Genes
from supernet.space.elimination import Order, Step, decide, own_sums

__all__ = ["Branches"]

_EQUAL = 1e-12  # shares that sums in another order may differ by

_Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class _Partial:
    """Rows of which some genes are decided."""

    ranks: Genes
    """Of the choices, 0 where not decided; shape ``(N, G)``."""
    sums: Values
    """Loss and shares of limits of what is decided, shape ``(N, 1 + L)``."""
    least: Values
    """The least priced loss of any completion, then the least share of each limit; shape
    ``(N, 1 + L)``."""

    def take(self, rows: _Index) -> "_Partial":
        """Some rows."""
        return _Partial(self.ranks[rows], self.sums[rows], self.least[rows])


@dataclass(frozen=True, eq=False, slots=True)
class _Gene:
    """What deciding a gene adds."""

    column: int
    own: Sequence[Values]
    """To the loss and to the shares; an axis for its choices, and one for each of the genes
    that it hangs on."""
    least: Sequence[Step]
    """The least priced loss and shares of what is decided then and later."""
    context: tuple[int, ...]
    """Columns decided until here that matter for what is decided later."""


class Branches:
    """All subnets of a relaxation, in the order in which they are decided.

    Args:
        relaxation: the sums.
        prices: of the limits, shape ``(S, L)``.
    """

    def __init__(self, relaxation: Relaxation, prices: Values) -> None:
        self._relaxation, self._prices = relaxation, prices
        self._genes = list(_genes(relaxation, prices))

    def best(self, floor: float, width: int) -> tuple[Genes, float]:
        """Subnets of more than `floor` percent within the limits, and a bound on the lost ones.

        Args:
            floor: percent of the best subnet known.
            width: partly decided subnets that are kept at a time; those of the best bounds.

        Returns:
            Ranks of choices, shape ``(N, G)``: without the optimum only where it is not above
            `floor` or was lost. No lost one has a value above the bound, infinite
            below where none was lost.
        """
        rows, lost = self._start(), -np.inf
        for gene in self._genes:
            rows = _decided(rows, gene, -floor - ROUNDING)
            groups = _groups(rows.ranks, gene.context, self._relaxation.counts)
            rows = rows.take(undominated(groups, rows.sums))
            if len(rows.ranks) > width:
                order = np.argpartition(rows.least[:, 0], width)
                lost = max(lost, -float(rows.least[order[width:], 0].min()))
                rows = rows.take(order[:width])
        return rows.ranks, lost

    def _start(self) -> _Partial:
        """Nothing is decided."""
        relaxation = self._relaxation
        found = [-float(relaxation.best(self._prices).value.max())]
        for number in range(1, 1 + relaxation.num_limits):
            row = np.zeros((1, len(relaxation.counts)), dtype=np.int8)
            decide(relaxation.least(number), row)
            found.append(float(relaxation.sums(row)[0, number]))
        nothing = np.zeros((1, len(relaxation.counts)), dtype=np.int8)
        return _Partial(nothing, relaxation.constants[None], np.array([found]))


def _decided(rows: _Partial, gene: _Gene, most: float) -> _Partial:
    """All choices of a gene for all rows, of a priced loss below `most` and within limits."""
    sums = [step.of(rows.ranks) for step in gene.least]
    least = np.stack([own + each - each.min(axis=0) for own, each in zip(rows.least.T, sums)], -1)
    alive = (least[..., 0] < most) & (least[..., 1:] <= 1 + _EQUAL).all(axis=-1)
    choice, row = np.nonzero(alive)
    ranks = rows.ranks[row]
    ranks[:, gene.column] = choice
    place: tuple[_Index | Genes, ...] = (choice, *(ranks[:, c] for c in gene.least[0].others))
    own = np.stack([table[place] for table in gene.own], axis=-1)
    return _Partial(ranks, rows.sums[row] + own, least[choice, row])


def _groups(ranks: Genes, context: Sequence[int], counts: Sequence[int]) -> _Index:
    """One number for all rows of the same choices in a context, shape ``(N,)``."""
    assert math.prod(counts[column] for column in context) < 2**63
    number = np.zeros(len(ranks), dtype=np.int64)
    for column in context:
        number = number * counts[column] + ranks[:, column]
    return number


def _genes(relaxation: Relaxation, prices: Values) -> Iterator[_Gene]:
    """What deciding each gene adds, in the order of deciding."""
    order, counts = relaxation.order, relaxation.counts
    own = zip(*(own_sums(tables, order, counts) for tables in relaxation.families))
    limits = range(1, 1 + relaxation.num_limits)
    sums = [relaxation.steps(prices), *(relaxation.least(number) for number in limits)]
    genes = dict(zip((column for column, _ in order), zip(own, zip(*sums))))
    turns = _turns(order)
    for number, column in enumerate(turns, start=1):
        undecided = set(turns[number:])
        spans = [span for span in relaxation.spans if not undecided.isdisjoint(span)]
        later = {other for span in spans for other in span}
        adds, steps = genes[column]
        context = tuple(c for c in turns[:number] if c in later)
        yield _Gene(column, own=adds, least=steps, context=context)


def _turns(order: Order) -> list[int]:
    """Columns, each after those that it hangs on, one branch of the tree after another."""
    place = {column: number for number, (column, _) in enumerate(order)}
    below: dict[int, list[int]] = {}
    for column, others in order:
        parent = min(others, key=place.__getitem__) if others else -1
        below.setdefault(parent, []).append(column)
    turns, waiting = [], sorted(below.get(-1, []), reverse=True)
    while waiting:
        turns.append(waiting.pop())
        waiting += sorted(below.get(turns[-1], []), reverse=True)
    return turns
