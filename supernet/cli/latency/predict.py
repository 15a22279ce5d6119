"""`supernet latency predict`: the latency of subnets, and where it comes from."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.latency.texts import basis_text, interval_text, wrapped
from supernet.cli.output import print_json, print_table
from supernet.errors import ConfigError

if TYPE_CHECKING:
    from supernet.latency import Explanation
    from supernet.latency.table import Origin

_ORIGINS: "tuple[Origin, ...]" = ("measured", "interpolated", "fitted")
_LONGEST = 12  # characters of a name in a table of 80 columns
_SIDE_BY_SIDE = 5  # subnets in one


@click.command(epilog="Example:  supernet latency predict subnet.json --target mobile_cpu")
@click.argument(
    "subnets",
    nargs=-1,
    required=True,
    metavar="SUBNET.json...",
    type=click.Path(path_type=Path, dir_okay=False),
)
@click.option("--target", cls=options.Once, required=True, help="Name or table (.json).")
@click.option(
    "--features",
    cls=options.Once,
    type=options.SIZES,
    help="Backbones with maps at these strides, such as 8,16,32, in place of whole networks.",
)
@click.option(
    "--size",
    cls=options.Once,
    type=options.SHAPE,
    help="With --features: rows and columns of an image, such as 384x512, or 320 for a square.",
)
@options.common
def command(
    subnets: tuple[Path, ...],
    target: str,
    features: tuple[int, ...] | None,
    size: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Predict subnets: latency, interval, what was measured and what fitted, each stage."""
    from supernet.latency import explain, load_target
    from supernet.space import SubnetFile, body_operators, resized

    if size and not features:
        raise ConfigError("size: is for backbones", hint="add --features 8,16,32")
    table = load_target(target)
    files = [SubnetFile.load(path) for path in subnets]
    listed = [file.operators for file in files]
    if features:
        bodies = [body_operators(file.subnet, file.operators, features) for file in files]
        listed = [tuple(resized(body, *size) if size else body) for body in bodies]
    found = [
        explain(table, file.subnet, own, whole=not features) for file, own in zip(files, listed)
    ]
    names = [str(path) for path in subnets]
    labels = _labels(names)
    print_table(
        f"Latency on {table.target}",
        [[label, *_cells(own)] for label, own in zip(labels, found)],
        ["subnet", "ms", "interval", *_ORIGINS],
    )
    for start in range(0, len(found), _SIDE_BY_SIDE):
        part = slice(start, start + _SIDE_BY_SIDE)
        _print_stages(labels[part], found[part])
    bases = dict.fromkeys(own.basis for own in found)
    click.echo("\n" + wrapped("interval of: " + "; ".join(basis_text(basis) for basis in bases)))
    if as_json:
        documents = [_document(name, own) for name, own in zip(names, found)]
        print_json({"target": table.target, "subnets": documents})


def _labels(names: list[str]) -> list[str]:
    """The names, or numbers in their place where some would fill the tables."""
    if max(map(len, names)) <= _LONGEST:
        return names
    numbers = [str(number) for number in range(1, len(names) + 1)]
    click.echo("\n".join(f"{number}: {name}" for number, name in zip(numbers, names)) + "\n")
    return numbers


def _cells(found: "Explanation") -> list[str]:
    """Latency, interval, and the shares of the latency by origin."""
    origins = [f"{100 * found.share(origin):.0f} %" for origin in _ORIGINS]
    return [f"{found.ms:.4g}", interval_text(found), *origins]


def _print_stages(labels: Sequence[str], found: "Sequence[Explanation]") -> None:
    """A row a stage: there may be many of them, and few subnets."""
    stages = dict.fromkeys(stage for own in found for stage in own.stages)
    rows = [
        [stage, *(f"{own.stages[stage]:.4g}" if stage in own.stages else "" for own in found)]
        for stage in stages
    ]
    print_table("\nof it, in ms", rows, ["", *labels])


def _document(name: str, found: "Explanation") -> dict[str, Any]:
    known = math.isfinite(found.low_ms)
    return {
        "subnet": name,
        "latency_ms": found.ms,
        "latency_low_ms": found.low_ms if known else None,
        "latency_high_ms": found.high_ms if known else None,
        "interval_of": found.basis,
        "rows": {origin: found.count(origin) for origin in _ORIGINS},
        "shares": {origin: found.share(origin) for origin in _ORIGINS},
        "stages_ms": found.stages,
    }
