"""Measuring this machine: the code of the kits, run here."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from supernet.errors import FileFormatError
from supernet.latency.backends import Backend
from supernet.latency.backends.onnxruntime import OnnxRuntime
from supernet.latency.build import table_of
from supernet.latency.kit.journal import OtherRunError
from supernet.latency.kit.machine import Machine
from supernet.latency.kit.measuring import SMALL, Task, clock_of, measure_tasks
from supernet.latency.kit.plan import Plan
from supernet.latency.kit.protocol import Protocol, Timing
from supernet.latency.kit.run import Reporter, device_of, measure_plan, protocol_of, settings_of
from supernet.latency.kit.spec import Spec
from supernet.latency.kits import FIT_NETWORKS, HOLD_OUT_NETWORKS, make_plan
from supernet.latency.results import KitResult, Settings
from supernet.latency.table import LatencyTable
from supernet.progress import Progress, silent
from supernet.space import Operator, Space

__all__ = ["build_table", "describe_device", "measure", "measure_here"]


def measure(
    models: Sequence[bytes],
    protocol: Protocol | None = None,
    *,
    progress: Progress = silent,
    what: str = "models",
) -> list[Timing]:
    """Time ONNX models in ONNX Runtime on this machine's CPU.

    The one of middle size is the gauge: each run follows one of the gauge, and what that
    leaves in the caches should be what a network of a table's own measurement finds there
    (beside the largest subnet of the demo, others take up to a tenth longer).

    Args:
        models: serialised, with one input, which is filled with random numbers; a size
            of it that may vary is taken as 1.
        protocol: how often.
        progress: told about every visit.
        what: the models, in a word for the progress.
    """
    protocol = protocol or Protocol()
    if not models:
        return []
    backend = OnnxRuntime(threads=protocol.threads)
    tasks = [
        Task(str(number), partial(backend.load_onnx, model)) for number, model in enumerate(models)
    ]
    found = measure_tasks(
        tasks,
        {SMALL: backend.load_onnx(sorted(models, key=len)[len(models) // 2])},
        clock_of(backend),
        protocol,
        progress=lambda done, total, _: progress(done, total, f"timing {what}"),
    )
    return [found[task.key] for task in tasks]


def describe_device(backend: Backend | None = None) -> dict[str, str]:
    """What identifies this machine and a runtime, ONNX Runtime when none is given."""
    return Machine().describe() | (backend or OnnxRuntime()).describe()


def measure_here(
    plan: Plan,
    backend: Backend | None = None,
    *,
    protocol: Protocol | None = None,
    known: LatencyTable | None = None,
    journal: Path | None = None,
    fresh: bool = False,
    progress: Progress = silent,
) -> KitResult:
    """Measure a plan on this machine.

    Args:
        plan: operators and networks.
        backend: to measure in, ONNX Runtime on one thread when not given.
        protocol: how often.
        known: operators that it has are not measured.
        journal: what was measured is written there as it goes; an interrupted run is
            continued from it. It is removed at the end.
        fresh: do not continue.
        progress: told about every visit.
    """
    backend = backend or OnnxRuntime()
    protocol = protocol or Protocol(threads=backend.threads)
    rows = {Spec.of(operator) for operator in known.rows} if known else set()
    start = time.monotonic()
    measured = measure_plan(
        plan,
        backend,
        protocol,
        journal=journal,
        fresh=fresh,
        skip=[number for number, spec in enumerate(plan.operators) if spec in rows],
        reporter=Reporter(progress=progress),
    )
    if journal:
        journal.unlink(missing_ok=True)
    return KitResult(
        plan=plan,
        operators=tuple(Operator(**spec._asdict()) for spec in plan.operators),
        device=device_of(backend),
        settings=Settings(**settings_of(backend)),
        protocol=protocol_of(backend, protocol),
        timings=measured.timings,
        conditions=Machine().conditions(),
        seconds=time.monotonic() - start,
        events=tuple(measured.events),
        source="this machine",
    )


def build_table(
    space: Space,
    *,
    target: str = "this_machine",
    known: LatencyTable | None = None,
    fit_networks: int = FIT_NETWORKS,
    check_networks: int = HOLD_OUT_NETWORKS,
    protocol: Protocol | None = None,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Measure this machine in ONNX Runtime for every operator of `space`.

    Args:
        space: its operators are measured, and random subnets of it as whole networks.
        target: name of the table.
        known: a table of the same target whose rows are kept, not measured again.
        fit_networks: whole networks to fit the correction to.
        check_networks: whole networks to find the error with.
        protocol: how often to time.
        journal: as in `measure_here`; one of another run is begun anew.
        progress: told about every visit of a model.
    """
    plan = make_plan(space, fit=fit_networks, hold_out=check_networks)
    protocol = protocol or Protocol()

    def result(*, fresh: bool) -> KitResult:
        return measure_here(
            plan,
            OnnxRuntime(threads=protocol.threads),
            protocol=protocol,
            known=known,
            journal=journal,
            fresh=fresh,
            progress=progress,
        )

    try:
        measured = result(fresh=False)
    except (OtherRunError, FileFormatError):
        measured = result(fresh=True)
    return table_of([measured], target, known=known)
