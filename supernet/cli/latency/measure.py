"""`supernet latency measure`: this machine becomes a target."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.latency.build import show
from supernet.cli.latency.texts import tell_other_sizes
from supernet.cli.output import progress_bar
from supernet.cli.outputs import output_option
from supernet.errors import ConfigError

_Settings = tuple[str, str, int, int, str]
_USUAL: _Settings = ("onnxruntime", "fp32", 1, 1, "cpu")


@click.command(
    epilog="An interrupted run goes on when the same command is given again. Examples:  supernet "
    "latency measure --space demo  |  supernet latency measure --space mobilenet_v3 "
    "--resolutions 160,192,224 --precision int8 --name my_int8"
)
@click.option("--space", "space_name", required=True, help="Name or YAML file.")
@options.sizes
@click.option("--backend", default="onnxruntime", show_default=True, help="Runtime to measure in.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, int8 or fp16.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option("--batch", type=click.IntRange(1, 4096), default=1, show_default=True)
@click.option("--provider", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--name", help="Of the target; this_machine with all defaults.")
@click.option("--quick", is_flag=True, help="Fewer visits: a third of the time, less sure.")
@click.option("--fresh", is_flag=True, help="Do not continue an interrupted run.")
@output_option(
    "Write the table there, and not among your own targets.",
    "latency_table",
)
@options.networks
@options.common
def command(
    space_name: str,
    resolutions: tuple[int, ...] | None,
    backend: str,
    precision: str,
    threads: int,
    batch: int,
    provider: str,
    name: str | None,
    quick: bool,
    fresh: bool,
    output: Path | None,
    fit_networks: int,
    check_networks: int,
    as_json: bool,
) -> None:
    """Measure this machine for a space, and find the error of its table."""
    from supernet.latency import (
        check_own,
        make_plan,
        measure_here,
        own_tables,
        store_table,
        table_of,
    )
    from supernet.latency.backends import open_backend
    from supernet.latency.kit.protocol import quick_protocol
    from supernet.latency.targets import kept_rows
    from supernet.latency.words import check_target
    from supernet.space import load_space

    settings = (backend, precision, threads, batch, provider)
    name = name or _name(settings)
    check_target(name)
    if output is None:
        check_own(name)
        _check_here(name, settings)
    space = load_space(space_name)
    plan = make_plan(space, resolutions, fit=fit_networks, hold_out=check_networks)
    tell_other_sizes(space, plan.resolutions)
    opened = open_backend(
        backend, threads=threads, precision=precision, batch=batch, device=provider
    )
    with progress_bar() as progress:
        result = measure_here(
            plan,
            opened,
            protocol=quick_protocol(threads) if quick else None,
            journal=own_tables() / f".{name}.{plan.id}.part",
            fresh=fresh,
            progress=progress,
        )
    for event in result.events:
        click.echo(event, err=True)
    table = table_of([result], name, known=None if output else kept_rows(name, result))
    show(table, store_table(table, output), as_json)


def _name(settings: _Settings) -> str:
    """This machine, with whatever is not as usual."""
    marks = ("", "", "threads", "batch", "")
    special = [f"{m}{s}" for m, s, u in zip(marks, settings, _USUAL) if s != u]
    return "_".join(["this_machine", *special])


def _check_here(name: str, settings: _Settings) -> None:
    """Refuse other settings for a target that a search takes for what its name says."""
    from supernet.latency.targets import HERE

    if name in HERE and settings != (_USUAL[0], HERE[name], *_USUAL[2:]):
        raise ConfigError(
            f"name: {name!r} is this machine in ONNX Runtime, {HERE[name]}, one thread, batch 1; "
            f"asked for was {', '.join(map(str, settings))}",
            hint=f"leave out --name: the target is then {_name(settings)}",
        )
