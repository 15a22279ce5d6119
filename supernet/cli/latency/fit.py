"""`supernet latency fit`: a table from whole networks only."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from supernet.cli import options
from supernet.cli.latency.texts import held_out_text
from supernet.cli.output import command_line, print_json, print_table, progress_bar
from supernet.cli.outputs import output_option
from supernet.errors import ConfigError

if TYPE_CHECKING:
    from supernet.latency import LatencyTable, MeasuredNetworks, Unit


@click.command(
    epilog="Examples:  supernet latency fit networks.npz --space mobilenet_v3 --column lat_v100_1 "
    "-o my_target.json  |  of images per second:  supernet latency fit networks.npz "
    "--space mnasnet_accel --column throughput --unit images/s -o my_gpu.json  |  with about "
    "ten networks:  supernet latency fit networks.csv --space mobilenet_v3 --column ms "
    "--from shipped -o my_target.json"
)
@click.argument("networks", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--space", "space_name", required=True, help="Of the networks: name or YAML file.")
@click.option("--column", required=True, help="That holds what was measured.")
@options.unit
@output_option(
    "The table to write; one of your targets, named as the column, when not given.",
    "latency_table",
)
@click.option(
    "--from",
    "known",
    multiple=True,
    metavar="TARGET",
    help="Start from this target, or from `shipped` ones: four to sixty networks are enough.",
)
@click.option("--device", default="not said", help="What was measured on, in words.")
@click.option("--batch", type=click.IntRange(1, 1 << 20), default=1, help="Images at a time.")
@click.option(
    "--hold-out",
    type=options.FloatRange(0.05, 0.5),
    default=0.2,
    show_default=True,
    help="Share of the networks to find the error with.",
)
@options.common
def command(
    networks: Path,
    space_name: str,
    column: str,
    unit: "Unit",
    output: Path | None,
    known: tuple[str, ...],
    device: str,
    batch: int,
    hold_out: float,
    as_json: bool,
) -> None:
    """Fit a table to the latencies of whole networks: NETWORKS is an NPZ or a CSV file.

    It holds ks, e, d and r as Once-for-All writes them (or k, e, l and se, one value a
    stage), and a column of milliseconds or of images per second. Networks without a value
    are left out.
    """
    from supernet.latency import fit_networks, own_tables, read_networks, transfer
    from supernet.latency.words import check_target
    from supernet.space import load_space

    space = load_space(space_name)
    output = output or own_tables() / f"{_name(column)}.json"
    if output.suffix != ".json":
        raise ConfigError(f"--output: must end in .json, found {output.name[:60]!r}")
    check_target(output.stem)
    found = read_networks(networks, space, column, unit=unit, batch=batch)
    about = {"processor": device, "source": f"{networks.name}, {column}"}
    with progress_bar() as progress:
        if known:
            table = transfer(
                space,
                found.genes,
                found.ms,
                known=_known(known),
                target=output.stem,
                device=about,
                batch=batch,
            )
        else:
            table = fit_networks(
                space,
                found.genes,
                found.ms,
                target=output.stem,
                device=about,
                batch=batch,
                hold_out=hold_out,
                progress=progress,
            )
    table.save(output)
    _print(table, found, each="each predicted from the others" if known else "held out")
    click.echo(f"\ntable: {output}\nnext: {command_line('search', '--target', output)}")
    if as_json:
        print_json(_result(table, found, output))


def _result(
    table: "LatencyTable", found: "MeasuredNetworks", output: Path
) -> dict[str, str | int | dict[str, float]]:
    return {
        "target": table.target,
        "table": str(output),
        "networks": len(found.ms),
        "left_out": found.left_out,
        "held_out": {
            "networks": table.held_out.networks,
            "mape": table.held_out.mape,
            "kendall": table.held_out.kendall,
            "within_5_percent": 100 * table.held_out.within(0.05),
        },
    }


def _print(table: "LatencyTable", found: "MeasuredNetworks", each: str) -> None:
    left_out = f" ({found.left_out} more were not measured)" if found.left_out else ""
    rows = [
        ["networks", f"{len(found.ms)} of space {table.held_out.space}{left_out}"],
        [f"{table.held_out.networks} {each}", held_out_text(table.held_out)],
        ["model", f"{len(table.model.coefficients)} terms; {table.model.source}"],
    ]
    print_table(f"Target {table.target}", rows)


def _name(column: str) -> str:
    """The column as the name of a target."""
    from supernet.latency.targets import HERE, shipped_targets

    kept = "".join(c if c.isalnum() or c in "_-" else "-" for c in column)[:80]
    if not kept or kept in (*HERE, *shipped_targets()):
        raise ConfigError(f"--column {column[:60]!r} cannot name a target", hint="give --output")
    return kept


def _known(names: tuple[str, ...]) -> "list[LatencyTable]":
    """The tables to start from; ``shipped`` stands for all that are shipped."""
    from supernet.latency import load_target
    from supernet.latency.targets import shipped_targets

    expanded = [n for name in names for n in (shipped_targets() if name == "shipped" else [name])]
    return [load_target(name) for name in dict.fromkeys(expanded)]
