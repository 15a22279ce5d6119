"""Measuring a whole plan: journal, gauges, slowdowns, and the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from supernet.latency.backends.contract import Backend
from supernet.latency.kit.journal import Journal
from supernet.latency.kit.machine import Machine
from supernet.latency.kit.measuring import (
    LARGE,
    SMALL,
    Task,
    clock_of,
    measure_tasks,
    statistic_of,
)
from supernet.latency.kit.plan import Plan
from supernet.latency.kit.protocol import Protocol, Timing
from supernet.latency.kit.slowdown import SpeedWatch

__all__ = [
    "FORMAT",
    "VERSION",
    "Measured",
    "Reporter",
    "device_of",
    "measure_plan",
    "protocol_of",
    "result_document",
    "settings_of",
]

FORMAT, VERSION = "supernet.kit_result", 1


class Measured(NamedTuple):
    """What a plan gave."""

    timings: dict[str, Timing]
    """By key: ``o12`` is the operator 12 of the plan, ``n3`` its network 3."""
    events: list[str]


class Reporter(NamedTuple):
    """Who is told what a run does."""

    say: Callable[[str], None] = lambda text: None
    """What happened, a line each."""
    progress: Callable[[int, int, str], None] | None = None
    """Visits done, visits in all, and what is going on."""


_SILENT = Reporter()


def settings_of(backend: Backend) -> dict[str, Any]:
    """How a backend was set up, as results say it."""
    return {
        "backend": backend.name,
        "precision": backend.precision,
        "threads": backend.threads,
        "batch": backend.batch,
        "device": backend.device,
    }


def device_of(backend: Backend) -> dict[str, str]:
    """What a result says of machine and runtime, and when it was measured."""
    now = datetime.fromtimestamp(time.time(), timezone.utc).isoformat(timespec="seconds")
    return {**Machine().describe(), **backend.describe(), "measured_at": now}


def protocol_of(backend: Backend, protocol: Protocol) -> dict[str, Any]:
    """What a result says of how it was measured."""
    return {**protocol.as_dict(), "statistic": statistic_of(backend)}


def tasks_of(plan: Plan, backend: Backend, skip: Sequence[int] = ()) -> list[Task]:
    """The models of a plan, without the operators whose numbers are in `skip`."""
    known = set(skip)
    tasks = [
        Task(f"o{number}", partial(backend.load, [spec]))
        for number, spec in enumerate(plan.operators)
        if number not in known
    ]
    for number, network in enumerate(plan.networks):
        specs = plan.specs(network)
        tasks.append(Task(f"n{number}", partial(backend.load, specs), LARGE))
    return tasks


def measure_plan(
    plan: Plan,
    backend: Backend,
    protocol: Protocol,
    *,
    journal: Path | None = None,
    fresh: bool = False,
    skip: Sequence[int] = (),
    reporter: Reporter = _SILENT,
    patience_s: float = 60.0,
) -> Measured:
    """Measure a plan, or what an interrupted run left of it.

    Args:
        plan: operators and networks.
        backend: to measure in.
        protocol: how often.
        journal: written as the run goes, and read first when it is there.
        fresh: do not continue the journal.
        skip: numbers of operators that are known already.
        reporter: told what happens.
        patience_s: how long to wait for a machine that has slowed down.
    """
    machine, tasks = Machine(), tasks_of(plan, backend, skip)
    clock, gauges = clock_of(backend), {SMALL: backend.load(plan.reference())}
    if plan.networks:
        gauges[LARGE] = backend.load(plan.gauge())
    if journal is None:
        events: list[str] = []
        watch = SpeedWatch(machine, _both(reporter.say, events.append), patience_s=patience_s)
        timings = measure_tasks(
            tasks, gauges, clock, protocol, watch=watch, progress=reporter.progress
        )
        return Measured(timings, events)
    header = {
        "plan": plan.id,
        "models": len(tasks),
        "skip": list(skip),
        "settings": settings_of(backend),
        "device": {**machine.describe(), **backend.describe()},
        "protocol": protocol.as_dict(),
    }
    book = Journal(journal, header, fresh=fresh)
    try:
        _tell_what_is_known(book, reporter.say)
        timings = measure_tasks(
            tasks,
            gauges,
            clock,
            protocol,
            known=book.contents.visits,
            record=book.visit,
            watch=SpeedWatch(machine, _both(reporter.say, book.event), patience_s=patience_s),
            progress=reporter.progress,
        )
    finally:
        book.close()
    return Measured(timings, list(book.contents.events))


def _tell_what_is_known(book: Journal, say: Callable[[str], None]) -> None:
    """What a journal brought from an interrupted run, and what of it was lost."""
    contents = book.contents
    if contents.dropped:
        say(f"{book.path}: dropped {contents.dropped} damaged bytes at its end")
    if contents.visits:
        count = sum(map(len, contents.visits.values()))
        book.event(f"continued after {count} visits")
        say(f"going on after {count} visits in {book.path}")


def _both(first: Callable[[str], None], second: Callable[[str], None]) -> Callable[[str], None]:
    def tell(text: str) -> None:
        first(text)
        second(text)

    return tell


def result_document(
    plan: Plan,
    measured: Measured,
    backend: Backend,
    protocol: Protocol,
    *,
    before: Mapping[str, str],
    seconds: float,
) -> dict[str, Any]:
    """The result of a kit as plain values.

    Args:
        plan: what was to be measured.
        measured: what was.
        backend: what it was measured in.
        protocol: how often.
        before: `Machine.conditions` when the run began.
        seconds: that it took.
    """
    after = Machine().conditions()
    changed = {f"{key}_at_end": after[key] for key in before if after.get(key) != before[key]}
    return {
        "format": FORMAT,
        "version": VERSION,
        "device": device_of(backend),
        "conditions": {**before, **{key: value for key, value in changed.items() if value}},
        "settings": settings_of(backend),
        "protocol": protocol_of(backend, protocol),
        "seconds": round(seconds, 1),
        "events": measured.events,
        "operators": [_row(measured, f"o{n}") for n in range(len(plan.operators))],
        "networks": [_row(measured, f"n{n}") for n in range(len(plan.networks))],
        "plan": plan.document(),
    }


def _row(measured: Measured, key: str) -> list[float] | None:
    """The values of a `Timing`; None if not measured."""
    timing = measured.timings.get(key)
    return [float(f"{value:.6g}") for value in timing] if timing else None
