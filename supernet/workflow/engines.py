"""The engine that a command measures with, by name; a new one is a file and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from supernet.errors import ConfigError
from supernet.evaluate import Engine, InProcess, RayActors, Workers, resolved_device
from supernet.evaluate.ray_cluster import starts_here
from supernet.files import nearest
from supernet.memory import free_mib
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.workflow.finetuning import SubnetEvaluator

__all__ = [
    "DEFAULT_ENGINE",
    "ENGINES",
    "EngineInfo",
    "EngineRequest",
    "check_actors_memory",
    "check_count",
    "open_engine",
    "places",
]

DEFAULT_ENGINE = "processes"

_WORKER_MIB = 1_100  # of a process: torch, the images of the demo, a batch in a network


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """What measures accuracies, and where.

    Workers share the processor's threads; where there are several GPUs, each takes the next one.
    """

    device: str = "cpu"
    """Where to measure; ``auto`` for a GPU where there is one."""
    workers: int = 1
    """That measure at the same time; one process measures here."""
    engine: str = DEFAULT_ENGINE
    """Name in `ENGINES`."""
    ray_address: str = ""
    """Of the Ray cluster that is joined; empty for ``RAY_ADDRESS``, or one that starts here."""

    def __post_init__(self) -> None:
        check_count("workers", self.workers, lowest=1)
        if self.engine not in ENGINES:
            raise ConfigError(
                f"unknown engine {self.engine[:60]!r}; {nearest(self.engine, ENGINES)}"
            )
        if self.ray_address and not ENGINES[self.engine].joins:
            problem = f"ray_address: the engine {self.engine} joins no cluster"
            raise ConfigError(problem, hint="--engine ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine as it is listed."""

    name: str
    open: Callable[[Run, EngineRequest, Progress], Engine]
    about: str
    """One line."""
    joins: bool = False
    """Whether it takes the address of a cluster."""


def open_engine(
    run: Run, request: EngineRequest | None = None, progress: Progress = silent
) -> Engine:
    """What measures subnets of a run; must be closed.

    Args:
        run: a trained one.
        request: which engine; this process when not given.
        progress: told about loading images, where it is done here.

    Raises:
        ConfigError: more workers than memory or the cluster holds.
        MissingPackageError: the engine's package is not installed.
    """
    asked = request or EngineRequest()
    return ENGINES[asked.engine].open(run, asked, progress)


def _processes(run: Run, asked: EngineRequest, progress: Progress) -> Engine:
    if asked.workers == 1:
        return InProcess(partial(SubnetEvaluator, run, asked.device, progress))
    _check_memory(asked.workers)
    where = places(asked.device, asked.workers)
    return Workers([partial(SubnetEvaluator, run, place) for place in where])


def _ray(run: Run, asked: EngineRequest, progress: Progress) -> Engine:
    check_actors_memory(asked.workers, asked.ray_address)
    run = Run(run.folder.resolve())  # nodes have working directories of their own
    device = "cuda" if asked.device.startswith("cuda") else asked.device  # Ray gives each its own
    make = partial(SubnetEvaluator, run, device)
    makes = [make] * asked.workers
    return RayActors(makes, device=device, address=asked.ray_address, progress=progress)


_KNOWN = (
    EngineInfo(
        name=DEFAULT_ENGINE,
        open=_processes,
        about="this process, or --workers of them on this machine",
    ),
    EngineInfo(
        name="ray",
        open=_ray,
        joins=True,
        about="--workers actors of Ray, here or on a cluster (extra: ray)",
    ),
)

ENGINES: Mapping[str, EngineInfo] = {info.name: info for info in _KNOWN}
"""By name; the first is the default."""


def check_count(name: str, value: int, *, lowest: int) -> None:
    """Refuse a number that is too small.

    Raises:
        ConfigError: it is below `lowest`.
    """
    if value < lowest:
        raise ConfigError(f"{name}: must be {lowest} or more, found {value}")


def check_actors_memory(workers: int, address: str) -> None:
    """Refuse more actors than this machine's memory holds, where Ray is to start on it.

    Args:
        workers: actors at the same time.
        address: of a cluster, whose nodes have memory of their own; empty where none is joined.

    Raises:
        ConfigError: they do not fit; says how many do.
        MissingPackageError: Ray is not installed.
    """
    if workers > 1 and starts_here(address):
        _check_memory(workers)


def places(device: str, workers: int) -> list[str]:
    """The device of each worker; several GPUs in turn."""
    if device not in ("auto", "cuda"):
        return [device] * workers
    import torch

    if resolved_device(device) != "cuda":
        return [device] * workers
    return [f"cuda:{number % torch.cuda.device_count()}" for number in range(workers)]


def _check_memory(workers: int) -> None:
    free = free_mib()
    if workers * _WORKER_MIB > free:
        raise ConfigError(
            f"workers: {workers} processes need about {workers * _WORKER_MIB:,} MiB of memory, "
            f"{free:,.0f} MiB are free",
            hint=f"--workers {max(1, int(free // _WORKER_MIB))}",
        )
