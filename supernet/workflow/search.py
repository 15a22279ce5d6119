"""From a trained supernet, or a predictor and a table, to the best subnet for targets."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.files import sha256
from supernet.latency import LatencyTable, load_target
from supernet.latency.targets import HERE
from supernet.predict import AccuracyPredictor, load_predictor
from supernet.progress import Progress, silent
from supernet.run_images import tell_changes
from supernet.runs import Run
from supernet.search import (
    Accuracy,
    Budget,
    PredictorRecord,
    Problem,
    SearchFolder,
    SearchResult,
    check_limits,
    climbs_of,
    run_search,
    search_folder,
)
from supernet.search.api import check_provable, proven
from supernet.search.objective import Values
from supernet.search.registry import check_budget, default_budget
from supernet.search.setup import check_asked, problem_of, tables_of
from supernet.space import Domain, Genes, Space, SubnetFile, encode
from supernet.workflow.algorithm import (
    factory_for,
    measured_if_few,
    shared_by,
    with_algorithm,
)
from supernet.workflow.confirm import Confirmed, confirm, pairs_of
from supernet.workflow.engines import check_actors_memory
from supernet.workflow.held_out import check_held_out
from supernet.workflow.ladder import ladder_of, measured_problem
from supernet.workflow.learn import learn_predictor
from supernet.workflow.quantisation_loss import learn_int8_predictor
from supernet.workflow.ray_tune import tune_search
from supernet.workflow.report import report_results, report_run
from supernet.workflow.request import FINALISTS, RAY_TUNE, SearchRequest
from supernet.workflow.search_outcome import SearchOutcome
from supernet.workflow.subnet_files import write_chosen

__all__ = ["SEARCHES", "search_run", "search_space"]

SEARCHES = Path("searches")
"""Where searches without a run are kept, below the working directory."""


def search_run(
    run: Run,
    request: SearchRequest,
    *,
    output: Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> SearchOutcome:
    """Find the front for the targets of a request, and the best subnet under its limits.

    Measures what is not known yet: the table of this machine, and the accuracy of some
    subnets on the held-out images, unless the run has a predictor. Keeps everything in a
    folder of the run's ``search/``.

    Args:
        run: a trained one.
        request: what to search for.
        output: also write ``subnet.json`` there.
        resume: go on with the same search, which was stopped, in its folder.
        progress: told about all long work.

    Raises:
        InfeasibleError: no subnet meets the limits; names the nearest.
        ConfigError: an unknown target, objective or dimension; with `resume` no such search.
    """
    space = run.space()
    request = with_algorithm(measured_if_few(run, request), space)
    tell_changes(run, progress)
    steps = ladder_of(request, run) if request.measures else ()
    predicts = not steps or any(step.predicts for step in steps)
    # what is wrong with a predictor is said before anything is measured
    known = _predictor_of(run, request) if predicts else None
    if request.confirm is None:
        request = replace(request, confirm=0 if steps or known is not None else FINALISTS)
    if request.certify and known is not None:
        check_provable(known)
    weights = sha256(run.weights())
    if known is None or steps or request.confirm or request.precision == "int8":
        check_held_out(run, request, progress, learns=predicts and known is None)
    tables = _tables(space, request, resume, progress)
    problem = _problem(space, request, tables, known)
    check_limits(problem)
    asked = {**request.as_dict(), "weights": weights}
    fingerprint = run.condition("holdout").fingerprint
    if fingerprint:
        asked["fingerprint"] = fingerprint
    if steps:  # what is asked next depends on what is known by then
        asked["measuring_workers"] = request.workers
    name = _name(request, tables)
    with search_folder(run.searches, name, problem, asked, resume=resume) as folder:
        predictor = known
        if predicts and known is None:
            predictor = learn_predictor(run, request, problem, progress)
        if predictor is not None and request.precision == "int8":
            predictor = learn_int8_predictor(run, request, predictor, progress)
        problem = _problem(space, request, tables, predictor)
        with ExitStack() as stack:
            if steps:
                measured = measured_problem(run, request, problem, steps, predictor, progress)
                problem = stack.enter_context(measured)
            outcome = _search(run, request, problem, tables, predictor, folder, output, progress)
    return replace(outcome, report=report_run(run))


def search_space(
    space: Space,
    request: SearchRequest,
    *,
    output: Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> SearchOutcome:
    """As `search_run`, without a run: by a predictor file alone, measuring nothing.

    Raises:
        ConfigError: the request names no predictor, or wants measurements.
    """
    if request.measures:
        raise ConfigError(
            "measure, ladder: accuracies can be measured in a run only", hint="give --run"
        )
    if request.confirm:
        raise ConfigError("confirm: finalists can be measured in a run only", hint="give --run")
    if request.precision != "fp32":
        raise ConfigError(
            "precision: what quantisation costs can be measured in a run only", hint="give --run"
        )
    if request.predictor is None:
        raise ConfigError(
            "a search without a run needs an accuracy predictor",
            hint="give --predictor FILE, or --run",
        )
    predictor, request = load_predictor(request.predictor, space), with_algorithm(request, space)
    if request.certify:
        check_provable(predictor)
    tables = _tables(space, request, resume, progress)
    problem = _problem(space, request, tables, predictor)
    check_limits(problem)
    name = _name(request, tables)
    with search_folder(SEARCHES, name, problem, request.as_dict(), resume=resume) as folder:
        outcome = _search(None, request, problem, tables, predictor, folder, output, progress)
    return replace(outcome, report=report_results(SEARCHES))


def _name(request: SearchRequest, tables: Mapping[str, LatencyTable]) -> str:
    return request.name or "-".join(tables) or "costs"


def _predictor_of(run: Run, request: SearchRequest) -> AccuracyPredictor | None:
    """The predictor that is there already; None where one has to be learned."""
    if request.predictor is not None:
        return load_predictor(request.predictor, run.space())
    if run.imported_predictor.is_file():
        return load_predictor(run.imported_predictor, run.space())
    if not run.config().data:
        raise ConfigError(
            f"{run.folder}: the supernet was imported without images, so no accuracy can be "
            "measured, and no accuracy predictor was imported",
            hint="supernet import ofa --accuracy-predictor FILE --run RUN, or import the "
            "supernet again with --data",
        )
    return None


def _tables(
    space: Space, request: SearchRequest, resume: bool, progress: Progress
) -> dict[str, LatencyTable]:
    here = next(name for name, precision in HERE.items() if precision == request.precision)
    names = request.targets or (() if request.objectives else (here,))
    check_asked(
        space,
        names,
        objectives=request.objectives,
        limits=request.limits,
        fix=request.fix,
        body=request.body,
    )
    domain = Domain.of(space, request.fix)
    _given(domain, request.start)
    check_budget(request.algorithm, domain, _budget(request))
    for name in names if request.precision == "int8" else ():
        precision = HERE[name] if name in HERE else load_target(name).precision
        if precision != "int8":
            raise ConfigError(
                f"precision: {name} was measured in {precision}, the search is for int8",
                hint=f"take {here}, or measure one: supernet latency measure --precision int8",
            )
    return tables_of(space, names, fresh=request.fresh_table, resume=resume, progress=progress)


def _problem(
    space: Space,
    request: SearchRequest,
    tables: Mapping[str, LatencyTable],
    predictor: AccuracyPredictor | None = None,
) -> Problem:
    return problem_of(
        space,
        tables,
        Accuracy(function=predictor.mean if predictor else _unknown),
        objectives=request.objectives,
        limits=request.limits,
        limit_share=request.limit_share,
        fix=request.fix,
        body=request.body,
    )


def _unknown(genes: Genes) -> Values:
    return np.full(len(genes), np.nan)


def _search(
    run: Run | None,
    request: SearchRequest,
    problem: Problem,
    tables: Mapping[str, LatencyTable],
    predictor: AccuracyPredictor | None,
    folder: SearchFolder,
    output: Path | None,
    progress: Progress,
) -> SearchOutcome:
    """Search in a folder; the outcome, without its page."""
    bound, start = None, None
    if predictor is not None and not problem.measures and request.precision == "fp32":
        bound, start = proven(problem, predictor, thorough=request.certify)
    start = _with_pairs(problem, predictor, start)
    result = _found(run, request, problem, start, folder, progress).bounded(bound)
    confirmed: tuple[Confirmed, ...] = ()
    if request.confirm and run is not None:
        confirmed = confirm(run, request, problem, result, tables, predictor, progress)
    chosen = confirmed[0].index if confirmed else result.best()
    folder.save(
        result,
        request=request.as_dict(),
        chosen=chosen,
        predictor=PredictorRecord.of_predictor(predictor) if predictor else None,
        tables=tables,
        measured=[one.record for one in confirmed],
    )
    for path in (folder.path / "subnet.json", *([output] if output else [])):
        write_chosen(run, problem, result, chosen, tables, predictor, confirmed, path, request)
    return SearchOutcome(
        folder=folder.path,
        result=result,
        chosen=chosen,
        tables=tables,
        predictor=predictor,
        algorithm=request.algorithm,
        confirmed=confirmed,
        climbs=climbs_of(problem, result),
        run=run,
        body=request.body,
    )


def _found(
    run: Run | None,
    request: SearchRequest,
    problem: Problem,
    start: Genes | None,
    folder: SearchFolder,
    progress: Progress,
) -> SearchResult:
    """What the search itself finds, by an algorithm here or by Ray Tune."""
    budget = Budget(scored=_budget(request), seconds=request.seconds)
    common: dict[str, Any] = {
        "budget": budget,
        "seed": request.seed,
        "again": folder.scored,
        "workers": request.workers,
        "progress": progress,
    }
    if request.engine == RAY_TUNE:
        check_actors_memory(request.workers, request.ray_address)
        return tune_search(
            problem,
            folder=folder.path,
            device=request.device,
            address=request.ray_address,
            **common,
        )
    return run_search(
        folder.journaled(problem),
        factory=factory_for(request, shared_by(run, request), goes_on=folder.resumed),
        start=start,
        given=_given(problem.domain, request.start),
        **common,
    )


def _budget(request: SearchRequest) -> int:
    """Subnets scored, at most."""
    return request.budget or default_budget(request.algorithm, measures=request.measures)


def _with_pairs(
    problem: Problem, predictor: AccuracyPredictor | None, start: Genes | None
) -> Genes | None:
    """Subnets to begin with, and those that the predictor learned from.

    So that the result holds them: the best of them may be better than all that is predicted.
    """
    pairs = pairs_of(predictor)
    if pairs is None:
        return start
    own = pairs[problem.domain.contains(pairs)]
    return own if start is None else np.concatenate([start, own])


def _given(domain: Domain, path: Path | None) -> Genes | None:
    """The subnet of a file, as genes ``(1, G)``.

    Raises:
        ConfigError: it is of another space, or was narrowed away.
    """
    if path is None:
        return None
    subnet = SubnetFile.load(path).subnet
    genes = encode(domain.space, [subnet])
    if not domain.contains(genes)[0]:
        raise ConfigError(f"start: {path} is outside what --fix has left: {subnet}")
    return genes
