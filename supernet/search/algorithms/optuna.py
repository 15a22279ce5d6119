"""Samplers of Optuna, through its own ask and tell (extra: optuna)."""

import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import MissingPackageError
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Genes
from supernet.space.layout import layout_of

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "OptunaSampler"]

_AT_ONCE = 16  # subnets asked for at a time, at most
_TRIES = 8  # trials for each subnet that is asked for, before a random one is taken
_MIXED = 64  # subnets of which the nearest is taken in place of one that breaks a limit
_MOST = 2_000  # subnets after which it ends: samplers take longer with every trial
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "cmaes": "CmaEsSampler",
    "random": "RandomSampler",
}
"""Classes of Optuna by the names that they are asked for by."""
_FLAT = ("gp", "cmaes")  # take numbers that are always there
_ALONE = ("cmaes",)  # take one objective


class OptunaSampler:
    """Asks a study of Optuna, and tells it everything.

    A gene is a categorical parameter by the name of its dimension, there only where it has an
    effect; for samplers that need a flat space it is a number, and always there. A subnet that
    breaks a limit is a failed trial, and one near it is asked for; one that is known is told at
    once: neither is measured.

    Args:
        start: of the search.
        sampler: a name of `SAMPLERS`, or makes one.

    Raises:
        MissingPackageError: Optuna is not installed.
    """

    def __init__(self, start: Start, *, sampler: "str | Callable[[], BaseSampler]" = "tpe") -> None:
        self._start, self._problem, self._archive = start, start.problem, start.archive
        self._domain, self._optuna = start.problem.domain, _optuna()
        seed = int(start.rng.integers(2**31))
        self._flat = sampler in _FLAT
        objectives = start.problem.objectives[: 1 if sampler in _ALONE else None]
        self._names = [objective.name for objective in objectives]
        if isinstance(sampler, str):
            sampler = partial(getattr(self._optuna.samplers, SAMPLERS[sampler]), seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler is experimental
            chosen = sampler()
        self._study: Study = self._optuna.create_study(
            directions=["maximize" if o.maximise else "minimize" for o in objectives],
            sampler=chosen,
        )
        layout = layout_of(self._domain.space)
        self._conditions: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for rows in layout.conditions:
            for column, deciding, needed in rows.tolist():
                self._conditions[column].append((deciding, needed))
        self._order = sorted(self._domain.free.tolist(), key=self._rank)
        self._genes_of = layout.genes
        self._first: Genes = start.genes
        self._trials: dict[bytes, Trial] = {}
        self._told: set[bytes] = set()

    def ask(self, count: int) -> Candidates:
        """The subnets to begin with, then what the sampler suggests."""
        if len(self._first):
            first, self._first = self._first, self._first[:0]
            return Candidates(first)
        if len(self._told) >= min(_MOST, self._domain.count):
            return Candidates(self._first)
        rows: list[Genes] = []
        for _ in range(min(count, _AT_ONCE)):
            rows.append(self._suggestion())
        return Candidates(np.concatenate(rows))

    def tell(self, evaluated: Evaluated) -> None:
        """Tell the study what it has not been told, also of subnets that it did not suggest."""
        for number, row in enumerate(evaluated.genes):
            key = row.tobytes()
            if key not in self._told:
                self._told.add(key)
                values = [float(evaluated.columns[name][number]) for name in self._names]
                self._tell(self._trials.pop(key, None), row, values)

    def _rank(self, column: int) -> int:
        """A gene comes after those that decide whether it has an effect."""
        deciding = self._conditions[column]
        return 1 + max((self._rank(other) for other, _ in deciding), default=0)

    def _suggestion(self) -> Genes:
        """A subnet within the limits that is not known, shape ``(1, G)``."""
        for _ in range(_TRIES):
            trial = self._study.ask()
            genes = self._suggested(trial)
            key, index = genes.tobytes(), int(self._archive.find(genes)[0])
            if index < 0 and key not in self._trials and self._problem.allows(genes)[0]:
                self._trials[key] = trial
                return genes
            if index < 0:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                return self._near(genes)
            known = self._archive.at(np.array([index]))
            self._tell(trial, genes[0], [float(known.columns[name][0]) for name in self._names])
        return self._near(self._domain.sample(1, self._start.rng))

    def _near(self, genes: Genes) -> Genes:
        """What keeps the limits and shares most genes with a subnet ``(1, G)`` that does not."""
        rng = self._start.rng
        nearest = self._archive.violation == self._archive.violation.min()
        mates = self._archive.genes[rng.choice(np.flatnonzero(nearest), _MIXED)]
        shares = rng.random((_MIXED, 1))
        mixed = np.where(rng.random(mates.shape) < shares, mates, genes)
        rows = self._domain.canonical(np.concatenate([mixed, self._domain.sample(_MIXED, rng)]))
        good = self._problem.allows(rows) & (self._archive.find(rows) < 0)
        same = (rows == genes).sum(axis=1) + rows.shape[1] * good
        return rows[[int(same.argmax())]]

    def _suggested(self, trial: "Trial") -> Genes:
        """The subnet of a trial, canonical, shape ``(1, G)``."""
        row = self._domain.smallest()[0]
        for column in self._order:
            allowed = self._domain.allowed[column]
            gene = self._genes_of[column]
            if self._flat:
                row[column] = allowed[trial.suggest_int(gene.name, 0, len(allowed) - 1)]
            elif all(row[deciding] >= needed for deciding, needed in self._conditions[column]):
                choices = [gene.choices[i] for i in allowed]
                row[column] = gene.choices.index(trial.suggest_categorical(gene.name, choices))
        return self._domain.canonical(row[None])

    def _tell(self, trial: "Trial | None", row: Genes, values: list[float]) -> None:
        failed = not np.isfinite(values).all()
        states = self._optuna.trial.TrialState
        if trial is not None:
            self._study.tell(trial, None if failed else values, states.FAIL if failed else None)
        elif not failed:
            self._study.add_trial(self._stranger(row, values))

    def _stranger(self, row: Genes, values: list[float]) -> Any:
        """A finished trial of a subnet that the sampler did not suggest."""
        params: dict[str, Any] = {}
        spread: dict[str, Any] = {}
        distributions = self._optuna.distributions
        for column in self._order:
            allowed, gene = self._domain.allowed[column], self._genes_of[column]
            if self._flat:
                spread[gene.name] = distributions.IntDistribution(0, len(allowed) - 1)
                params[gene.name] = allowed.index(row[column]) if row[column] in allowed else 0
            elif all(row[deciding] >= needed for deciding, needed in self._conditions[column]):
                choices = [gene.choices[i] for i in allowed]
                spread[gene.name] = distributions.CategoricalDistribution(choices)
                params[gene.name] = gene.choices[row[column]]
        return self._optuna.trial.create_trial(params=params, distributions=spread, values=values)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingPackageError(
            "samplers of Optuna need the package optuna, which is not installed",
            hint="pip install 'supernet[optuna]'",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
