"""`supernet latency`: tables of devices, their predictions and their error."""

import click

from supernet.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS = {
    "kit": "make the one file that measures a device",
    "build": "make a target of what kits measured",
    "measure": "measure this machine",
    "list": "list targets with device, runtime, precision and error",
    "predict": "latency of subnets, with its interval and its parts",
    "show": "draw where the time goes, and how it is known",
    "check": "error of a table against whole networks",
    "fit": "make a table from whole networks only",
    "import": "bring in published tables",
}


@click.command(
    cls=LazyGroup,
    package="supernet.cli.latency",
    about=_COMMANDS,
    epilog="Examples:  supernet latency list  |  supernet latency show mobile_cpu  |  "
    "supernet latency predict subnet.json --target mobile_cpu",
)
def command() -> None:
    """Latency tables: what is known of devices, and how wrong its predictions are."""
