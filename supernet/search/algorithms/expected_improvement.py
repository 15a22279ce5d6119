"""Bayesian optimisation: measure the subnet that is expected to improve most.

A Gaussian process says how good a subnet is and how sure that is; the expected improvement
(Jones, Schonlau & Welch 1998) weighs both. Costs are known without a measurement, so limits
rule subnets out beforehand, and along a front the expected hypervolume improvement is a mean
of expected improvements over the room below the costs' references. A figure beside the first
that takes a measurement counts as what a second model says of it, as if that were sure.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from supernet.errors import ConfigError
from supernet.predict import AccuracyPairs
from supernet.predict.contract import FEWEST_PAIRS
from supernet.predict.gp import GaussianProcess
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Objective, Values
from supernet.search.pareto import Index
from supernet.space import Genes, first_of_equals, unique

__all__ = ["ExpectedImprovement", "expected_improvement", "percent"]

_FIRST = 6  # fewer measurements on NAS-Bench-Macro than with 12
_AT_ONCE = 8  # subnets chosen by one model, at most
_REFIT = 1.05  # the kernel's parameters are found again when the pairs have grown by so much
_ALL = 8_000  # subnets that are all considered where there are no more
_POOL = 2_000  # random subnets that are considered else
_CLIMBERS, _ROUNDS = 24, 3  # of the best, whose neighbours are considered, again and again
_POINTS = 256  # of the room below the references
_TRUST = 0.5  # of the model's standard deviation: with it a few measurements go further
_GRID = np.linspace(-8.0, 8.0, 4001)
_GAIN = np.array(
    [
        math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + z / 2 * (1 + math.erf(z / math.sqrt(2)))
        for z in _GRID.tolist()
    ]
)


def expected_improvement(mean: Values, std: Values, best: Values) -> Values:
    """What a normal variable exceeds a value by, in the mean; shapes are broadcast."""
    z = (mean - best) / std
    found: Values = std * np.where(z > _GRID[-1], z, np.interp(z, _GRID, _GAIN, left=0.0))
    return found


def percent(values: Values, objective: Objective) -> Values:
    """Any figure as one that grows, from 10 to 90: what a model of accuracies takes.

    What is worse than the median by more than the best is better counts as just that: how bad
    the worst ones are would else be most of what a model learns.
    """
    gains = values if objective.maximise else -values
    gains = np.maximum(gains, 2 * np.median(gains) - gains.max())
    low, span = float(gains.min()), float(np.ptp(gains))
    found: Values = 10.0 + (gains - low) * (80.0 / (span or 1.0))
    return found


class ExpectedImprovement:
    """Measures what a Gaussian process expects to improve the answer, or the front, most.

    Under limits both in turn: the answer is the best within them. Each subnet more takes longer
    to learn from: it is made for a thousand.

    Args:
        start: of the search.
        first: subnets of all sizes that are measured before the first fit; half the budget at
            most.
    """

    def __init__(self, start: Start, *, first: int = _FIRST) -> None:
        self._start, self._archive, self._problem = start, start.archive, start.problem
        self._domain, self._objective = start.problem.domain, start.problem.objectives[0]
        some = self._domain.sample_spread(_POOL, start.rng)
        some = self._open(some)[: max(min(first, start.budget // 2), 1)]
        self._queue = np.concatenate([start.genes, some])
        self._queue = self._queue[first_of_equals(self._queue)]
        self._fits: dict[str, tuple[Values, int]] = {}
        self._turn = 0

    def ask(self, count: int) -> Candidates:
        """Some subnets of all sizes, then those of the greatest expected improvement."""
        if not len(self._queue):
            self._queue = self._chosen(min(count, _AT_ONCE))
        asked, self._queue = self._queue[:count], self._queue[count:]
        return Candidates(asked)

    def tell(self, evaluated: Evaluated) -> None:
        """Nothing to do: measurements are in the archive."""

    def _chosen(self, count: int) -> Genes:
        values = self._archive.columns[self._objective.name]
        known = np.flatnonzero(np.isfinite(values))
        if len(known) < FEWEST_PAIRS:
            return self._nearest(count)
        genes = self._archive.genes[known]
        model = self._model(self._objective, known)
        self._turn += 1
        best_alone = self._problem.limits and self._turn % 2
        others = () if best_alone else self._problem.objectives[1:]
        costs = [self._cost(own) for own in others]
        improvement = _Improvement(costs, model, genes, self._start.rng)
        if self._domain.combinations <= _ALL:
            pool = self._open(self._domain.everything())
            return pool[_highest(improvement(pool), count)]
        pool = self._open(self._domain.sample_spread(_POOL, self._start.rng))
        gains, top = improvement(pool), genes[_highest(model.mean(genes), _CLIMBERS)]
        for _ in range(_ROUNDS):
            around = self._around(top)
            pool = np.concatenate([pool, around])
            gains = np.concatenate([gains, improvement(around)])
            top = pool[_highest(gains, _CLIMBERS)]
        first = first_of_equals(pool)
        return pool[first[_highest(gains[first], count)]]

    def _nearest(self, count: int) -> Genes:
        """Of random subnets and neighbours of the best those that break limits least."""
        best = self._archive.genes[_highest(-self._archive.violation, _CLIMBERS)]
        around = self._domain.neighbours(best)
        rows = unique(np.concatenate([self._start.spread(_CLIMBERS), around]))
        rows = rows[self._archive.find(rows) < 0]
        broken = self._problem.violation(self._problem.cheap(rows), len(rows))
        return rows[_highest(-broken, count)]

    def _open(self, genes: Genes) -> Genes:
        """Those within the limits that were not measured, once each."""
        genes = unique(genes)
        genes = genes[self._archive.find(genes) < 0]
        return genes[self._problem.allows(genes)]

    def _around(self, genes: Genes) -> Genes:
        """All open single changes of some subnets."""
        return self._open(self._domain.neighbours(genes))

    def _cost(self, objective: Objective) -> Callable[[Genes], Values]:
        """A figure, or what a model says of one that takes a measurement: less is better."""
        sign = -1.0 if objective.maximise else 1.0
        if not objective.measured:
            return lambda genes: sign * objective(genes)
        values = self._archive.columns[objective.name]
        known = np.flatnonzero(np.isfinite(values))
        if len(known) < FEWEST_PAIRS:
            return lambda genes: np.zeros(len(genes))
        model = self._model(objective, known)
        return lambda genes: -model.mean(genes)

    def _model(self, objective: Objective, known: Index) -> GaussianProcess:
        """Of a figure, as one that grows."""
        values = percent(self._archive.columns[objective.name][known], objective)
        genes = self._archive.genes[known].copy()
        pairs = AccuracyPairs(space=self._domain.space, genes=genes, top1=values)
        parameters, count = self._fits.get(objective.name, (None, 0))
        if len(pairs) >= _REFIT * count:
            parameters = None
        try:
            process = GaussianProcess(pairs, parameters)
        except ConfigError:  # a feature varies for the first time: one more parameter
            parameters, process = None, GaussianProcess(pairs)
        if parameters is None:
            self._fits[objective.name] = process.parameters, len(pairs)
        return process


class _Improvement:
    """The expected improvement of a front, or of the best where there is but one objective.

    With costs, known ones or a model's, it is a mean over points of the room below their
    references: at each the improvement of the best subnet that is no more expensive. Many
    points share it.
    """

    def __init__(
        self,
        costs: Sequence[Callable[[Genes], Values]],
        model: GaussianProcess,
        known: Genes,
        rng: np.random.Generator,
    ) -> None:
        self._model, self._costs = model, costs
        spent, means = self._costs_of(known), model.mean(known)
        low, high = spent.min(axis=0), spent.max(axis=0)
        points = low + rng.random((_POINTS if costs else 1, len(costs))) * (high - low)
        within = (spent[None] <= points[:, None]).all(axis=2)
        self._points = points
        best = np.where(within, means, means.min()).max(axis=1)
        self._best, group = np.unique(best, return_inverse=True)
        self._shares = np.eye(len(self._best))[group] / len(points)

    def _costs_of(self, genes: Genes) -> Values:
        found = [cost(genes) for cost in self._costs]
        return np.stack(found, axis=1) if found else np.zeros((len(genes), 0))

    def __call__(self, genes: Genes) -> Values:
        """Of each, shape ``(N,)``."""
        mean, std = self._model.moments(genes, noise=False)
        within = (self._costs_of(genes)[:, None] <= self._points).all(axis=2)
        gains = expected_improvement(mean[:, None], _TRUST * std[:, None], self._best)
        found: Values = (gains * (within @ self._shares)).sum(axis=1)
        return found


def _highest(values: Values, count: int) -> Index:
    order: Index = np.argsort(-values, kind="stable")[:count]
    return order
