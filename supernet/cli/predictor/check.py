"""`supernet predictor check`: fresh subnets are measured and compared with predictions."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar


@click.command(
    epilog="Examples:  supernet predictor check  |  supernet predictor check --predictor acc.json "
    "--subnets 50 --images 2000"
)
@options.run()
@click.option(
    "--predictor",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The predictor to check; that of the run when not given.",
)
@click.option(
    "--subnets",
    type=click.IntRange(2, 100_000),
    default=30,
    show_default=True,
    help="Fresh subnets of all sizes to measure.",
)
@options.images
@options.workers
@options.engine()
@options.seed
@options.device
@options.common
def command(
    run_folder: Path | None,
    predictor: Path | None,
    subnets: int,
    images: int | None,
    workers: int,
    engine: str,
    ray_address: str,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure fresh subnets of a run, and say how wrong its predictor is on them."""
    from supernet.runs import find_run
    from supernet.workflow.engines import EngineRequest
    from supernet.workflow.predictor import check_run

    with progress_bar() as progress:
        kind, found = check_run(
            find_run(run_folder),
            predictor,
            subnets,
            images=images,
            engine=EngineRequest(
                device=device, workers=workers, engine=engine, ray_address=ray_address
            ),
            seed=seed,
            progress=progress,
        )
    coverage = found.coverage
    rows = [
        ["fresh subnets", f"{len(found.measured)}"],
        ["kind of predictor", kind],
        ["Kendall tau", f"{found.kendall:.3f}"],
        ["RMSE", f"{found.rmse:.3f} points"],
        ["in the 90 % interval", "no interval" if coverage is None else f"{100 * coverage:.0f} %"],
    ]
    print_table("Predictions of fresh subnets", rows)
    if found.poor:
        click.echo(f"\nwarning: {found.poor}", err=True)
    if as_json:
        print_json(
            {
                "kind": kind,
                "subnets": len(found.measured),
                "kendall": found.kendall,
                "rmse": found.rmse,
                "mae": found.mae,
                "coverage": coverage,
                "poor": found.poor,
            }
        )
