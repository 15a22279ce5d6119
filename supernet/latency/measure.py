"""Measuring this machine: the code of the kits, run here."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, FileFormatError
from supernet.files import nearest
from supernet.latency.backends import BACKENDS, Backend, open_backend
from supernet.latency.backends.onnxruntime import OnnxRuntime
from supernet.latency.build import table_of
from supernet.latency.kit.journal import OtherRunError
from supernet.latency.kit.machine import Machine
from supernet.latency.kit.measuring import SMALL, Task, clock_of, measure_tasks
from supernet.latency.kit.plan import Plan
from supernet.latency.kit.protocol import Protocol, Timing
from supernet.latency.kit.run import device_of, measure_plan, protocol_of, settings_of
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
    seed: int = 0,
    progress: Progress = silent,
    what: str = "models",
) -> list[Timing]:
    """Time ONNX models in ONNX Runtime on this machine's CPU; the first is the gauge.

    Args:
        models: serialised, with one input, which is filled with random numbers; a size
            of it that may vary is taken as 1.
        protocol: how often.
        seed: of the order of visits.
        progress: told about every visit.
        what: the models, in a word for the progress.
    """
    protocol = protocol or Protocol()
    if not models:
        return []
    backend = OnnxRuntime(threads=protocol.threads)
    tasks = [
        Task(str(number), lambda model=model: backend.load_onnx(model))  # type: ignore[misc]
        for number, model in enumerate(models)
    ]
    found = measure_tasks(
        tasks,
        {SMALL: backend.load_onnx(models[0])},
        clock_of(backend),
        protocol,
        progress=lambda done, total, _: progress(done, total, f"timing {what}"),
        seed=seed,
    )
    return [found[task.key] for task in tasks]


def describe_device(backend: Backend | None = None) -> dict[str, str]:
    """What identifies this machine and a runtime, ONNX Runtime when none is given."""
    return Machine().describe() | (backend or OnnxRuntime()).describe()


def measure_here(
    plan: Plan,
    backend_name: str = "onnxruntime",
    *,
    protocol: Protocol | None = None,
    precision: str = "fp32",
    threads: int = 1,
    batch: int = 1,
    device: str = "cpu",
    known: LatencyTable | None = None,
    journal: Path | None = None,
    fresh: bool = False,
    progress: Progress = silent,
) -> KitResult:
    """Measure a plan on this machine.

    Args:
        plan: operators and networks.
        backend_name: one of `BACKENDS`.
        protocol: how often; its threads are `threads`.
        precision: of the models.
        threads: for one model.
        batch: images at once.
        device: ``cpu`` or ``cuda``.
        known: operators that it has are not measured.
        journal: what was measured is written there as it goes; an interrupted run is
            continued from it. It is removed at the end.
        fresh: do not continue.
        progress: told about every visit.

    Raises:
        ConfigError: an unknown backend, or settings that it does not have.
        MissingPackageError: its runtime is not installed.
    """
    if backend_name not in BACKENDS:
        raise ConfigError(f"backend: {backend_name!r}; {nearest(backend_name, BACKENDS)}")
    backend = open_backend(
        backend_name, threads=threads, precision=precision, batch=batch, device=device
    )
    protocol = protocol or Protocol(threads=threads)
    rows = {Spec.of(operator) for operator in known.rows} if known else set()
    settings: dict[str, Any] = settings_of(backend, backend_name)
    start = time.monotonic()
    measured = measure_plan(
        plan,
        backend,
        protocol,
        settings=settings,
        journal=journal,
        fresh=fresh,
        skip=[number for number, spec in enumerate(plan.operators) if spec in rows],
        progress=progress,
    )
    if journal:
        journal.unlink(missing_ok=True)
    return KitResult(
        plan=plan,
        operators=tuple(Operator(**spec._asdict()) for spec in plan.operators),
        device=device_of(backend),
        settings=Settings(**settings),
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
            protocol=protocol,
            threads=protocol.threads,
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
