"""`supernet spaces from`: any network of convolutions becomes a space."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.output import command_line, print_json
from supernet.cli.outputs import output_option

if TYPE_CHECKING:
    from supernet.workflow.any_cnn import Converted, Group

__all__ = ["from_network"]


@click.command(
    "from",
    epilog="Examples:  supernet spaces from torchvision:resnet18 -o space.yaml  |  "
    "timm:efficientnet_b0 -o b0.yaml  |  my_model.py:build --size 96 -o mine.yaml",
)
@click.argument("source")
@output_option(
    "YAML file to write.",
    "space",
    suffixes=(".yaml", ".yml"),
    required=True,
)
@click.option(
    "--size",
    type=click.IntRange(32, 4096),
    help="Pixels of the largest images; the network's own, or 224, when not given.",
)
@options.common
def from_network(source: str, output: Path, size: int | None, as_json: bool) -> None:
    """Make a space around a network, which is its largest subnet.

    SOURCE is torchvision:NAME, timm:NAME, or FILE.py:FUNCTION, a function without arguments
    that gives a network; the file is run. What is elastic and what is fixed is said layer by
    layer, with the reason; a layer that no kind of block has is named, and nothing written.
    """
    from supernet.space import count_subnets, save_space
    from supernet.workflow.any_cnn import convert, network_at

    network, pixels = network_at(source, size=size)
    converted = convert(source, network, size=pixels)
    save_space(converted.space, output)
    if as_json:
        print_json(_document(converted, output))
        return
    for group in converted.groups:
        _show(group)
    subnets = count_subnets(converted.space)
    click.echo(
        f"\n{subnets:.3g} subnets; the largest with the network's weights gives its outputs to "
        f"{converted.difference:.1e}\nwritten to {output}"
    )
    words = ["train", "--data", "FOLDER", "--space", output, "--init", source]
    click.echo(f"train:  {command_line(*words)}")


def _show(group: "Group") -> None:
    click.echo(f"\n{group.name}")
    for row in group.rows:
        click.echo(f"  {row.layers}\n    {row.operator.key}")
    click.echo("  elastic: " + ("; ".join(group.freedom.elastic) or "nothing"))
    for text in group.freedom.fixed:
        click.echo(f"  fixed:   {text}")


def _document(converted: "Converted", output: Path) -> dict[str, Any]:
    return {
        "path": str(output),
        "space": converted.space.name,
        "hash": converted.space.hash,
        "difference": converted.difference,
        "groups": [
            {
                "name": group.name,
                "layers": [
                    {"layers": row.layers, "operator": row.operator.key} for row in group.rows
                ],
                "elastic": list(group.freedom.elastic),
                "fixed": list(group.freedom.fixed),
            }
            for group in converted.groups
        ],
    }
