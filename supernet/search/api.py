"""`supernet.search(...)`: a search from Python, without files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.predict import AccuracyPredictor, load_predictor
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.search.bound import accuracy_bound
from supernet.search.driver import Budget, run_search
from supernet.search.objective import Accuracy
from supernet.search.problem import Problem
from supernet.search.registry import DEFAULT, algorithm
from supernet.search.result import SearchResult
from supernet.search.setup import problem_of, tables_of
from supernet.space import Genes, Space

__all__ = ["proven", "search"]


def search(  # noqa: PLR0913  # the options of a user
    space_or_run: Space | Run,
    targets: Mapping[str, float | None] | Sequence[str] = (),
    *,
    predictor: AccuracyPredictor | Path | str | None = None,
    objectives: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    fix: Mapping[str, Sequence[Any]] | None = None,
    algorithm_name: str = DEFAULT,
    budget: int = 60_000,
    seconds: float = np.inf,
    seed: int = 0,
    progress: Progress = silent,
) -> SearchResult:
    """Find the Pareto front for targets, and the best subnet under limits.

    Args:
        space_or_run: a space, or a run with a predictor.
        targets: names of targets or paths of tables, with the most milliseconds of each
            (None for no limit), or names alone.
        predictor: of the accuracy, or its file; that of the run when not given.
        objectives: more costs that shape the front, such as ``macs``.
        limits: the most that is allowed of costs, such as ``{"params": 5e6}``.
        fix: allowed values by dimension, such as ``{"resolution": [192, 224]}``.
        algorithm_name: one of `supernet.search.ALGORITHMS`.
        budget: subnets to score, at most.
        seconds: wall time, at most.
        seed: of every random choice.
        progress: told about the search.

    Returns:
        Every scored subnet, the front, and a bound where one is proven.

    Raises:
        InfeasibleError: nothing meets the limits; names the nearest subnet.
        ConfigError: an unknown target, cost or dimension, or no predictor.

    Example:
        >>> import numpy as np
        >>> import supernet
        >>> from supernet.predict import AccuracyPairs, fit_predictor
        >>> from supernet.space import macs_of, sample
        >>> space = supernet.load_space("demo")
        >>> genes = sample(space, 60, np.random.default_rng(0))
        >>> top1 = 10 * np.log10(macs_of(space, genes))  # measured, in real life
        >>> pairs = AccuracyPairs(space=space, genes=genes, top1=top1)
        >>> result = supernet.search(
        ...     space,
        ...     limits={"params": 290_000},
        ...     objectives=["macs"],
        ...     predictor=fit_predictor(pairs, "ridge"),
        ...     budget=5000,
        ... )
        >>> result.figures(result.best())["params"] <= 290_000
        True
    """
    space = space_or_run.space() if isinstance(space_or_run, Run) else space_or_run
    chosen = _predictor(space_or_run, space, predictor)
    allowed = dict(limits or {})
    if isinstance(targets, Mapping):
        allowed |= {f"latency@{name}": ms for name, ms in targets.items() if ms is not None}
    problem = problem_of(
        space,
        tables_of(space, list(targets), progress=progress),
        Accuracy(function=chosen.mean),
        objectives=objectives,
        limits=allowed,
        fix=fix,
    )
    bound, start = proven(problem, chosen)
    result = run_search(
        problem,
        factory=algorithm(algorithm_name).factory,
        budget=Budget(scored=budget, seconds=seconds),
        start=start,
        seed=seed,
        progress=progress,
    )
    return replace(result, bound=bound)


def proven(problem: Problem, predictor: AccuracyPredictor) -> tuple[float | None, Genes | None]:
    """A bound on the predicted accuracy, and good subnets to begin with; None for neither."""
    additive = predictor.additive()
    return (None, None) if additive is None else accuracy_bound(problem, additive)


def _predictor(
    space_or_run: Space | Run, space: Space, predictor: AccuracyPredictor | Path | str | None
) -> AccuracyPredictor:
    if isinstance(predictor, Path | str):
        return load_predictor(Path(predictor), space)
    if predictor is not None:
        return predictor
    if isinstance(space_or_run, Run):
        return load_predictor(space_or_run.known_predictor(), space)
    raise ConfigError("a search of a space needs a predictor", hint="fit_predictor makes one")
