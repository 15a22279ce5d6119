"""A search problem over an additive accuracy, with its limits turned into prices.

For any prices on the costs, the best *priced* subnet is found exactly by elimination, and
its value is above that of every subnet within the limits (Lagrangian relaxation; Geoffrion,
Mathematical Programming Study 2, 1974). Every input size has prices of its own, at no more
work: a price is a factor of the tables, and the input size is one of their axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from supernet.predict import Additive
from supernet.search.objective import Values, total
from supernet.search.problem import Problem
from supernet.space import CostTable, Domain, Genes
from supernet.space.elimination import (
    Order,
    Step,
    decide,
    eliminate,
    elimination_order,
    narrowed,
    own_sums,
)
from supernet.space.layout import layout_of

__all__ = ["Priced", "Relaxation"]


@dataclass(frozen=True, eq=False, slots=True)
class Priced:
    """For each input size the subnet of the greatest priced value."""

    value: Values
    """The greatest priced value in percent, shape ``(S,)``: above every subnet within the
    limits. Infinite below where a limit on a peak leaves none."""
    excess: Values
    """Over each limit as a share of it, shape ``(S, L)``; negative below it."""
    ranks: Genes
    """The subnets, as ranks of allowed choices, shape ``(S, G)``."""


class Relaxation:
    """The sums that a problem is made of, over the ranks of the choices that are allowed.

    Args:
        problem: its limits on costs count.
        additive: of the predictor.
        domain: a part of that of the problem; all of it when not given.
    """

    def __init__(self, problem: Problem, additive: Additive, domain: Domain | None = None) -> None:
        self.problem, self.additive = problem, additive
        self.domain = domain or problem.domain
        layout = layout_of(self.domain.space)
        self.size = layout.resolution.column
        """Column of the input size; -1 where there is one only."""
        self.counts: list[int] = self.domain.counts.tolist()
        limited = problem.limited_costs
        peaks = [ban for cost, limit in limited for ban in cost.bans(limit)]
        self.bans = [*narrowed(self.domain, peaks), *_idle(self.domain)]
        """Tables that forbid: what breaks a limit on a peak, and all but one of equal rows."""
        sums = [(cost, limit) for cost, limit in limited if not cost.peak]
        families = [[(columns, -gains) for columns, gains in additive.tables]]
        families += [[(c, table / limit) for c, table in cost.tables] for cost, limit in sums]
        families = [narrowed(self.domain, tables) for tables in families]
        offsets = [-additive.offset, *(cost.offset / limit for cost, limit in sums)]
        constants = [sum(float(own) for c, own in tables if not c) for tables in families]
        self.constants = np.array(offsets) + constants
        """Of the loss and of each share, what all subnets have; shape ``(1 + L,)``."""
        families = [[(c, own) for c, own in tables if c] for tables in families]
        self.spans = {columns for tables in (*families, self.bans) for columns, _ in tables}
        """Columns that one table depends on."""
        self.order = self._order(families[1:])
        self.families = [self._merged(families[0]), *families[1:]]
        """Tables of the loss (the negative accuracy), then of each cost as a share of its
        limit."""

    def _order(self, costs: Sequence[Sequence[CostTable]]) -> Order:
        spans = [*self.spans]
        if self.size >= 0:  # prices are by size
            spans += [(self.size, *columns) for tables in costs for columns, _ in tables]
        return elimination_order(tuple(spans), tuple(self.counts), self.size)

    def _merged(self, tables: Sequence[CostTable]) -> list[CostTable]:
        """One table a gene, which adds up all of those that are eliminated with it."""
        return [
            ((column, *others), own)
            for (column, others), own in zip(self.order, own_sums(tables, self.order, self.counts))
        ]

    @property
    def num_sizes(self) -> int:
        """Input sizes that are left, S."""
        return self.counts[self.size] if self.size >= 0 else 1

    @property
    def num_limits(self) -> int:
        """Limits that are priced, L."""
        return len(self.families) - 1

    def steps(self, prices: Values) -> list[Step]:
        """The elimination of the priced loss.

        Args:
            prices: percent per share of a limit, at least 0, shape ``(S, L)``.
        """
        priced = [
            self._times(table, price)
            for price, tables in zip(prices.T, self.families[1:])
            for table in tables
        ]
        if self.size >= 0:  # what all subnets of a size have
            priced.append(((self.size,), prices @ (self.constants[1:] - 1)))
        return eliminate([*self.families[0], *priced, *self.bans], self.order, self.counts)

    def least(self, family: int) -> list[Step]:
        """The elimination of one family of tables."""
        return eliminate([*self.families[family], *self.bans], self.order, self.counts)

    def _times(self, table: CostTable, price: Values) -> CostTable:
        """A table times the price of each input size."""
        columns, costs = table
        if len(price) == 1:
            return columns, costs * price
        if self.size not in columns:
            columns, costs = (*columns, self.size), costs[..., None]
        return columns, costs * price.reshape([-1 if c == self.size else 1 for c in columns])

    def sums(self, ranks: Genes) -> Values:
        """The loss and the shares of limits of subnets ``(N, G)``, shape ``(N, 1 + L)``."""
        parts = [total(ranks, tables) for tables in self.families]
        return np.stack(parts, axis=1) + self.constants

    def best(self, prices: Values) -> Priced:
        """The best priced subnets."""
        steps = self.steps(prices)
        ranks = np.zeros((self.num_sizes, len(self.counts)), dtype=np.int8)
        if self.size >= 0:
            ranks[:, self.size] = np.arange(self.num_sizes)
            steps = steps[:-1]
        decide(steps, ranks)
        sums = self.sums(ranks)
        excess = sums[:, 1:] - 1
        value = -sums[:, 0] - (prices * excess).sum(axis=1)
        allowed = np.isfinite(total(ranks, self.bans))  # else, of its size none is
        return Priced(np.where(allowed, value, -np.inf), excess, ranks)

    def of_sizes(self, ranks: Sequence[int]) -> "Relaxation":
        """The same with some of the input sizes only."""
        allowed = list(self.domain.allowed)
        allowed[self.size] = tuple(allowed[self.size][rank] for rank in ranks)
        return Relaxation(self.problem, self.additive, Domain(self.domain.space, tuple(allowed)))


def _idle(domain: Domain) -> list[CostTable]:
    """Bans on all but the first choice of a gene where it has no effect."""
    bans: list[CostTable] = []
    for condition in layout_of(domain.space).conditions:
        for column, deciding, needed in condition.tolist():
            choices = np.arange(len(domain.allowed[column]))
            idle = np.array(domain.allowed[deciding]) < needed
            table = np.where(np.logical_and.outer(choices > 0, idle), np.inf, 0.0)
            bans.append(((column, deciding), table))
    return bans
