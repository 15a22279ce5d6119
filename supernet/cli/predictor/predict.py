"""`supernet predictor predict`: accuracies of the subnets in a file."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json
from supernet.cli.outputs import output_option


@click.command(
    epilog="Example:  supernet predictor predict --predictor acc.json --space mobilenet_v3 "
    "--pairs new.csv -o out.csv"
)
@click.option(
    "--predictor",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A predictor (.json), or a published one of Once-for-All (.pth).",
)
@click.option("--space", "space_name", help="Its space; a predictor (.json) of a shipped one says.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Run with the space.")
@click.option(
    "--pairs",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="NPZ or CSV with the choices of the subnets.",
)
@output_option(
    "The CSV to write: the columns of the file, predicted and std.",
    "predictions",
    required=True,
)
@options.common
def command(
    predictor: Path,
    space_name: str | None,
    run_folder: Path | None,
    pairs: Path,
    output: Path,
    as_json: bool,
) -> None:
    """Predict subnets: the columns of the file, with predicted (percent) and std."""
    from supernet.workflow.predictor import predict_file, space_of

    space = space_of(space_name, run_folder, predictor)
    found = predict_file(predictor, pairs, space, output=output)
    count = len(found.predicted.mean)
    click.echo(f"{count} subnets predicted by {predictor} ({found.kind})\npredictions: {output}")
    if as_json:
        known = found.predicted.std is not None
        print_json({"kind": found.kind, "subnets": count, "std": known, "output": str(output)})
