"""What kits brought home: read, checked, and told what is wrong with it."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, FileFormatError
from supernet.files import fill, read_as
from supernet.latency.kit.journal import read_journal
from supernet.latency.kit.plan import FIT, HOLD_OUT, Plan
from supernet.latency.kit.protocol import Timing
from supernet.latency.kit.run import VERSION
from supernet.space import Operator

__all__ = ["KitResult", "Settings", "read_result"]

_LIMIT_MS = 1e7
_SHOWN = 5  # problems of one kind

Row = list[float] | None
"""The values of a `Timing`; nothing where not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a backend was set up."""

    backend: str
    precision: str
    threads: int
    batch: int
    device: str
    """``cpu`` or ``cuda``."""

    def __post_init__(self) -> None:
        if self.threads < 1 or self.batch < 1:
            raise ConfigError(f"threads, batch: at least 1, found {self.threads}, {self.batch}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    device: dict[str, str]
    conditions: dict[str, str]
    settings: Settings
    protocol: dict[str, Any]
    seconds: float
    events: tuple[str, ...]
    operators: tuple[Row, ...]
    networks: tuple[Row, ...]
    plan: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KitResult:
    """A plan, and what one run of it measured."""

    plan: Plan
    operators: tuple[Operator, ...]
    """Those of the plan."""
    device: dict[str, str]
    settings: Settings
    protocol: dict[str, Any]
    timings: dict[str, Timing]
    """By key: ``o12`` is the operator 12 of the plan, ``n3`` its network 3."""
    conditions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """That it took."""
    events: tuple[str, ...] = ()
    """What happened: continued runs, slowdowns."""
    source: str = ""
    """The file, for messages."""

    def operator_timings(self) -> dict[Operator, Timing]:
        """What was measured of each operator."""
        found = ((operator, self.timings.get(f"o{n}")) for n, operator in enumerate(self.operators))
        return {operator: timing for operator, timing in found if timing}

    def network_timings(self, use: str) -> list[tuple[list[Operator], Timing]]:
        """Operators and time of each measured network of one use."""
        return [
            ([self.operators[number] for number in network.operators], self.timings[f"n{n}"])
            for n, network in enumerate(self.plan.networks)
            if network.use == use and f"n{n}" in self.timings
        ]

    @property
    def slow(self) -> int:
        """Models that were never measured at full speed."""
        return sum(timing.slow > 1 for timing in self.timings.values())


def read_result(path: Path) -> KitResult:
    """The result of a kit.

    Raises:
        FileFormatError: damaged, not the result of a kit, of a newer version, or of a run
            that was interrupted: says how much is missing and how to go on.
        ConfigError: impossible values; all problems at once.
    """
    if path.name.endswith(".part"):
        raise _interrupted(path)
    if not path.exists() and (part := path.with_name(path.name + ".part")).exists():
        raise _interrupted(part)
    body = read_as(_Body, path, "kit_result", VERSION)
    try:
        plan = Plan.of_document(body.plan)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}", hint=error.hint) from None
    problems: list[str] = []
    operators = _operators(plan, problems)
    timings: dict[str, Timing] = {}
    for name, prefix, rows, wanted in (
        ("operators", "o", body.operators, len(plan.operators)),
        ("networks", "n", body.networks, len(plan.networks)),
    ):
        if len(rows) != wanted:
            problems.append(f"{name}: {len(rows)} rows for the {wanted} of the plan")
        timings |= _timings(name, prefix, rows, problems)
    problems += _unfit_networks(plan)
    if problems:
        shown = problems[:_SHOWN]
        shown += [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise ConfigError(
            [f"{path}: {problem}" for problem in shown],
            hint="a kit does not write that: measure again, or get the file again",
        )
    return KitResult(
        plan=plan,
        operators=tuple(operators),
        device=body.device,
        settings=body.settings,
        protocol=body.protocol,
        timings=timings,
        conditions=body.conditions,
        seconds=body.seconds,
        events=body.events,
        source=str(path),
    )


def _interrupted(path: Path) -> FileFormatError:
    found = read_journal(path)
    header, visits = found.header, found.visits
    told = f"{len(visits)} models were visited"
    if isinstance(models := header.get("models"), int):
        told = f"{len(visits)} of {models} models were visited, " + (
            f"{models - len(visits)} are missing" if len(visits) < models else "not often enough"
        )
    output = path.name.removesuffix(".part")
    return FileFormatError(
        f"{path}: the run was interrupted, {told}",
        hint=f"go on on the device: python3 kit.pyz -o {shlex.quote(output)} (beside {path.name})",
    )


def _operators(plan: Plan, problems: list[str]) -> list[Operator]:
    found = []
    for number, spec in enumerate(plan.operators):
        try:
            found.append(fill(Operator, spec._asdict(), f"plan.operators[{number}]"))
        except ConfigError as error:
            problems += error.problems
    return found


def _timings(name: str, prefix: str, rows: Sequence[Row], problems: list[str]) -> dict[str, Timing]:
    found = {}
    for number, row in enumerate(rows):
        if row is None:
            continue
        problem = _unfit_row(row)
        if problem:
            problems.append(f"{name}[{number}]: {problem}")
            continue
        ms, spread_ms, visits, slow, least_ms = row
        found[f"{prefix}{number}"] = Timing(ms, spread_ms, int(visits), slow, least_ms)
    return found


def _unfit_row(row: list[float]) -> str:
    if len(row) != len(Timing._fields):
        return f"expected {len(Timing._fields)} numbers, found {len(row)}"
    ms, spread_ms, visits, slow, least_ms = row
    if not 0 < ms < _LIMIT_MS:
        return f"ms must be above 0 and below 1e7, found {ms}"
    if not 0 < least_ms < _LIMIT_MS:
        return f"least_ms must be above 0 and below 1e7, found {least_ms}"
    if not 0 <= spread_ms < _LIMIT_MS:
        return f"spread_ms must be from 0 to 1e7, found {spread_ms}"
    if not (1 <= visits < _LIMIT_MS and 1 <= slow < math.inf):
        return f"visits and slow must be at least 1, found {visits}, {slow}"
    return ""


def _unfit_networks(plan: Plan) -> list[str]:
    problems = []
    for number, network in enumerate(plan.networks):
        where = f"plan.networks[{number}]"
        if network.use not in (FIT, HOLD_OUT):
            problems.append(f"{where}.use: must be {FIT} or {HOLD_OUT}, found {network.use!r}")
        if not network.operators:
            problems.append(f"{where}.operators: none")
        elif not all(0 <= n < len(plan.operators) for n in network.operators):
            problems.append(f"{where}.operators: numbers of operators that the plan lacks")
    return problems
