"""Phases that search by gradient: the tables they need before, the result they leave behind."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from supernet.errors import ConfigError, FileFormatError
from supernet.latency import LatencyTable
from supernet.latency.targets import HERE
from supernet.progress import Progress, note, silent
from supernet.runs import Run
from supernet.search import (
    Accuracy,
    Budget,
    Evaluated,
    Problem,
    SearchResult,
    check_limits,
    latency,
    load_result,
    result_folders,
    run_search,
    save_result,
)
from supernet.search.objective import Values
from supernet.search.saved import SavedResult
from supernet.search.setup import tables_of
from supernet.space import Genes, Space
from supernet.space.layout import layout_of
from supernet.train import Phase, Recipe
from supernet.train.architecture import probability_loss
from supernet.train.architecture.phase import check_aim
from supernet.train.sampling import phase_domain
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.engines import EngineRequest
from supernet.workflow.subnet_files import predicted_latency, subnet_file

__all__ = [
    "check_searches",
    "finish_searches",
    "keep_tables",
    "kept_tables",
    "prepared",
    "probabilities_of",
    "searched",
]

_BAND = 0.02  # the result is at most this share below its limit, where there is such a subnet
_FINALISTS = 8  # subnets of the result: the chosen one, and the next most probable ones
_SCORED = 20_000  # subnets whose probability is looked at
_TRIED = 1000  # subnets among which the slowest is looked for


def check_searches(space: Space, recipe: Recipe) -> None:
    """Refuse phases that cannot search, as far as is known without measuring this machine.

    Raises:
        ConfigError: a search without target or limit, an unknown target, a table without
            the space's operators, or nothing to choose.
        InfeasibleError: no subnet of a phase meets its limit.
    """
    for phase in recipe.searching:
        assert phase.search is not None
        check_aim(phase.name, phase.search)
        if phase_domain(space, phase).count == 1:
            raise ConfigError(
                f"phase {phase.name!r} searches, and space {space.name!r} leaves it one subnet",
                hint="let its elastic dimensions vary (0 for all choices), or take another space",
            )
        if phase.search.target not in HERE:
            _aimed(space, phase, silent)


def prepared(
    space: Space, recipe: Recipe, progress: Progress = silent
) -> tuple[Recipe, dict[str, LatencyTable]]:
    """The recipe with the names of its targets, and their tables by phase.

    This machine is measured where it is the target and not known yet, as by a search.

    Raises:
        ConfigError: as of `check_searches`.
        InfeasibleError: no subnet of a phase meets its limit.
    """
    check_searches(space, recipe)
    found = {phase.name: _aimed(space, phase, progress) for phase in recipe.searching}
    named = tuple(found[p.name][0] if p.name in found else p for p in recipe.phases)
    return replace(recipe, phases=named), {name: table for name, (_, table) in found.items()}


def _aimed(space: Space, phase: Phase, progress: Progress) -> tuple[Phase, LatencyTable]:
    """A phase that searches, with the name of its target, and the table of that."""
    assert phase.search is not None
    ((target, table),) = tables_of(space, [phase.search.target], progress=progress).items()
    named = replace(phase, search=replace(phase.search, target=target))
    check_limits(_problem(space, named, table))
    slowest = _slowest_ms(space, phase, table)
    limit = phase.search.limit_ms
    if limit >= slowest:
        note(
            progress,
            f"phase {phase.name!r}: the limit of {limit:g} ms leaves out no subnet: the slowest "
            f"takes {slowest:.3g} ms on {target}",
        )
    return named, table


def _slowest_ms(space: Space, phase: Phase, table: LatencyTable) -> float:
    """Predicted milliseconds of the largest subnet, or of a random one that is slower."""
    domain = phase_domain(space, phase)
    genes = domain.sample_spread(_TRIED, np.random.default_rng(0))
    return float(table.predict_ms(space, np.concatenate([domain.largest(), genes])).ms.max())


def keep_tables(run: Run, tables: Mapping[str, LatencyTable]) -> None:
    """Keep the tables of phases with a run: what is measured anew later does not change it."""
    for phase, table in tables.items():
        table.save(run.tables / f"{phase}.json")


def kept_tables(run: Run, recipe: Recipe) -> dict[str, LatencyTable]:
    """The tables that a run was started with, by phase.

    Raises:
        FileFormatError: one is gone or damaged.
    """
    return {p.name: LatencyTable.load(run.tables / f"{p.name}.json") for p in recipe.searching}


def finish_searches(
    run: Run, recipe: Recipe, *, device: str = "cpu", progress: Progress = silent
) -> list[SavedResult]:
    """The results of a trained run's phases that search; made where they are not there yet.

    The result of a phase is the most probable subnet within its limit, in a folder of the
    run's ``search/`` that is named as the phase. It is evaluated with the newest weights,
    so after the last phase.

    Raises:
        FileFormatError: the run does not hold what a phase learned.
    """
    tables = kept_tables(run, recipe)
    return [_finish(run, phase, tables[phase.name], device, progress) for phase in recipe.searching]


def _finish(
    run: Run, phase: Phase, table: LatencyTable, device: str, progress: Progress
) -> SavedResult:
    folder = run.searches / phase.name
    if folder in result_folders(run.searches):
        return load_result(folder)
    assert phase.search is not None
    space, seed = run.space(), run.config().seed
    record = _last_record(run, phase.name)
    problem = _problem(space, phase, table, probabilities_of(space, record["probabilities"]))
    since = time.perf_counter()
    genes = _finalists(problem, seed)
    with Accuracies(run, EngineRequest(device=device), progress) as accuracies:
        top1, _ = accuracies.measure(genes)
    result = _result(problem, genes, top1, time.perf_counter() - since)
    folder.mkdir(parents=True, exist_ok=True)
    request: dict[str, Any] = {
        "phase": phase.name,
        "method": phase.search.method,
        "target": phase.search.target,
        "limit_ms": phase.search.limit_ms,
        "expected_ms": record["expected_ms"],
        "seed": seed,
    }
    target = phase.search.target
    file = subnet_file(
        run,
        space,
        result.subnet(0),
        folder,
        predicted={"target": target, **predicted_latency(table, space, genes[:1])},
        measured={"top1": float(top1[0])},
    )
    file.save(folder / "subnet.json")
    save_result(result, folder, request=request, chosen=0, tables={target: table})
    return load_result(folder)


def searched(run: Run) -> list[SavedResult]:
    """The results of the phases of a run's training that searched, in their order."""
    phases = dict.fromkeys(record["phase"] for record in run.learned())
    folders = [run.searches / phase for phase in phases]
    return [load_result(folder) for folder in folders if folder in result_folders(run.searches)]


