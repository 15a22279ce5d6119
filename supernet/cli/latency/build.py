"""`supernet latency build`: a target of what kits measured."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from supernet.cli import options
from supernet.cli.latency.texts import device_text
from supernet.cli.output import command_line, print_json, print_table
from supernet.cli.outputs import output_option
from supernet.errors import ConfigError

if TYPE_CHECKING:
    from supernet.latency import LatencyTable


@click.command(
    epilog="Examples:  supernet latency build pi4.json  |  supernet latency build a.json b.json "
    "--name pi4   Then:  supernet search --target pi4"
)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", help="Of the target; that of the first result when not given.")
@output_option(
    "Write the table there, and not among your own targets.",
    "latency_table",
)
@options.common
def command(
    results: tuple[Path, ...], name: str | None, output: Path | None, as_json: bool
) -> None:
    """Make a table of what kits measured on one device, and find its error."""
    from supernet.latency import read_result, store_table, table_of
    from supernet.latency.targets import HERE, check_same_device
    from supernet.latency.words import check_target

    named, name = name is not None, name or (output or results[0]).name.split(".")[0]
    if name in HERE:
        raise ConfigError(
            f"name: {name!r} is kept for the machine that a command runs on",
            hint="give another with --name, or measure here with `supernet latency measure`",
        )
    check_target(name)
    found = [read_result(path) for path in results]
    table = table_of(found, name)
    if not (named or output):
        check_same_device(table)
    path = store_table(table, output)
    for result in found:
        for event in result.events:
            click.echo(f"{result.source}: {event}", err=True)
    show(table, path, as_json)


def show(table: "LatencyTable", path: Path, as_json: bool) -> None:
    """Print what a new table knows and how wrong it is."""
    held_out, device = table.held_out, table.device
    corrections = table.corrections.values() or [table.correction]
    fitted = sum(correction.networks for correction in corrections)
    threads = f"{table.threads} thread{'s' * (table.threads > 1)}"
    rows = [
        ["device", device_text(table)],
        ["runtime", f"{device.get('runtime')} {device.get('runtime_version')}"],
        ["settings", f"{table.precision}, {threads}, batch {table.batch}"],
        ["operators", str(len(table.rows))],
        ["networks that corrected it", str(fitted)],
    ]
    slow = table.protocol.get("not_at_full_speed", 0)
    rows += [["models never at full speed", str(slow)]] if slow else []
    if held_out.networks:
        rows += [
            ["held-out networks", str(held_out.networks)],
            ["mean error (MAPE)", f"{held_out.mape:.2f} %"],
            ["Kendall tau", f"{held_out.kendall:.3f}"],
            ["within 5 %", f"{100 * held_out.within(0.05):.0f} %"],
        ]
    print_table(f"Target {table.target}", rows)
    click.echo(f"\ntable: {path}")
    target = path if path.parent.name != "latency_tables" else table.target
    click.echo(f"next: {command_line('search', '--target', target)}")
    if as_json:
        print_json(
            {
                "target": table.target,
                "table": str(path),
                "rows": len(table.rows),
                "fit_networks": fitted,
                "held_out": held_out.networks,
                "mape": held_out.mape if held_out.networks else None,
                "kendall": held_out.kendall if held_out.networks else None,
                "within_5_percent": held_out.within(0.05) if held_out.networks else None,
                "not_at_full_speed": slow,
            }
        )
