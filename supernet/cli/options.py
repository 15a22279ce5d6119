"""Options that several commands share, with one meaning everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

__all__ = ["common", "device", "run", "seed"]


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json`` and ``--debug``; a command takes the first as `as_json`."""
    function = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as one JSON object on the last line of stdout.",
    )(function)
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )(function)


Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def run(help_text: str = "Run folder; the newest one below ./runs when not given.") -> Decorator:
    """``--run FOLDER``, or ``--run-folder``, since `torchrun` takes the first for its own."""
    path = click.Path(path_type=Path)
    return click.option("--run", "--run-folder", "run_folder", type=path, help=help_text)


seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Of everything that is random.",
)

device = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="cpu, cuda, cuda:1, mps; auto takes a GPU when there is one.",
)


def resolved_device(name: str) -> str:
    """`name`, with ``auto`` replaced by what torch finds."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
