"""`supernet doctor`: what is here, and what is wrong with it."""

import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table
from supernet.errors import MissingPackageError, StorageError
from supernet.places import check_writes, temporary_folder, user_folder
from supernet.runs import RUNS

_PACKAGES = ("torch", "torchvision", "numpy", "onnx", "onnxscript", "onnxruntime", "safetensors")


@click.command()
@options.common
def command(as_json: bool) -> None:
    """Check that everything that is needed is here and works."""
    facts, problems = {"python": platform.python_version()}, []
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
            facts[name] = importlib.metadata.version(name)
        except Exception as error:  # noqa: BLE001  # a broken package may raise anything on import
            problems.append(f"{name}: {' '.join(str(error).split())[:160]}")
    if not problems:
        from supernet.latency import describe_device

        facts |= describe_device()
        facts["gpu"] = _gpu()
        facts["precision: auto"] = _precision()
    facts["numba"] = _numba()
    facts["cores"] = str(os.cpu_count())
    unwritten = _places(facts)
    facts["free disk here"] = f"{shutil.disk_usage('.').free / 1e9:.1f} GB"
    if as_json:
        print_json({"facts": facts, "problems": problems + unwritten})
    else:
        print_table("This machine", [[key, value] for key, value in facts.items()])
    for problem in problems + unwritten:
        click.echo(f"problem: {problem}", err=True)
    if problems:
        raise MissingPackageError(
            f"{len(problems)} packages do not work, the first is {problems[0].split(':')[0]}",
            hint="install again: pip install --force-reinstall supernet",
        )
    if unwritten:
        raise StorageError(
            f"{len(unwritten)} of {len(_PLACES)} places cannot be written, the first is that of "
            f"{unwritten[0]}",
            hint="name others: runs go where --run says, tables and caches where SUPERNET_HOME "
            "says, temporary files where TMPDIR says",
        )


_PLACES: dict[str, Callable[[], Path]] = {
    "runs": lambda: RUNS,
    "tables and caches": user_folder,
    "temporary files": temporary_folder,
}


def _places(facts: dict[str, str]) -> list[str]:
    """Write where each kind of file goes, note it in `facts`; what cannot be written."""
    problems = []
    for name, place in _PLACES.items():
        try:
            folder = place().absolute()
            check_writes(folder)
        except StorageError as error:
            problems.append(f"{name}: {error}")
            facts[name] = "cannot be written"
        else:
            facts[name] = f"{folder}: written and removed"
    return problems


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _precision() -> str:
    """What a training with ``--precision auto`` computes in here."""
    from supernet.evaluate import resolved_device
    from supernet.train.precision import auto_precision

    return auto_precision(resolved_device("auto"))


def _numba() -> str:
    """Optional: without it training on a CPU takes about twice as long."""
    try:
        return importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        return "not installed; training on a CPU is faster with it: pip install 'supernet[fast]'"
