"""`supernet export`: a subnet as an ONNX file that was seen working."""

from dataclasses import asdict
from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar
from supernet.errors import ConfigError


@click.command(
    epilog="A bare file name that is not here is looked for in the searches of the run: after "
    "`supernet search`, `supernet export subnet.json --onnx` needs no path."
)
@click.argument("subnet", type=click.Path(path_type=Path), default=Path("subnet.json"))
@click.option("--onnx", is_flag=True, help="Write an ONNX file.")
@click.option("--dynamic-batch", is_flag=True, help="Let the batch size of the file vary.")
@click.option(
    "--data",
    help="Images to recalibrate and check with, in train/<class>/ and val/<class>/; those of the "
    "run when not given.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; in the run's export/ when not given.",
)
@options.run("Run folder with the weights; that of the subnet file when not given.")
@options.common
def command(
    subnet: Path,
    onnx: bool,
    dynamic_batch: bool,
    data: str | None,
    output: Path | None,
    run_folder: Path | None,
    as_json: bool,
) -> None:
    """Extract SUBNET, recalibrate it, export it, check it against torch, and time it."""
    if not onnx:
        raise ConfigError("no format was asked for", hint="add --onnx")
    from supernet.workflow.export import export_subnet, find_subnet

    path, run = find_subnet(subnet, run_folder)
    with progress_bar() as progress:
        outcome = export_subnet(
            path, run, output=output, dynamic_batch=dynamic_batch, data=data, progress=progress
        )
    if outcome.weights_changed:
        click.echo(
            "note: the supernet was trained on since this subnet was found; its newest weights "
            "were exported",
            err=True,
        )
    check = outcome.verification
    print_table(
        f"Exported {path}",
        [
            ["top-1 in ONNX Runtime", f"{check.top1:.2f} % of {check.images} test images"],
            ["top-1 in torch", f"{check.torch_top1:.2f} %"],
            ["largest difference of a logit", f"{check.max_abs_diff:.1e}"],
            ["latency, 1 thread", f"{outcome.latency_ms:.4f} ms"],
            ["size", f"{outcome.size_bytes / 1e6:.2f} MB"],
        ],
    )
    click.echo(f"\nonnx: {outcome.onnx}\nmodel card: {outcome.card}")
    if as_json:
        print_json(
            {
                **asdict(check),
                "latency_ms": outcome.latency_ms,
                "bytes": outcome.size_bytes,
                "files": {
                    "onnx": str(outcome.onnx),
                    "subnet": str(outcome.subnet),
                    "card": str(outcome.card),
                },
            }
        )
