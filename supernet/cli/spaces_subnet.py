"""`supernet spaces subnet`: cells that were published, as a file that other commands take."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table
from supernet.cli.outputs import output_option

__all__ = ["published_file"]


@click.command(
    "subnet",
    epilog="Examples:  supernet spaces subnet nasnet_a --space nasnet_mobile -o nasnet_a.json  |  "
    "supernet spaces subnet darts_v2 --run runs/cells -o darts_v2.json",
)
@click.argument("cells")
@click.option("--space", "space_name", help="Name or YAML file of a space of cells.")
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path),
    help="Run whose space it is, and whose weights export takes.",
)
@output_option(
    "The file to write.",
    "subnet",
    default=Path("subnet.json"),
    show_default=True,
)
@options.common
def published_file(
    cells: str, space_name: str | None, run_folder: Path | None, output: Path, as_json: bool
) -> None:
    """Write published cells as the subnet.json of a space.

    CELLS is nasnet_a (arXiv:1707.07012) or darts_v2 (arXiv:1806.09055); `supernet spaces show`
    says which of them a space has. Latencies are predicted of the file, searches start from it,
    and it is exported with the weights of a run of that space.
    """
    from supernet.space import total_macs, total_params
    from supernet.workflow.subnet_files import write_published

    file = write_published(cells, space_name, run_folder, output)
    figures = {"macs": total_macs(file.operators), "params": total_params(file.operators)}
    print_table(
        f"{cells} in space {file.subnet.space}",
        [
            [f"{cell.kind}.node{number}", node.inputs, node.left, node.right]
            for cell in file.subnet.cells
            for number, node in enumerate(cell.nodes, start=1)
        ],
        ["node", "inputs", "left", "right"],
    )
    click.echo(
        f"\n{figures['macs'] / 1e6:.2f} M multiply-adds, {figures['params'] / 1e6:.3f} M "
        f"parameters at {file.subnet.resolution} px\nsubnet: {output}"
    )
    if as_json:
        print_json({"cells": cells, "space": file.subnet.space, "subnet": str(output), **figures})
