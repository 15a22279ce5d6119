"""`supernet latency check`: how wrong a table is for whole networks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar
from supernet.errors import ConfigError, SupernetError

if TYPE_CHECKING:
    from supernet.latency import Check, LatencyTable, MeasuredNetworks, Unit
    from supernet.space import Space


@click.command(
    epilog="Examples:  supernet latency check this_machine --measure 20  |  "
    "supernet latency check my_target.json --networks new.npz --column lat_v100_1"
)
@click.argument("target")
@click.option("--measure", "count", type=click.IntRange(2, 1000), help="New networks, here.")
@click.option(
    "--networks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Measured networks (.npz, .csv).",
)
@click.option("--column", help="Of --networks, that holds what was measured.")
@options.unit
@click.option("--space", "space_name", help="Of the networks; the table's when not given.")
@click.option(
    "--max-mape", type=options.FloatRange(0), help="Fail where the mean error in percent is above."
)
@options.seed
@options.common
def command(
    target: str,
    count: int | None,
    networks: Path | None,
    column: str | None,
    unit: "Unit",
    space_name: str | None,
    max_mape: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compare a table with whole networks: held-out ones, those of a file, or new ones."""
    from supernet.latency import Check, check_networks, load_target, measure_networks, read_networks

    if (networks is None) != (column is None):
        raise ConfigError("--networks and --column belong together", hint="give both or none")
    table = load_target(target)
    checks: list[Check] = []
    if table.held_out.networks:
        checks.append(Check(against="held out when it was made", networks=table.held_out))

    def add(against: str, found: "MeasuredNetworks", space: "Space") -> None:
        checks.append(Check(against=against, networks=check_networks(table, space, found)))

    if networks and column:
        space = _space(table, space_name)
        read = read_networks(networks, space, column, unit=unit, batch=table.batch)
        left_out = f", {read.left_out} not measured" * (read.left_out > 0)
        add(f"{networks.name}, {column}{left_out}", read, space)
    if count:
        space = _space(table, space_name)
        with progress_bar() as progress:
            found = measure_networks(table, space, count, seed=seed, progress=progress)
        add("measured now", found, space)
    _print(table, checks)
    if as_json:
        print_json({"target": table.target, "checks": [check.as_dict() for check in checks]})
    _fail_above(max_mape, checks)


def _space(table: "LatencyTable", name: str | None) -> "Space":
    """The named space, else the one that the table was built for."""
    from supernet.space import list_spaces, load_space

    known = [space for space in table.spaces if space in list_spaces()]
    if name is None and len(known) != 1:
        which = (
            f"is of several spaces: {', '.join(known)}"
            if known
            else ("does not say which space its networks are of")
        )
        raise ConfigError(f"target {table.target!r} {which}", hint="give --space")
    return load_space(name or known[0])


def _print(table: "LatencyTable", checks: "list[Check]") -> None:
    if not checks:
        click.echo(
            f"target {table.target}: the error for whole networks is not known; none was held "
            "out (compare with --networks FILE --column NAME, or with --measure N)"
        )
        return
    rows = []
    for check in checks:
        found = check.networks
        within = f"{100 * found.within(0.05):.0f} %"
        figures = [f"{found.mape:.2f} %", f"{found.kendall:.3f}", within]
        rows.append([check.against, f"{found.networks}", *figures])
    header = ["networks", "how many", "mean error", "Kendall tau", "within 5 %"]
    print_table(f"Predictions of {table.target}", rows, header)


def _fail_above(max_mape: float | None, checks: "list[Check]") -> None:
    if max_mape is None:
        return
    if not checks:
        raise ConfigError("--max-mape: there is no network to compare with")
    worst = max(checks, key=lambda check: check.networks.mape)
    if not worst.networks.mape <= max_mape:
        raise SupernetError(
            f"{worst.against}: mean error {worst.networks.mape:.2f} %, "
            f"above --max-mape {max_mape:g}"
        )
