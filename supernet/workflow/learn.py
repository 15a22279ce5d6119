"""An accuracy predictor of a run, learned from subnets that are measured for it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from supernet.predict import AccuracyPairs, FittedPredictor, fit_predictor
from supernet.progress import Progress
from supernet.runs import Run
from supernet.search import Accuracy, Budget, Problem, corners, run_search
from supernet.search.algorithms.surrogate import Surrogate
from supernet.search.objective import Values
from supernet.space import Genes, unique
from supernet.workflow.accuracies import Accuracies, random_pairs
from supernet.workflow.request import SearchRequest

__all__ = ["learn_predictor"]


def learn_predictor(
    run: Run, request: SearchRequest, problem: Problem, progress: Progress
) -> FittedPredictor:
    """Measure subnets of all sizes, then the most promising ones, and learn from all.

    Its error is that on subnets of all sizes: those that a search chose lie close together.

    Args:
        run: a trained one with images.
        request: how many to measure, and what to learn.
        problem: what is searched for; its accuracy is replaced by measurements.
        progress: told about every measurement.
    """
    spread = random_pairs(run.space(), request.pairs, request.seed)
    with Accuracies(
        run, request.device, progress, images=request.images, workers=request.workers
    ) as accuracies:
        checked = fit_predictor(_pairs(accuracies, spread), request.kind, seed=request.seed)
        chosen = _promising(accuracies, request, problem, spread)
        if not len(chosen):
            predictor = checked
        else:
            pairs = _pairs(accuracies, unique(np.concatenate([spread, chosen])))
            fitted = fit_predictor(pairs, request.kind, seed=request.seed)
            predictor = replace(fitted, validation=checked.validation, scale=checked.scale)
    predictor.save(run.predictor)
    return predictor


def _pairs(accuracies: Accuracies, genes: Genes) -> AccuracyPairs:
    top1, loss = accuracies.measure(genes)
    return AccuracyPairs(space=accuracies.space, genes=genes, top1=top1, loss=loss)


def _promising(
    accuracies: Accuracies, request: SearchRequest, problem: Problem, spread: Genes
) -> Genes:
    """The subnets that searches on predictions chose, all measured, ``(N, G)``."""
    if not request.rounds:
        return spread[:0]

    def measured(genes: Genes) -> Values:
        top1: Values = accuracies.measure(genes)[0]
        return top1

    def fit(genes: Genes, _: Values) -> Callable[[Genes], Values]:
        pairs = _pairs(accuracies, unique(np.concatenate([spread, genes])))
        return fit_predictor(pairs, request.kind, seed=request.seed, folds=2).mean

    objectives = (Accuracy(function=measured, measured=True), *problem.objectives[1:])
    asked = replace(problem, objectives=objectives)
    result = run_search(
        asked,
        factory=partial(
            Surrogate, fit=fit, pairs=0, rounds=request.rounds, candidates=request.candidates
        ),
        budget=Budget(scored=len(corners(asked)) + request.rounds * request.candidates),
        seed=request.seed,
    )
    found: Genes = result.genes[np.isfinite(result.columns["top1"])]
    return found
