"""An accuracy predictor of a run, learned from subnets that are measured for it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from supernet import __version__
from supernet.errors import SupernetError
from supernet.files import read_document, sha256, write_document
from supernet.predict import AccuracyPairs, FittedPredictor, fit_predictor, learn_more
from supernet.predict.fitted import load_fitted
from supernet.progress import Progress
from supernet.runs import Run
from supernet.search import Accuracy, Budget, Problem, corners, run_search
from supernet.search.algorithms.surrogate import Surrogate
from supernet.search.objective import Values
from supernet.search.unfinished import probed
from supernet.space import Genes, subnet_keys, unique
from supernet.workflow.accuracies import Accuracies, first_pairs
from supernet.workflow.request import SearchRequest

__all__ = ["learn_predictor"]

_LEARNED = "learned.json"
_KIND, _VERSION = "learned", 1


def learn_predictor(
    run: Run, request: SearchRequest, problem: Problem, progress: Progress
) -> FittedPredictor:
    """Measure subnets of all sizes, then the most promising ones, and learn from all.

    Its error is that on subnets of all sizes: those that a search chose lie close together.
    What was learned last is kept, with what it was learned from, and is not learned again for
    the same.

    Args:
        run: a trained one with images.
        request: how many to measure, and what to learn.
        problem: what is searched for; its accuracy is replaced by measurements.
        progress: told about every measurement.
    """
    spread = first_pairs(problem.domain, request.pairs, request.seed)
    with Accuracies(run, request.measuring, progress, images=request.images) as accuracies:
        key = _key(accuracies, request, problem)
        known = _learned(accuracies, key)
        if known is not None:
            return known
        checked = fit_predictor(_pairs(accuracies, spread), request.kind, seed=request.seed)
        chosen = _promising(accuracies, request, problem, spread, progress)
        if not len(chosen):
            predictor = checked
        else:
            predictor = learn_more(checked, chosen, *accuracies.measure(chosen), seed=request.seed)
    predictor.save(run.predictor)
    body = {"learned_from": key, "predictor_sha256": sha256(run.predictor)}
    write_document(run.predictor.with_name(_LEARNED), _KIND, _VERSION, body)
    return load_fitted(run.predictor, run.space())  # as the next search reads it


def _key(accuracies: Accuracies, request: SearchRequest, problem: Problem) -> str:
    """Digest of all that decides what is learned."""
    asked = (request.kind, request.pairs, request.rounds, request.candidates, request.seed)
    sought = (problem.domain.as_dict(), sorted(problem.limits.items()), probed(problem))
    told = (__version__, accuracies.space.hash, accuracies.condition, asked, sought)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _learned(accuracies: Accuracies, key: str) -> FittedPredictor | None:
    """What was learned last, if it was from the same and both are as they were."""
    run = accuracies.run
    try:
        body = read_document(run.predictor.with_name(_LEARNED), _KIND, _VERSION)
        if body != {"learned_from": key, "predictor_sha256": sha256(run.predictor)}:
            return None
        known = load_fitted(run.predictor, run.space())
    except (SupernetError, OSError):
        return None
    keys = subnet_keys(accuracies.space, known.pairs.genes)
    measured = accuracies.evidence.lookup(accuracies.condition, keys)
    return known if np.array_equal(measured.top1, known.pairs.top1) else None


def _pairs(accuracies: Accuracies, genes: Genes) -> AccuracyPairs:
    top1, loss = accuracies.measure(genes)
    return AccuracyPairs(space=accuracies.space, genes=genes, top1=top1, loss=loss)


def _promising(
    accuracies: Accuracies,
    request: SearchRequest,
    problem: Problem,
    spread: Genes,
    progress: Progress,
) -> Genes:
    """The subnets that searches on predictions chose, all measured, ``(N, G)``."""
    if not request.rounds:
        return spread[:0]

    def fit(genes: Genes, _: Values) -> Callable[[Genes], Values]:
        pairs = _pairs(accuracies, unique(np.concatenate([spread, genes])))
        return fit_predictor(pairs, request.kind, seed=request.seed, folds=2).mean

    objectives = (Accuracy(function=accuracies.top1, measured=True), *problem.objectives[1:])
    asked = replace(problem, objectives=objectives)
    result = run_search(
        asked,
        factory=partial(
            Surrogate,
            fit=fit,
            fewest=0,  # it knows those of all sizes
            pairs=0,
            rounds=request.rounds,
            candidates=request.candidates,
        ),
        budget=Budget(scored=len(corners(asked)) + request.rounds * request.candidates),
        seed=request.seed,
        workers=request.workers,
        progress=progress,
    )
    found: Genes = result.genes[np.isfinite(result.columns["top1"])]
    return found
