"""Measuring this machine: the code of the kits, run here."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from supernet.errors import ConfigError, FileFormatError, MissingPackageError
from supernet.latency.backends import BACKENDS, Backend, Run, backend_class, open_backend
from supernet.latency.backends.onnxruntime import OnnxRuntime
from supernet.latency.build import is_same_device, table_of
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
from supernet.space import Operator, Precision, Space, total_params

__all__ = [
    "HERE",
    "Loadable",
    "Model",
    "backend_of",
    "build_table",
    "describe_device",
    "measure",
    "measure_here",
]


HERE: Mapping[str, Precision] = {"this_machine": "fp32", "this_machine_int8": "int8"}
"""Targets that are this machine, with the precision of their networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loadable:
    """A model of any runtime."""

    load: Callable[[], Run]
    """Opens it and returns what runs it once."""
    size: int
    """Bytes of its file."""


Model: TypeAlias = bytes | Sequence[Operator] | Loadable
"""An ONNX file, the operators of a network, or a model that opens itself."""


def measure(
    models: Sequence[Model],
    protocol: Protocol | None = None,
    *,
    backend: Backend | None = None,
    progress: Progress = silent,
    what: str = "models",
) -> list[Timing]:
    """Time models on this machine.

    The one of middle size is the gauge: each run follows one of the gauge, and what that
    leaves in the caches should be what a network of a table's own measurement finds there
    (beside the largest subnet of the demo, others take up to a tenth longer).

    Args:
        models: the operators of networks, models that open themselves, or for ONNX Runtime
            files with one input, which is filled with random numbers; a size of it that may
            vary is taken as 1.
        protocol: how often.
        backend: to measure in, ONNX Runtime on the protocol's threads when not given.
        progress: told about every visit.
        what: the models, in a word for the progress.

    Raises:
        ConfigError: a file, for another backend than ONNX Runtime.
    """
    protocol = protocol or Protocol()
    if not models:
        return []
    backend = backend or OnnxRuntime(threads=protocol.threads)
    loads = [partial(_load, backend, model) for model in models]
    tasks = [Task(str(number), load) for number, load in enumerate(loads)]
    middle = sorted(range(len(models)), key=lambda index: _size(models[index]))[len(models) // 2]
    found = measure_tasks(
        tasks,
        {SMALL: loads[middle]()},
        clock_of(backend),
        protocol,
        progress=lambda done, total, _: progress(done, total, f"timing {what}"),
    )
    return [found[task.key] for task in tasks]


def _load(backend: Backend, model: Model) -> Run:
    if isinstance(model, Loadable):
        return model.load()
    if not isinstance(model, bytes):
        return backend.load(model)
    if not isinstance(backend, OnnxRuntime):
        raise ConfigError(
            f"{backend.name} reads no ONNX files, onnxruntime does",
            hint="give the operators of the network",
        )
    return backend.load_onnx(model)


def _size(model: Model) -> int:
    if isinstance(model, Loadable):
        return model.size
    return len(model) if isinstance(model, bytes) else 4 * total_params(model)  # bytes


def backend_of(table: LatencyTable) -> Backend | None:
    """The runtime that a table was measured in, as it was then; None if it is not here.

    Here are the processor, the GPU where one was measured, and the version of the runtime.
    """
    runtime = table.device.get("runtime", "")
    if runtime not in BACKENDS:
        return None
    for device in backend_class(runtime).devices:
        try:
            backend = open_backend(
                runtime,
                threads=table.threads,
                precision=table.precision,
                batch=table.batch,
                device=device,
            )
        except (MissingPackageError, ConfigError):
            continue
        if is_same_device(table.device, describe_device(backend)):
            return backend
    return None


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
        target: name of the table; of `HERE` in its precision, else in fp32.
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
            OnnxRuntime(threads=protocol.threads, precision=HERE.get(target, "fp32")),
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
