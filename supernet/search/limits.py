"""Whether limits can be met, answered exactly and before any search."""

from collections.abc import Sequence

import numpy as np

from supernet.errors import InfeasibleError
from supernet.search.objective import Cost, Values, total
from supernet.search.problem import Problem
from supernet.space import CostTable, Genes, decode, minimum, unique

__all__ = ["check_limits", "corners"]

_ROUNDS = 60  # of weights on several limits
_ROUNDING = 1e-9


def corners(problem: Problem) -> Genes:
    """The smallest and the largest subnet, and the cheapest by every cost, ``(N, G)``."""
    domain = problem.domain
    costs = [o for o in problem.columns if isinstance(o, Cost)]
    bans = [ban for cost, limit in problem.limited_costs for ban in cost.bans(limit)]
    cheapest = [cost.lowest(domain, bans) for cost in costs]
    return unique(np.concatenate([domain.smallest(), domain.largest(), *cheapest]))


def check_limits(problem: Problem) -> None:
    """Refuse limits that no subnet meets, alone or together.

    Costs are sums over operators, so the least cost of any subnet is known exactly. Of
    several limits, the least *weighted* sum of shares ``cost / limit`` is known too: where
    it is above 1 for some weights that add up to 1, no subnet meets all limits (Lagrange
    duality). Weights are looked for by multiplicative updates; limits that they cannot
    refute are left to the search.

    Raises:
        InfeasibleError: names the nearest subnet, and which limit is tight.
    """
    limited = problem.limited_costs
    for cost, limit in limited:
        genes = cost.lowest(problem.domain)
        least = float(cost(genes)[0])
        if least > limit * (1 + _ROUNDING):
            raise InfeasibleError(
                f"no subnet of space {problem.domain.space.name!r}{_narrowed(problem)} has "
                f"{cost.name} within {limit:g}{_unit(cost)}; the least is "
                f"{least:.4g}{_unit(cost)}: {decode(problem.domain.space, genes)[0]}",
                hint=f"ask for at least {_rounded_up(least):g}{_unit(cost)}",
            )
    if len(limited) > 1:
        _check_together(problem)


def _check_together(problem: Problem) -> None:
    limited = problem.limited_costs
    bans = [ban for cost, limit in limited for ban in cost.bans(limit)]
    sums = [(cost, limit) for cost, limit in limited if not cost.peak]
    weights = np.full(len(sums), 1 / max(len(sums), 1))
    best: tuple[float, Genes, Values] | None = None
    for round_ in range(_ROUNDS):
        genes = minimum(problem.domain, [*_weighted(sums, weights), *bans])
        banned = np.isinf(total(genes, bans)[0])
        shares = np.array([cost(genes)[0] / limit for cost, limit in limited])
        if not banned and shares.max() <= 1:
            return
        if best is None or shares.max() < best[0]:
            best = (float(shares.max()), genes, shares)
        own = np.array([(total(genes, c.tables)[0] + c.offset) / limit for c, limit in sums])
        if banned or (sums and float(weights @ own) > 1 + _ROUNDING):
            raise _together(problem, best[1], best[2])
        weights = weights * np.exp(own / np.sqrt(round_ + 1))
        weights /= weights.sum()


def _weighted(sums: Sequence[tuple[Cost, float]], weights: Values) -> list[CostTable]:
    """Tables whose sum is the weighted share of all limits."""
    return [
        (columns, costs * (weight / limit))
        for weight, (cost, limit) in zip(weights.tolist(), sums)
        for columns, costs in cost.tables
    ]


def _together(problem: Problem, genes: Genes, shares: Values) -> InfeasibleError:
    words = [
        f"{cost.name} {share * limit:.4g} of {limit:g}{_unit(cost)}"
        for share, (cost, limit) in zip(shares.tolist(), problem.limited_costs)
    ]
    tight = problem.limited_costs[int(shares.argmax())][0].name
    return InfeasibleError(
        f"no subnet of space {problem.domain.space.name!r}{_narrowed(problem)} meets all limits "
        f"together, though each alone can be met; the nearest has {', '.join(words)}: "
        f"{decode(problem.domain.space, genes)[0]}",
        hint=f"the tight limit is {tight}; raise it to "
        f"{_rounded_up(float(shares.max() * dict(problem.limits)[tight])):g}",
    )


def _narrowed(problem: Problem) -> str:
    return "" if problem.domain.is_whole else ", narrowed as asked,"


def _unit(cost: Cost) -> str:
    return f" {cost.unit}" if cost.unit else ""


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(np.ceil(value / unit) * unit)
