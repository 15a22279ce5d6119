"""`supernet.search(...)`: a search from Python, in a folder where one is named."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.arguments import held_to
from supernet.errors import ConfigError, SupernetError
from supernet.predict import AccuracyPredictor, load_predictor
from supernet.progress import FailedWarning, Progress, silent
from supernet.runs import Run
from supernet.search.algorithms.optuna_study import StudyPlace
from supernet.search.arguments import RULES
from supernet.search.bound import QUICK, THOROUGH, accuracy_bound
from supernet.search.contract import Factory
from supernet.search.driver import Budget, run_search
from supernet.search.ladder import Rung
from supernet.search.limits import check_limits
from supernet.search.objective import Accuracy, Values, checked_values, latency_name
from supernet.search.problem import Problem
from supernet.search.records import PredictorRecord
from supernet.search.registry import (
    check_budget,
    check_ladder_given,
    default_budget,
    factory_of,
    usual,
)
from supernet.search.result import SearchResult
from supernet.search.setup import check_asked, problem_of, tables_of, target_of
from supernet.search.unfinished import search_folder
from supernet.space import Body, Domain, Genes, Space, Subnet, encode

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["check_provable", "proven", "search"]


@held_to(RULES)
def search(  # noqa: PLR0913  # the options of a user
    space_or_run: Space | Run,
    targets: Mapping[str, float | None] | Sequence[str] = (),
    *,
    predictor: AccuracyPredictor | Path | str | None = None,
    accuracy: Callable[[Genes], Values] | None = None,
    objectives: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    fix: Mapping[str, Sequence[Any]] | None = None,
    features: Sequence[int] = (),
    size: tuple[int, int] | None = None,
    algorithm: "str | Factory | BaseSampler" = "",
    ladder: Sequence[Rung] = (),
    start: Sequence[Subnet] = (),
    storage: StudyPlace | str | None = None,
    workers: int = 1,
    budget: int | None = None,
    seconds: float = np.inf,
    certify: bool = False,
    seed: int = 0,
    folder: Path | str | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> SearchResult:
    """Find the Pareto front for targets, and the best subnet under limits.

    Args:
        space_or_run: a space, or a run with a predictor.
        targets: names of targets or paths of tables, with the most milliseconds of each
            (None for no limit), or names alone.
        predictor: of the accuracy, or its file; that of the run when not given.
        accuracy: measures, in place of a predictor: percent of a population ``(N, G)``, shape
            ``(N,)``, NaN where it failed. Asked once for each subnet within all other limits,
            one at a time. An exception of it is a failed measurement, with a warning; what is
            of another shape, or no numbers, ends the search.
        objectives: more costs that shape the front, such as ``macs``.
        limits: the most that is allowed of costs, such as ``{"params": 5e6}``.
        fix: allowed values by dimension, such as ``{"resolution": [192, 224]}``.
        features: strides of the maps of a backbone, such as ``(8, 16, 32)``: latencies and all
            other costs are then of what it runs.
        size: rows and columns of its images; the input size of each subnet when not given.
        algorithm: one of `supernet.search.ALGORITHMS`, a sampler object of Optuna, or a factory;
            when not given ``ei`` where the accuracy is measured, ``asha`` with a ladder, else
            ``memetic``, or ``grid`` where the budget (200,000 when not given) is enough for all;
            with a storage ``optuna:tpe``.
        ladder: cheaper measurements than `accuracy`, the cheapest first, for an algorithm that
            chooses which subnets earn a whole one.
        start: subnets to begin with; the first is what ``netadapt`` shrinks.
        storage: where a study of Optuna is kept: a URL such as ``sqlite:///study.db``, or
            ``journal:FILE``. Processes that name the same one share it.
        workers: threads that call `accuracy` at the same time, one subnet each.
        budget: subnets to score, at most; of a ladder, whole measurements or as much work. When
            not given 200 where the accuracy is measured, else what the algorithm is made for.
            Whole numbers may be floats, such as ``3e3``, here and elsewhere.
        seconds: wall time of the search, at most.
        certify: prove thoroughly how good an answer can be at best, up to a minute; refused
            where nothing can be proven.
        seed: of every random choice.
        folder: to keep the search in: all that was measured, as it goes, and the result;
            ``-2`` is added to its name where it is there already.
        resume: go on in `folder` with the same search, which was stopped: by Ctrl-C, a crash,
            or since its time was up. Nothing is measured twice.
        progress: told about the search.

    Returns:
        Every scored subnet, the front, and a bound where one is proven.

    Raises:
        InfeasibleError: nothing meets the limits; names the nearest subnet.
        ConfigError: an argument of another type, or one that breaks a rule; an unknown target,
            cost or dimension, or no predictor; nothing to go on with.

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
    if resume and folder is None:
        raise ConfigError("resume: needs the folder of the search that was stopped")
    space = space_or_run.space() if isinstance(space_or_run, Run) else space_or_run
    chosen, top1 = _accuracy(space_or_run, space, predictor, accuracy, certify=certify)
    body = Body(features=tuple(features), size=size)
    wanted: dict[str, Any] = {"objectives": objectives, "fix": fix, "body": body}
    allowed = _allowed(targets, limits or {})
    check_asked(space, list(targets), limits=allowed, **wanted)
    domain = Domain.of(space, fix)
    how = {"measures": top1.measured, "climbs": bool(ladder)}
    algorithm = algorithm or usual(domain, budget, seconds, **how, shared=bool(storage))
    most = _checked_budget(algorithm, domain, budget, **how)
    given = _given(domain, start)
    factory = factory_of(algorithm, StudyPlace.of(storage, goes_on=resume))
    tables = tables_of(space, list(targets), resume=resume, progress=progress)
    rungs = [_guarded_rung(rung) for rung in ladder]
    problem = problem_of(space, tables, top1, limits=allowed, ladder=rungs, **wanted)
    bound, good = proven(problem, chosen, thorough=certify) if chosen else (None, None)
    search_for = partial(
        run_search,
        factory=factory,
        budget=Budget(scored=most, seconds=seconds),
        start=good,
        given=given,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    if folder is None:
        return search_for(problem).bounded(bound)
    check_limits(problem)
    request = {
        "algorithm": _named(algorithm),
        "budget": most,
        "start": [str(subnet) for subnet in start],
        "measuring_workers": workers if problem.measures else 1,
        "certify": certify,
        "seed": seed,
        **_asked(problem, list(tables), objectives, body),
    }
    path = Path(folder)
    with search_folder(path.parent, path.name, problem, request, resume=resume) as own:
        result = search_for(own.journaled(problem), again=own.scored).bounded(bound)
        own.save(result, request=request, predictor=_record(chosen), tables=tables)
    return result


def _record(predictor: AccuracyPredictor | None) -> PredictorRecord | None:
    return PredictorRecord.of_predictor(predictor) if predictor else None


def _checked_budget(
    algorithm: "str | Factory | BaseSampler",
    domain: Domain,
    budget: int | None,
    *,
    measures: bool,
    climbs: bool,
) -> int:
    """The budget, also where none is given.

    Raises:
        ConfigError: the algorithm can do nothing with it, or has no ladder to climb.
    """
    if isinstance(algorithm, str):
        check_ladder_given(algorithm, climbs=climbs)
    most = default_budget(algorithm, measures=measures) if budget is None else budget
    check_budget(algorithm, domain, most)
    return most


def _named(algorithm: "str | Factory | BaseSampler") -> str:
    """An algorithm in words that tell it from others; settings that are objects are left out."""
    if isinstance(algorithm, str):
        return algorithm
    if isinstance(algorithm, partial):
        plain = (*algorithm.args, *sorted(algorithm.keywords.items()))
        told = [repr(one) for one in plain if "object at 0x" not in repr(one)]
        return f"{_named(algorithm.func)}({', '.join(told)})"
    kind: Any = algorithm if hasattr(algorithm, "__qualname__") else type(algorithm)
    return f"{kind.__module__}.{kind.__qualname__}"


def _given(domain: Domain, start: Sequence[Subnet]) -> Genes | None:
    """The subnets to begin with, ``(N, G)``.

    Raises:
        ConfigError: one was narrowed away.
    """
    if not start:
        return None
    genes = encode(domain.space, start)
    outside = ~domain.contains(genes)
    if outside.any():
        raise ConfigError(f"start: outside what fix has left: {start[int(outside.argmax())]}")
    return genes


def _allowed(
    targets: Mapping[str, float | None] | Sequence[str], limits: Mapping[str, float]
) -> dict[str, float]:
    """Limits on costs, with those on the latencies of targets."""
    if not isinstance(targets, Mapping):
        return dict(limits)
    found = {latency_name(target_of(name)): ms for name, ms in targets.items() if ms is not None}
    twice = sorted(found.keys() & limits.keys())
    if twice:
        raise ConfigError(f"{twice[0]} is limited twice, in targets and in limits")
    return {**limits, **found}


def _asked(
    problem: Problem,
    targets: Sequence[str],
    objectives: Sequence[str],
    body: Body,
) -> dict[str, Any]:
    """What of a request makes its problem, as plain values."""
    ladder = [[rung.name, rung.share] for rung in problem.ladder]
    return {
        **({"ladder": ladder} if ladder else {}),
        "targets": list(targets),
        "objectives": list(objectives),
        "limits": dict(problem.limits),
        "fix": problem.domain.as_dict(),
        **({"features": list(body.features)} if body.features else {}),
        **({"size": list(body.size)} if body.size else {}),
    }


def _guarded(accuracy: Callable[[Genes], Values], name: str, genes: Genes) -> Values:
    """What a function of the user measures; NaN where it raises, or gives what is not finite."""
    try:
        given = accuracy(genes)
    except SupernetError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the others may be measured
        line = " ".join(str(error).split())[:200]
        warnings.warn(
            f"a measurement failed, and counts as none: {type(error).__name__}: {line}",
            FailedWarning,
            stacklevel=2,
        )
        return np.full(len(genes), np.nan)
    found = checked_values(name, given, len(genes))
    return np.where(np.isfinite(found), found, np.nan)


def _guarded_rung(rung: Rung) -> Rung:
    """A rung that may fail as `accuracy` may, where it is measured."""
    if not rung.measured:
        return rung
    return replace(rung, function=partial(_guarded, rung.function, rung.name))


def _accuracy(
    space_or_run: Space | Run,
    space: Space,
    predictor: AccuracyPredictor | Path | str | None,
    accuracy: Callable[[Genes], Values] | None,
    *,
    certify: bool,
) -> tuple[AccuracyPredictor | None, Accuracy]:
    """What predicts, if anything does, and the objective."""
    if accuracy is None:
        chosen = _predictor(space_or_run, space, predictor)
        return chosen, Accuracy(function=chosen.mean)
    if predictor is not None:
        raise ConfigError("accuracy, predictor: expected one of them, found both")
    if certify:
        raise ConfigError("certify: of a measured accuracy nothing can be proven")
    return None, Accuracy(function=partial(_guarded, accuracy, "accuracy"), measured=True)


def proven(
    problem: Problem, predictor: AccuracyPredictor, *, thorough: bool = False
) -> tuple[float | None, Genes | None]:
    """A bound on the predicted accuracy, and good subnets to begin with; None for neither.

    Of an additive predictor the best subnet itself is among them, where it was found.

    Args:
        problem: with the limits.
        predictor: of the accuracy.
        thorough: go on for up to a minute.

    Raises:
        InfeasibleError: nothing meets the limits; names the nearest subnet.
        ConfigError: nothing can be proven, and that is asked for thoroughly.
    """
    check_limits(problem)
    additive = predictor.additive()
    if thorough:
        check_provable(predictor)
    if additive is None:
        return None, None
    return accuracy_bound(problem, additive, THOROUGH if thorough else QUICK)


def check_provable(predictor: AccuracyPredictor) -> None:
    """Refuse a predictor by which nothing can be proven.

    Raises:
        ConfigError: it has no additive part.
    """
    if predictor.additive() is None:
        raise ConfigError(
            f"certify: a predictor of kind {predictor.kind!r} has no additive part, so nothing "
            "can be proven",
            hint="fit one with `supernet predictor fit --kind ridge`",
        )


def _predictor(
    space_or_run: Space | Run, space: Space, predictor: AccuracyPredictor | Path | str | None
) -> AccuracyPredictor:
    if isinstance(predictor, Path | str):
        return load_predictor(Path(predictor), space)
    if predictor is not None:
        if predictor.space.hash != space.hash:
            raise ConfigError(
                f"predictor: is of space {predictor.space.name!r} ({predictor.space.hash}), the "
                f"search is of {space.name!r} ({space.hash})"
            )
        return predictor
    if isinstance(space_or_run, Run):
        return load_predictor(space_or_run.known_predictor(), space)
    raise ConfigError("a search of a space needs a predictor", hint="fit_predictor makes one")
