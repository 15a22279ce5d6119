"""Problems from what a user says: targets, limits, fixed choices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from supernet.errors import ConfigError
from supernet.latency import LatencyTable, load_target, this_machine
from supernet.latency.targets import HERE, is_measured
from supernet.progress import Progress, silent
from supernet.search.ladder import Rung
from supernet.search.limits import check_limits
from supernet.search.objective import Accuracy, Cost, Objective, cost_of, latency, latency_name
from supernet.search.problem import Problem
from supernet.space import WHOLE, Body, Domain, Space

__all__ = ["check_asked", "problem_of", "tables_of", "target_of"]

_SLACK = 1.05  # of the fastest subnet's latency: a share of the largest's is never below it


def target_of(name: str) -> str:
    """The target that a name or the path of a table stands for.

    Raises:
        ConfigError: there is none.
    """
    return name if name in HERE else load_target(name).target


def tables_of(
    space: Space,
    targets: Sequence[str],
    *,
    fresh: bool = False,
    resume: bool = False,
    progress: Progress = silent,
) -> dict[str, LatencyTable]:
    """The latency tables of targets, by their names.

    Args:
        space: that this machine is measured for, where it is a target.
        targets: names, or paths of tables.
        fresh: measure this machine again even if it is known.
        resume: for a search that was stopped, so nothing is measured: it has its tables.
        progress: told about measuring.

    Raises:
        ConfigError: an unknown target, two tables of one name, or with `resume` a machine that
            no search was stopped on.
    """
    for name in HERE:
        if resume and name in targets and not is_measured(space, name):
            raise ConfigError(
                f"no search to go on with: {name} was not measured for space {space.name!r}",
                hint="search anew, without resuming",
            )
    tables: dict[str, LatencyTable] = {}
    for name in targets:
        if name in HERE:
            table = this_machine(
                space, precision=HERE[name], fresh=fresh and not resume, progress=progress
            )
        else:
            table = load_target(name)
        if table.target in tables:
            raise ConfigError(f"targets: {table.target!r} is given twice")
        tables[table.target] = table
    return tables


def check_asked(
    space: Space,
    targets: Sequence[str],
    *,
    objectives: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    fix: Mapping[str, Sequence[Any]] | None = None,
    body: Body = WHOLE,
) -> None:
    """Refuse what is wrong with a problem before this machine is measured for it.

    Args:
        space: to choose from.
        targets: as of `tables_of`.
        objectives: as of `problem_of`, and so are the others.
        limits: those on costs that are known by now are checked, too.
        fix: see `Domain.of`.
        body: which operators costs count.

    Raises:
        ConfigError: as of `tables_of` and `problem_of`.
        InfeasibleError: no subnet meets the limits on costs that need no measuring.
    """
    here = [name for name in targets if name in HERE]
    if not here:  # nothing is measured: `problem_of` refuses at once
        return
    tables = tables_of(space, [name for name in targets if name not in HERE])
    named = _named(limits or {}, [*tables, *here])
    later = set(map(latency_name, here))
    problem = problem_of(
        space,
        tables,
        Accuracy(function=lambda genes: np.full(len(genes), np.nan)),
        objectives=[name for name in objectives if name not in later],
        limits={name: limit for name, limit in named.items() if name not in later},
        fix=fix,
        body=body,
    )
    check_limits(problem)


def problem_of(  # noqa: PLR0913  # all that a user may say of a problem
    space: Space,
    tables: Mapping[str, LatencyTable],
    top1: Objective,
    *,
    objectives: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    limit_share: float = 0.0,
    fix: Mapping[str, Sequence[Any]] | None = None,
    ladder: Sequence[Rung] = (),
    body: Body = WHOLE,
) -> Problem:
    """A problem with the accuracy first, then the latencies and more costs.

    Args:
        space: to choose from.
        tables: by target; their latencies are objectives.
        top1: the accuracy.
        objectives: names of more costs that shape the front.
        limits: the most that is allowed, by cost; ``latency`` will do where there is one
            target. Of ``top1`` the least.
        limit_share: where no limit is given, one on the first latency: this share of the
            largest subnet's, never below what the fastest needs; 0 for none.
        fix: see `Domain.of`.
        ladder: cheaper measurements of the accuracy.
        body: which operators costs count.

    Raises:
        ConfigError: an unknown cost or dimension; a limit without its target.
    """
    domain = Domain.of(space, fix)
    latencies = [latency(target, table.predictor(space, body)) for target, table in tables.items()]
    named = _named(limits or {}, list(tables))
    costs = {cost.name: cost for cost in latencies}
    for name in (*objectives, *named):
        if name not in costs and name != top1.name:
            costs[name] = cost_of(name, space, costs, body)
    if not named and limit_share and latencies:
        named[latencies[0].name] = _share(latencies[0], domain, limit_share)
    axes = {cost.name for cost in latencies} | set(objectives)
    return Problem(
        domain=domain,
        objectives=(top1, *(cost for name, cost in costs.items() if name in axes)),
        others=tuple(cost for name, cost in costs.items() if name not in axes),
        limits=named,
        ladder=tuple(ladder),
        body=body,
    )


def _named(limits: Mapping[str, float], targets: Sequence[str]) -> dict[str, float]:
    """Limits by the full names of objectives.

    Raises:
        ConfigError: one on a latency without its target.
    """
    named, known = dict(limits), ", ".join(targets) or "none"
    for name in named:
        target = name.removeprefix(latency_name(""))
        if target not in (name, *targets):
            raise ConfigError(
                f"{name[:60]}: {target[:60]} is no target of this search; targets: {known}",
                hint=f"--target {target[:60]}",
            )
    if "latency" not in named:
        return named
    if len(targets) != 1:
        raise ConfigError(
            f"a latency limit needs the name of its target; targets: {known}",
            hint="such as --max-latency-ms mobile_cpu=20",
        )
    full = latency_name(targets[0])
    if full in named:
        raise ConfigError(
            f"latency: {named['latency']:g} and {full}: {named[full]:g} limit the same twice",
            hint="give one of them",
        )
    named[full] = named.pop("latency")
    return named


def _share(cost: Cost, domain: Domain, share: float) -> float:
    """A share of the largest subnet's cost, or a little above the least."""
    largest = float(cost(domain.largest())[0])
    return max(share * largest, _SLACK * float(cost(cost.lowest(domain))[0]))
