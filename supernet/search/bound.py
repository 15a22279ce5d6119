"""How good an answer can be at best, proven without looking at every subnet.

A predictor's additive part is a sum of small tables, and so are the limited costs. For any
prices on the costs, the best *priced* subnet is found exactly by elimination, and its
value is above that of every subnet within the limits (Lagrangian relaxation; Geoffrion,
Mathematical Programming Study 2, 1974). The lowest such value over the prices is the bound.
"""

import numpy as np

from supernet.predict import Additive
from supernet.search.objective import Cost, Values, total
from supernet.search.problem import Problem
from supernet.space import CostTable, Genes, minimum

__all__ = ["accuracy_bound"]

_ROUNDS = 80
_STEP = 20.0  # of a price, in percent per share; the first of a harmonic series
_ENOUGH = 1e-9  # of the bound, in percent: lines that meet there are one


def accuracy_bound(problem: Problem, additive: Additive) -> tuple[float, Genes]:
    """An accuracy in percent that no subnet within the limits is predicted above.

    Args:
        problem: with the limits; those on costs count.
        additive: of the predictor.

    Returns:
        The bound, and the subnets that were met on the way, good ones to begin a search
        with, shape ``(N, G)``.
    """
    relaxed = _Relaxed(problem, additive)
    value = _by_lines(relaxed) if len(relaxed.sums) == 1 else _by_steps(relaxed)
    value = min(value, additive.offset + additive.rest_high + relaxed.unlimited)
    return value, np.concatenate(relaxed.met)


class _Relaxed:
    """The accuracy less the priced excess over each limit, maximised exactly."""

    def __init__(self, problem: Problem, additive: Additive) -> None:
        limited = problem.limited_costs
        self.sums: list[tuple[Cost, float]] = [(c, limit) for c, limit in limited if not c.peak]
        self._bans = [ban for cost, limit in limited for ban in cost.bans(limit)]
        self._domain, self._additive = problem.domain, additive
        self._gains: list[CostTable] = [(columns, -gain) for columns, gain in additive.tables]
        self.met: list[Genes] = []
        self.constant = additive.offset + additive.rest_high
        self.unlimited = self.best(np.zeros(len(self.sums)))[0] - self.constant

    def best(self, prices: Values) -> tuple[float, Values]:
        """The greatest priced value, and the excess of its subnet over each limit.

        Args:
            prices: percent per share of a limit, at least 0, shape ``(L,)``.
        """
        priced = [
            (columns, costs * (price / limit))
            for price, (cost, limit) in zip(prices.tolist(), self.sums)
            for columns, costs in cost.tables
        ]
        genes = minimum(self._domain, [*self._gains, *priced, *self._bans])
        self.met.append(genes)
        excess = np.array(
            [(total(genes, c.tables)[0] + c.offset) / limit - 1 for c, limit in self.sums]
        )
        value = self.constant - float(total(genes, self._gains)[0])
        return value - float(prices @ excess), excess


def _by_lines(relaxed: _Relaxed) -> float:
    """The exact minimum over one price, where two lines of the lower envelope meet."""
    low, excess = relaxed.best(np.zeros(1))
    if excess[0] <= 0:  # the best of all is within the limit
        return low
    left, left_slope = low, -float(excess[0])
    price = 1.0
    while True:  # a price so high that its subnet is within the limit
        value, excess = relaxed.best(np.array([price]))
        if excess[0] <= 0 or price > 1e9:
            break
        left, left_slope, price = value + price * float(excess[0]), -float(excess[0]), 4 * price
    right, right_slope = value + price * float(excess[0]), -float(excess[0])
    bound = min(low, value)
    for _ in range(_ROUNDS):
        if right_slope - left_slope <= 0:
            break
        price = (left - right) / (right_slope - left_slope)
        value, excess = relaxed.best(np.array([price]))
        bound = min(bound, value)
        slope = -float(excess[0])
        if value <= left + left_slope * price + _ENOUGH:  # no line is above: the minimum
            break
        if slope < 0:
            left, left_slope = value - slope * price, slope
        else:
            right, right_slope = value - slope * price, slope
    return bound


def _by_steps(relaxed: _Relaxed) -> float:
    """A low value over several prices by projected subgradients; every one is a bound."""
    prices = np.zeros(len(relaxed.sums))
    bound = np.inf
    for number in range(_ROUNDS):
        value, excess = relaxed.best(prices)
        bound = min(bound, value)
        if (excess <= 0).all() and not (prices * excess).any():
            break
        norm = float(np.linalg.norm(excess)) or 1.0
        step = _STEP / (1 + number)
        prices = np.maximum(prices + step * excess / norm, 0.0)
    return bound
