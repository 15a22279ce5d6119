"""`supernet latency show`: where the time goes on a target, and how it is known."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.latency.texts import (
    basis_text,
    device_text,
    error_text,
    held_out_text,
    interval_text,
    runtime_text,
    wrapped,
)
from supernet.cli.output import print_json, print_table

if TYPE_CHECKING:
    from supernet.latency import Explanation, LatencyTable, ModelError
    from supernet.space import Operator, Subnet

_WIDE = 20  # columns of the longest bar beside a text, half of that of one without
_ROOMY = 110  # columns of a terminal where texts beside such bars need no second line


@click.command(
    epilog="Examples:  supernet latency show mobile_cpu  |  supernet latency show mobile_cpu "
    "--space proxyless --of smallest  |  supernet latency show mobile_cpu --subnet subnet.json"
)
@click.argument("target")
@click.option(
    "--subnet",
    cls=options.Once,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw this one.",
)
@click.option(
    "--space", "space_name", help="Draw a subnet of this space; the table's own if known."
)
@click.option(
    "--of",
    "which",
    type=click.Choice(["largest", "smallest", "fastest"]),
    default="largest",
    show_default=True,
    help="Which subnet of the space.",
)
@options.common
def command(
    target: str, subnet: Path | None, space_name: str | None, which: str, as_json: bool
) -> None:
    """Draw the operators and stages of a subnet as bars; TARGET is a name or a table."""
    from supernet.latency import explain, load_target

    table = load_target(target)
    print_table(f"Target {table.target}", _facts(table))
    name, chosen, operators = _chosen(table, subnet, space_name, which)
    found = explain(table, chosen, operators)
    click.echo(f"\n{name}: {found.ms:.4g} ms ({interval_text(found)})")
    click.echo(wrapped(f"interval of {basis_text(found.basis)}") + "\n")
    _draw(*_operator_bars(found))
    click.echo()
    _draw("stages", [(stage, ms, "") for stage, ms in found.stages.items()])
    if table.model.terms == "choices" and table.model.coefficients:
        note = "only whole networks were measured: what all of them have alike is shared out "
        click.echo("\n" + wrapped(note + "equally over their fixed parts"))
    if as_json:
        print_json(_document(table, name, found))


def _facts(table: "LatencyTable") -> list[list[str]]:
    model, held_out, correction = table.model, table.held_out, table.correction
    rows = [
        ["device", device_text(table)],
        ["runtime", runtime_text(table)],
        ["rows", f"{len(table.rows)} operators measured"],
    ]
    for key in ("measured_at", "made_at", "source"):
        if key in table.device:
            rows.append([key.replace("_", " "), table.device[key]])
    if model.coefficients:
        count = f"{model.operators} operators" if model.operators else f"{model.networks} networks"
        rows.append(["model", f"{len(model.coefficients)} terms, fitted to {count}"])
        rows.append(["model of", model.source or "not said"])
    if correction.networks:
        line = f"{correction.slope:.4g} x sum {correction.intercept_ms:+.3g} ms "
        line += (
            f"{correction.per_operator_ms:+.2g} ms an operator, by {correction.networks} networks"
        )
        rows.append(["correction", line])
    rows.append(["error", error_text(table)])
    if model.error.networks:
        rows.append(["error of the model", _model_error(model.error)])
    if held_out.networks:
        rows.append(["held-out networks", held_out_text(held_out)])
    return rows


def _model_error(error: "ModelError") -> str:
    return (
        f"an operator {error.rows_mape:.1f} % (five-fold), {error.blocks_mape:.1f} % (unseen "
        f"block), {error.shapes_mape:.1f} % (unseen widths); sums {error.networks_mape:.1f} %, "
        f"nine in ten within {error.networks_p90:.1f} %, of unseen widths {error.unseen_p90:.1f} %"
    )


def _chosen(
    table: "LatencyTable", path: Path | None, space_name: str | None, which: str
) -> "tuple[str, Subnet, list[Operator]]":
    """A line that says which subnet, the subnet, and its operators."""
    from supernet.errors import ConfigError
    from supernet.space import (
        SubnetFile,
        decode,
        largest,
        load_space,
        operators,
        smallest,
    )

    if path:
        if space_name:
            raise ConfigError("--space is not for --subnet", hint="give one of the two")
        file = SubnetFile.load(path)
        return str(path), file.subnet, list(file.operators)
    space = load_space(space_name or _space_of(table))
    predictor = table.predictor(space)
    ends = {"largest": largest, "smallest": smallest}
    genes = ends[which](space) if which in ends else predictor.fastest()
    subnet = decode(space, genes)[0]
    return f"the {which} subnet of {space.name}", subnet, operators(space, subnet)


def _space_of(table: "LatencyTable") -> str:
    """A shipped space that the table was built for, else one that it knows."""
    from supernet.errors import ConfigError
    from supernet.space import list_spaces, load_space

    own = [name for name in table.spaces if name in list_spaces()]
    if own:
        return own[0]
    if table.spaces:
        raise ConfigError(
            f"the table was built for space {table.spaces[0]!r}, which is not a shipped one",
            hint="--space FILE.yaml draws a subnet of it",
        )
    names = sorted(list_spaces(), key=lambda name: name != "mobilenet_v3")
    return next((name for name in names if not table.unknown(load_space(name))), names[0])


def _operator_bars(found: "Explanation") -> tuple[str, list[tuple[str, float, str]]]:
    """Title and bars; where all times come from one origin, only the title says so."""
    if len({share.origin for share in found.shares}) == 1:
        title = f"operators, all {found.shares[0].origin}"
        return title, [(str(s.place), s.ms, s.operator.key) for s in found.shares]
    return "operators", [
        (str(s.place), s.ms, f"{s.operator.key}  {s.origin}") for s in found.shares
    ]


def _draw(title: str, parts: list[tuple[str, float, str]]) -> None:
    """A bar for each part, as long as its milliseconds."""
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table

    total = sum(ms for _, ms, _ in parts) or 1.0  # of a table whose rows are all 0
    most = max(ms for _, ms, _ in parts)
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True, min_width=max(len(name) for name, _, _ in parts))
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(justify="right", no_wrap=True, min_width=6)
    console = Console(highlight=False, markup=False)
    width = 2 * _WIDE
    if any(text for _, _, text in parts):  # which gets more room than the bars
        width = _WIDE if console.width >= _ROOMY else _WIDE // 2
    table.add_column(no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    for name, ms, text in parts:
        bar = Bar(size=max(most, 1e-12), begin=0, end=max(ms, 0), width=width)
        table.add_row(name, f"{ms:.4g}", f"{100 * ms / total:.1f} %", bar, text)
    console.print(table)


def _document(table: "LatencyTable", name: str, found: "Explanation") -> dict[str, Any]:
    known = math.isfinite(found.low_ms)
    return {
        "target": table.target,
        "device": dict(table.device),
        "rows": len(table.rows),
        "error": error_text(table),
        "subnet": name,
        "latency_ms": found.ms,
        "latency_low_ms": found.low_ms if known else None,
        "latency_high_ms": found.high_ms if known else None,
        "stages_ms": found.stages,
        "operators": [
            {"slot": str(s.place), "operator": s.operator.key, "ms": s.ms, "origin": s.origin}
            for s in found.shares
        ],
    }
