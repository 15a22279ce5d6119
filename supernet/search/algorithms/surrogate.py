"""Search by measurements: a model of the first objective says what to measure next.

As LINAS in DyNAS-T (arXiv:2202.12954): measure subnets of all sizes, fit a model, search
on the model, measure the most promising subnets, fit again.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from supernet.search.algorithms.memetic import Memetic
from supernet.search.archive import Archive
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.loop import drive
from supernet.search.objective import Accuracy, Objective, Values
from supernet.search.pareto import Index, along_fronts
from supernet.search.problem import Problem
from supernet.space import Genes, Space, first_of_equals, one_hot, unique

__all__ = ["Fit", "Surrogate"]

Fit = Callable[[Genes, Values], Callable[[Genes], Values]]
"""A model from measured subnets ``(N, G)`` and their values ``(N,)``."""

_RIDGE = 0.1  # of the built-in model
_FEWEST = 2  # measured subnets that the built-in model is fitted to
_ON_FRONT = 0.25  # share of the candidates along the front where limits say what is sought


class Surrogate:
    """Measures what models of the measured figures promise most.

    Under limits most candidates are the best within them; else all lie along the front.

    Args:
        start: of the search.
        fit: makes the model; ridge regression on single choices when not given.
        pairs: subnets of all sizes that are measured first; half the budget at most.
        rounds: searches on the model; until the budget is spent when not given.
        candidates: subnets measured after each of them; a sixteenth of the budget, at least
            16, when not given.
        inner: subnets scored by the model in each of them.
        fewest: measured subnets that `fit` needs; 0 where it knows others by itself. Until
            then subnets are drawn at random.
    """

    def __init__(
        self,
        start: Start,
        *,
        fit: Fit | None = None,
        pairs: int = 100,
        rounds: int | None = None,
        candidates: int | None = None,
        inner: int = 20_000,
        fewest: int = _FEWEST,
    ) -> None:
        self._start = start
        self._fit = fit or _ridge(start.problem.domain.space)
        self._pairs = min(pairs, start.budget // 2)
        self._left = start.budget if rounds is None else rounds
        self._candidates, self._inner = candidates or max(16, start.budget // 16), inner
        self._fewest = fewest
        self._archive = start.archive
        self._begun = False
        self._away: set[bytes] = set()

    def ask(self, count: int) -> Candidates:
        """The corners and subnets of all sizes, then what the model promises most.

        Nothing while some of a round are measured: the next one learns from all of them.
        """
        if self._away:
            return Candidates(self._start.genes[:0])
        asked = self._next(count)
        self._away = {row.tobytes() for row in asked}
        return Candidates(asked)

    def tell(self, evaluated: Evaluated) -> None:
        """Note who is measured; the figures are in the archive."""
        self._away -= {row.tobytes() for row in evaluated.genes}

    def _next(self, count: int) -> Genes:
        if not self._begun:
            self._begun = True
            spread = self._start.spread(self._pairs)
            rows = np.concatenate([self._start.genes, spread])
            return rows[first_of_equals(rows)]
        known = np.flatnonzero(self._known())
        if not self._left or len(self._archive) >= self._start.problem.domain.count:
            return self._start.genes[:0]
        self._left -= 1
        if len(known) < self._fewest:  # nothing to learn from
            return self._start.problem.domain.sample(count, self._start.rng)
        return self._promising(known)

    def _known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        name = self._start.problem.objectives[0].name
        return np.isfinite(self._archive.columns[name])

    def _promising(self, known: Index) -> Genes:
        """The best subnets by the model that were not measured, ``(candidates, G)``."""
        problem = self._start.problem
        first, *rest = problem.objectives
        ridge = _ridge(problem.domain.space)
        asked = replace(
            problem,
            objectives=(self._model(first, self._fit), *(self._cheap(o, ridge) for o in rest)),
            others=tuple(self._cheap(own, ridge) for own in problem.others),
        )
        found = self._searched(asked, self._archive.genes[known])
        fresh = np.flatnonzero((found.violation <= 0) & (self._archive.find(found.genes) < 0))
        if not len(fresh):  # all that keeps the limits was measured
            return self._start.genes[:0]
        losses = asked.losses(found.columns)[fresh]
        share = _ON_FRONT if problem.limits else 1.0
        spread = along_fronts(losses, int(share * self._candidates))
        best = np.argsort(losses[:, 0], kind="stable")
        best = best[~np.isin(best, spread)][: self._candidates - len(spread)]
        genes_asked: Genes = found.genes[fresh[np.concatenate([spread, best])]]
        return genes_asked

    def _cheap(self, objective: Objective, fit: Fit) -> Objective:
        """As it is, or a model of it where each value takes a measurement."""
        return self._model(objective, fit) if objective.measured else objective

    def _model(self, objective: Objective, fit: Fit) -> Accuracy:
        """A model of what is known of a figure."""
        values = self._archive.columns[objective.name]
        known = np.flatnonzero(np.isfinite(values))
        return Accuracy(
            function=fit(self._archive.genes[known], values[known]),
            name=objective.name,
            unit=objective.unit,
            maximise=objective.maximise,
        )

    def _searched(self, problem: Problem, known: Genes) -> Evaluated:
        """What a search on the model has scored; everything in a small space."""
        if problem.domain.combinations <= self._inner:
            everything = problem.domain.everything()
            columns = problem.cheap(everything)
            return Evaluated(everything, columns, problem.violation(columns))
        archive = Archive(problem)
        start = replace(
            self._start,
            problem=problem,
            budget=self._inner,
            genes=unique(np.concatenate([self._start.genes, known])),
            archive=archive,
        )
        drive(Memetic, start)
        return archive.at(np.arange(len(archive)))


def _ridge(space: Space) -> Fit:
    """Ridge regression on single choices."""

    def fit(genes: Genes, values: Values) -> Callable[[Genes], Values]:
        x = one_hot(space, genes).astype(np.float64)
        mean, centre = values.mean(), x.mean(axis=0)
        x = x - centre
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (values - mean))

        def predict(population: Genes) -> Values:
            found: Values = mean + (one_hot(space, population) - centre) @ weights
            return found

        return predict

    return fit