def probabilities_of(space: Space, known: Mapping[str, Sequence[float]]) -> list[Values]:
    """The probabilities of a record of ``architecture.jsonl``, gene by gene.

    Raises:
        FileFormatError: they are of another space.
    """
    genes = layout_of(space).genes
    if {gene.name: len(gene.choices) for gene in genes} != {k: len(v) for k, v in known.items()}:
        raise FileFormatError("architecture.jsonl: its probabilities are of another space")
    return [np.array(known[gene.name], dtype=np.float64) for gene in genes]


def _last_record(run: Run, phase: str) -> dict[str, Any]:
    found = [record for record in run.learned() if record["phase"] == phase]
    if not found:
        raise FileFormatError(
            f"{run.architecture}: nothing of phase {phase!r} in it",
            hint="go on with `supernet train --resume`",
        )
    return found[-1]


def _problem(
    space: Space,
    phase: Phase,
    table: LatencyTable,
    probabilities: Sequence[Values] | None = None,
) -> Problem:
    """The most probable subnets within the limit of a phase."""
    assert phase.search is not None
    domain = phase_domain(space, phase)
    cost = latency(phase.search.target, table.predictor(space))

    def likely(genes: Genes) -> Values:
        if probabilities is None:
            return np.zeros(len(genes))
        return probability_loss(domain, probabilities, genes)

    return Problem(
        domain=domain,
        objectives=(Accuracy(name="log_probability", unit="", function=likely), cost),
        limits={cost.name: phase.search.limit_ms},
    )


def _finalists(problem: Problem, seed: int) -> Genes:
    """The most probable subnet just within the limit first, then others within it, ``(N, G)``.

    Where none is just within it, the most probable of all within.
    """
    scored = run_search(problem, budget=Budget(scored=_SCORED), seed=seed)
    (limit,) = problem.limits.values()
    likely, cost = (scored.columns[o.name] for o in problem.objectives)
    within = np.flatnonzero(cost <= limit)
    within = within[np.lexsort((-cost[within], -likely[within]))]  # the most probable first
    near = within[cost[within] >= (1 - _BAND) * limit]
    first = near[:1] if len(near) else within[:1]
    others = within[within != first[0]]
    found: Genes = scored.genes[np.concatenate([first, others])[:_FINALISTS]]
    return found


def _result(problem: Problem, genes: Genes, top1: Values, seconds: float) -> SearchResult:
    """The result of finalists: accuracy and latency are its axes, the probability beside."""
    likely, cost = problem.objectives
    measured = Problem(
        domain=problem.domain,
        objectives=(
            Accuracy(function=lambda rows: np.full(len(rows), np.nan), measured=True),
            cost,
        ),
        others=(likely,),
        limits=problem.limits,
    )
    columns = {"top1": top1, **problem.cheap(genes)}
    scored = Evaluated(genes=genes, columns=columns, violation=measured.violation(columns))
    return SearchResult.of(measured, scored, seconds=seconds)
