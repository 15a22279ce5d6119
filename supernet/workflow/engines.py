"""The engine that a command measures with: here, or in processes."""

from functools import partial

from supernet.errors import ConfigError
from supernet.evaluate import Engine, InProcess, Workers, resolved_device
from supernet.memory import free_bytes
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.workflow.finetuning import SubnetEvaluator

__all__ = ["check_count", "open_engine"]

_WORKER_BYTES = 1_100 << 20  # of a process: torch, the images of the demo, a batch in a network


def open_engine(
    run: Run, device: str = "cpu", workers: int = 1, progress: Progress = silent
) -> Engine:
    """What measures subnets of a run; must be closed.

    Worker processes share the processor's threads; where there are several GPUs, each takes
    the next one.

    Args:
        run: a trained one.
        device: where to measure; ``auto`` for a GPU where there is one.
        workers: processes that measure at the same time; 1 measures here.
        progress: told about loading images, where it is done here.

    Raises:
        ConfigError: more workers than memory holds.
    """
    check_count("workers", workers, lowest=1)
    if workers == 1:
        return InProcess(partial(SubnetEvaluator, run, device, progress))
    _check_memory(workers)
    return Workers([partial(SubnetEvaluator, run, place) for place in _places(device, workers)])


def check_count(name: str, value: int, *, lowest: int) -> None:
    """Refuse a number that is too small.

    Raises:
        ConfigError: it is below `lowest`.
    """
    if value < lowest:
        raise ConfigError(f"{name}: must be {lowest} or more, found {value}")


def _places(device: str, workers: int) -> list[str]:
    """The device of each worker."""
    if device not in ("auto", "cuda"):
        return [device] * workers
    import torch

    if resolved_device(device) != "cuda":
        return [device] * workers
    return [f"cuda:{number % torch.cuda.device_count()}" for number in range(workers)]


def _check_memory(workers: int) -> None:
    free = free_bytes()
    if free is not None and workers * _WORKER_BYTES > free:
        raise ConfigError(
            f"workers: {workers} processes need about {workers * _WORKER_BYTES / 2**30:.1f} GiB "
            f"of memory, {free / 2**30:.1f} GiB are free",
            hint=f"--workers {max(1, free // _WORKER_BYTES)}",
        )
