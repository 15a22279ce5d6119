"""`supernet doctor`: what is here, and what is wrong with it."""

import importlib
import importlib.metadata
import os
import platform
import shutil

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table
from supernet.errors import MissingPackageError

_PACKAGES = ("torch", "torchvision", "numpy", "onnx", "onnxscript", "onnxruntime", "safetensors")


@click.command()
@options.common
def command(as_json: bool) -> None:
    """Check that everything that is needed is here and works."""
    from supernet.latency import describe_device

    facts, problems = {"python": platform.python_version()}, []
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
            facts[name] = importlib.metadata.version(name)
        except Exception as error:  # noqa: BLE001  # a broken package may raise anything on import
            problems.append(f"{name}: {' '.join(str(error).split())[:160]}")
    if not problems:
        facts |= describe_device()
        facts["gpu"] = _gpu()
        facts["precision: auto"] = _precision()
    facts["numba"] = _numba()
    facts["cores"] = str(os.cpu_count())
    facts["free disk here"] = f"{shutil.disk_usage('.').free / 1e9:.1f} GB"
    if as_json:
        print_json({"facts": facts, "problems": problems})
    else:
        print_table("This machine", [[key, value] for key, value in facts.items()])
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    if problems:
        raise MissingPackageError(
            f"{len(problems)} packages do not work, the first is {problems[0].split(':')[0]}",
            hint="install again: pip install --force-reinstall supernet",
        )


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
