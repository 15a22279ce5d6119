"""`supernet latency import`: published tables become targets."""

import click

from supernet.cli import options
from supernet.cli.latency.texts import imported_json, imported_rows
from supernet.cli.output import command_line, print_json, print_table, progress_bar
from supernet.errors import ConfigError


@click.group(epilog="Example:  supernet latency import ofa note10/ --name note10")
def command() -> None:
    """Bring in latency tables that others published."""


@command.command(
    epilog="The same as `supernet import ofa --latency-table SOURCE`. Every SOURCE may be a URL."
)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option(
    "--latency-table", "more", metavar="SOURCE", multiple=True, help="Another way to name one."
)
@click.option("--name", help="Of the target; that of the first SOURCE when not given.")
@options.common
def ofa(sources: tuple[str, ...], more: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Tables (.yaml, .json, or a folder of them) of Once-for-All, ProxylessNAS or NSGANetV2."""
    if not (sources or more):
        raise ConfigError("no table was named", hint="give files, folders or URLs")
    from supernet.latency import import_latency_table

    with progress_bar() as progress:
        table, path = import_latency_table([*sources, *more], name=name, progress=progress)
    print_table("Imported", imported_rows(table))
    click.echo(f"\ntable: {path}\nnext: {command_line('search', '--target', table.target)}")
    if as_json:
        print_json(imported_json(table) | {"table": str(path)})
