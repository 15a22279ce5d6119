"""`supernet predictor fit`: a predictor from a file of measured subnets."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table
from supernet.cli.outputs import output_option

if TYPE_CHECKING:
    from supernet.predict import FittedPredictor


@click.command(
    epilog="Example:  supernet predictor fit --space mobilenet_v3 --pairs pairs.npz -o acc.json"
)
@click.option("--space", "space_name", help="Name or YAML file of the space.")
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="Run with the space.")
@click.option(
    "--pairs",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="NPZ or CSV: the choices of the subnets, and top1 in percent.",
)
@click.option(
    "--kind",
    default="auto",
    show_default=True,
    help="ridge, gp, mlp, gbdt, ensemble; auto takes the smallest held-out error.",
)
@output_option(
    "The predictor to write (.json).",
    "predictor",
    required=True,
)
@options.seed
@options.common
def command(
    space_name: str | None,
    run_folder: Path | None,
    pairs: Path,
    kind: str,
    output: Path,
    seed: int,
    as_json: bool,
) -> None:
    """Fit a predictor to measured subnets, with its error by cross-validation."""
    from supernet.workflow.predictor import fit_file, space_of

    found = fit_file(pairs, space_of(space_name, run_folder), kind=kind, seed=seed, output=output)
    figures = _figures(found)
    rows = [
        ["pairs", f"{len(found.pairs)} subnets of space {found.space.name}"],
        ["kind", found.kind],
        ["Kendall tau, held out", f"{figures['kendall']:.3f}"],
        ["RMSE, held out", f"{figures['rmse']:.3f} points"],
        ["in the 90 % interval", f"{100 * figures['coverage']:.0f} %"],
    ]
    print_table("Accuracy predictor", rows)
    if figures["poor"]:
        click.echo(f"\nwarning: {figures['poor']}", err=True)
    click.echo(f"\npredictor: {output}")
    if as_json:
        known = {"kind": found.kind, "space": found.space.name, "pairs": len(found.pairs)}
        print_json(known | {"predictor": str(output), "held_out": figures})


def _figures(found: "FittedPredictor") -> dict[str, Any]:
    """The held-out error as plain values."""
    checked = found.validation
    assert checked is not None
    return {
        "kendall": checked.kendall,
        "rmse": checked.rmse,
        "mae": checked.mae,
        "coverage": checked.coverage,
        "folds": checked.folds,
        "poor": checked.poor,
    }
