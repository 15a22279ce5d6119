"""`supernet latency predict`: the latency of subnets, and where it comes from."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.latency.texts import basis_text, interval_text
from supernet.cli.output import print_json, print_table

if TYPE_CHECKING:
    from supernet.latency import Explanation


@click.command(epilog="Example:  supernet latency predict subnet.json --target mobile_cpu")
@click.argument(
    "subnets",
    nargs=-1,
    required=True,
    metavar="SUBNET.json...",
    type=click.Path(path_type=Path, dir_okay=False),
)
@click.option("--target", cls=options.Once, required=True, help="Name or table (.json).")
@options.common
def command(subnets: tuple[Path, ...], target: str, as_json: bool) -> None:
    """Predict subnets: latency, interval, what was measured and what fitted, each stage."""
    from supernet.latency import explain, load_target
    from supernet.space import SubnetFile

    table = load_target(target)
    files = [SubnetFile.load(path) for path in subnets]
    found = [explain(table, file.subnet, file.operators) for file in files]
    names = [str(path) for path in subnets]
    print_table(
        f"Latency on {table.target}",
        [[name, *_cells(own)] for name, own in zip(names, found)],
        ["subnet", "ms", "interval", "measured", "interpolated", "fitted"],
    )
    stages = list(dict.fromkeys(stage for own in found for stage in own.stages))
    print_table(
        "\nof it, in ms",
        [
            [name, *(f"{own.stages[s]:.4g}" if s in own.stages else "" for s in stages)]
            for name, own in zip(names, found)
        ],
        ["subnet", *stages],
    )
    bases = dict.fromkeys(own.basis for own in found)
    click.echo("\ninterval of: " + "; ".join(basis_text(basis) for basis in bases))
    if as_json:
        documents = [_document(name, own) for name, own in zip(names, found)]
        print_json({"target": table.target, "subnets": documents})


def _cells(found: "Explanation") -> list[str]:
    """Latency, interval, and operators by origin with their share of the latency."""
    origins = [
        f"{found.count(origin)} ({100 * found.share(origin):.0f} %)"
        for origin in ("measured", "interpolated", "fitted")
    ]
    return [f"{found.ms:.4g}", interval_text(found), *origins]


def _document(name: str, found: "Explanation") -> dict[str, Any]:
    known = math.isfinite(found.low_ms)
    return {
        "subnet": name,
        "latency_ms": found.ms,
        "latency_low_ms": found.low_ms if known else None,
        "latency_high_ms": found.high_ms if known else None,
        "interval_of": found.basis,
        "rows": {o: found.count(o) for o in ("measured", "interpolated", "fitted")},
        "shares": {o: found.share(o) for o in ("measured", "interpolated", "fitted")},
        "stages_ms": found.stages,
    }
