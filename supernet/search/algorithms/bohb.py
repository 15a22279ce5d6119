"""BOHB as Optuna does it: its TPE sampler with its Hyperband pruner (extra: optuna).

Falkner, Klein & Hutter 2018 (arXiv:1807.01774): a model says what to try, Hyperband how long.
"""

from typing import TYPE_CHECKING

import numpy as np

from supernet.search.algorithms.climbing import REDUCTION, Reserve
from supernet.search.algorithms.optuna_parameters import Parameters
from supernet.search.algorithms.optuna_study import opened_study
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Genes
from supernet.studies import need_optuna

if TYPE_CHECKING:
    from optuna import Study, Trial

__all__ = ["BOHB"]

_AT_ONCE = 16  # subnets asked for at a time, at most
_TRIES = 8  # trials for each new subnet, before one near the last is taken


class BOHB:
    """TPE suggests; after each rung the pruner says whether the subnet climbs at once.

    Brackets differ in the first rung at which a subnet may be pruned; ten trials for each are
    the least that makes sense. It weighs the first objective: Optuna prunes in studies of one
    only.

    Args:
        start: of the search.
        reduction: of so many subnets at a rung one climbs.

    Raises:
        MissingPackageError: Optuna is not installed.
    """

    def __init__(self, start: Start, *, reduction: int = REDUCTION) -> None:
        self._start, self._problem, self._reduction = start, start.problem, reduction
        optuna = need_optuna("bohb")
        self._states = optuna.trial.TrialState
        self._parameters = Parameters(self._problem.domain)
        first = self._problem.objectives[0]
        self._names = [*(rung.name for rung in self._problem.ladder), first.name]
        sampler = optuna.samplers.TPESampler(seed=int(start.rng.integers(2**31)))
        pruner = optuna.pruners.HyperbandPruner(
            min_resource=1,
            max_resource=reduction ** (len(self._names) - 1) + 1,  # whose logarithm is rounded
            reduction_factor=reduction,
        )
        self._study: Study = opened_study(self._problem, [first], sampler, pruner=pruner)
        self._first, self._reserve = start.genes, Reserve(start)
        self._trials: dict[bytes, tuple[Trial, int]] = {}
        self._climbing: list[bytes] = []

    def ask(self, count: int) -> Candidates:
        """Those that climb, then what the sampler suggests, at the lowest rung."""
        rows: list[Genes] = []
        rungs: list[int] = []
        while len(rows) < min(count, _AT_ONCE):
            row = self._last_resort() if self._reserve.needed else self._next()
            if not len(row):
                break
            rungs.append(self._trials[row.tobytes()][1])
            self._reserve.take(row, rungs[-1])
            rows.append(row)
        return Candidates(np.concatenate([self._first[:0], *rows]), np.array(rungs, dtype=int))

    def _next(self) -> Genes:
        """One that climbs, else a new one, shape ``(1, G)``."""
        if not self._climbing:
            return self._suggestion()
        row: Genes = np.frombuffer(self._climbing.pop(0), dtype=self._first.dtype).reshape(1, -1)
        return row

    def _last_resort(self) -> Genes:
        """The best so far, to be measured whole; none while results are on their way."""
        if len(self._trials) > len(self._climbing):
            return self._first[:0]
        genes = self._best()
        key = genes.tobytes()
        if key in self._climbing:
            self._climbing.remove(key)
        elif key not in self._trials:
            self._asked(genes)
        self._trials[key] = self._trials[key][0], len(self._names) - 1
        return genes

    def _best(self) -> Genes:
        """Of those at the highest rung; a new one where nothing was measured; ``(1, G)``."""
        archive = self._start.archive
        for name in reversed(self._names[:-1]):
            values = archive.columns[name]
            known = np.flatnonzero(np.isfinite(values))
            if len(known):
                order = np.lexsort((-values[known], archive.violation[known]))
                return archive.genes[known[order[:1]]]
        return self._suggestion()

    def tell(self, evaluated: Evaluated) -> None:
        """Report each rung to its trial, which then ends or climbs."""
        for number, row in enumerate(evaluated.genes):
            key = row.tobytes()
            if key in self._trials and key not in self._climbing:
                trial, rung = self._trials[key]
                self._report(key, trial, rung, evaluated.columns[self._names[rung]][number])

    def _report(self, key: bytes, trial: "Trial", rung: int, value: float) -> None:
        whole = len(self._names) - 1
        if not np.isfinite(value):
            self._study.tell(trial, state=self._states.FAIL)
        elif rung == whole:
            self._study.tell(trial, value)
        else:
            trial.report(value, self._reduction**rung)
            if not trial.should_prune():
                self._trials[key] = trial, rung + 1
                self._climbing.append(key)
                return
            self._study.tell(trial, state=self._states.PRUNED)
        del self._trials[key]

    def _suggestion(self) -> Genes:
        """A subnet within the limits that is not known, shape ``(1, G)``."""
        if len(self._first):
            wanted, self._first = self._first[:1], self._first[1:]
            return self._asked(wanted)
        for _ in range(_TRIES):
            trial = self._study.ask()
            genes = self._parameters.suggested(trial)
            if self._is_new(genes) and self._problem.allows(genes)[0]:
                self._trials[genes.tobytes()] = trial, 0
                return genes
            self._study.tell(trial, state=self._states.FAIL)
        return self._asked(self._start.near(genes))

    def _asked(self, genes: Genes) -> Genes:
        """A given subnet, as a trial of its own."""
        params, _ = self._parameters.of(genes[0])
        self._study.enqueue_trial(params)
        self._trials[genes.tobytes()] = self._study.ask(), 0
        return self._parameters.suggested(self._trials[genes.tobytes()][0])

    def _is_new(self, genes: Genes) -> bool:
        return self._start.archive.find(genes)[0] < 0 and genes.tobytes() not in self._trials
