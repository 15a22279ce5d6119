"""How good an answer can be at best, proven without looking at every subnet.

A predictor's additive part is a sum of small tables, and so are the limited costs. Prices
on the limits give a bound that is a little above the optimum (`Relaxation`); deciding gene
by gene what is left closes the gap (`Branches`), mostly within a few thousand partly
decided subnets.
"""

from collections.abc import Sequence

import numpy as np

from supernet.predict import Additive
from supernet.search.branches import Branches
from supernet.search.objective import ROUNDING, Values
from supernet.search.prices import Prices
from supernet.search.problem import Problem
from supernet.search.relaxation import Relaxation
from supernet.space import Genes, unique

__all__ = ["QUICK", "THOROUGH", "accuracy_bound"]

_ROUNDS = 12  # of prices
QUICK = (500, 4000)
"""Partly decided subnets that are kept at a time: in a first pass, and in a second one where
that was not enough. Mostly a quarter of a second."""
THOROUGH = (*QUICK, 32_000, 128_000)
"""Up to a minute where several limits are tight."""


def accuracy_bound(
    problem: Problem, additive: Additive, widths: Sequence[int] = QUICK
) -> tuple[float, Genes]:
    """An accuracy in percent that no subnet within the limits is predicted above.

    Where the predictor is additive and `widths` are enough, it is the accuracy of the best
    subnet, to 1e-9.

    Args:
        problem: with the limits; those on costs count, and some subnet meets them.
        additive: of the predictor.
        widths: partly decided subnets that are kept at a time, pass after pass, until none
            is lost.

    Returns:
        The bound, and good subnets to begin a search with, the best of the additive part
        the first; shape ``(N, G)``.
    """
    known = _Known(problem)
    met: list[Genes] = []
    relaxation, prices, bound = _priced(Relaxation(problem, additive), known, met)
    if bound > known.value + ROUNDING:
        branches = Branches(relaxation, prices)
        for width in widths:
            ranks, lost = branches.best(known.value, width)
            bound = min(bound, max(lost, known.value, known.add(relaxation, ranks)))
            if bound <= known.value + ROUNDING:
                break
    return bound + additive.rest_high, unique(np.concatenate([known.best, *met]))


class _Known:
    """The best subnet within the limits that was met on the way."""

    def __init__(self, problem: Problem) -> None:
        self._limited = problem.limited_costs
        self.value = -np.inf
        """Percent of the best one, without the rest of the predictor."""
        self.best = problem.domain.smallest()[:0]
        """The subnet, shape ``(1, G)``; none at first."""

    def add(self, relaxation: Relaxation, ranks: Genes) -> float:
        """Take subnets into account; their greatest accuracy, limits or not."""
        genes = relaxation.domain.of_ranks(ranks)
        values = -relaxation.sums(ranks)[:, 0]
        greatest = float(values.max(initial=-np.inf))
        for cost, limit in self._limited:
            values = np.where(cost(genes) <= limit, values, -np.inf)
        if values.max(initial=-np.inf) > self.value:
            best = int(values.argmax())
            self.value, self.best = float(values[best]), genes[best : best + 1]
        return greatest


def _priced(
    relaxation: Relaxation, known: _Known, met: list[Genes]
) -> tuple[Relaxation, Values, float]:
    """Good prices for the input sizes that may hold a better subnet than the best known.

    Returns:
        The relaxation with those sizes, their prices, and a bound.
    """
    prices = Prices.first(relaxation.num_sizes, relaxation.num_limits)
    for _ in range(_ROUNDS):
        priced = relaxation.best(prices.tried)
        known.add(relaxation, priced.ranks)
        met.append(relaxation.domain.of_ranks(priced.ranks))
        prices.learn(priced, known.value)
        promising = np.flatnonzero(prices.lowest > known.value + ROUNDING)
        if not len(promising):
            return relaxation, prices.best, known.value
        if 2 * len(promising) <= relaxation.num_sizes:
            relaxation, prices = relaxation.of_sizes(promising.tolist()), prices.take(promising)
    return relaxation, prices.best, max(known.value, float(prices.lowest.max()))
