"""`supernet predictor collect`: accuracies of subnets, for a predictor to learn from."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json, progress_bar
from supernet.cli.outputs import output_option


@click.command(
    epilog="What was stopped goes on when the same command is given again. Examples:  supernet "
    "predictor collect  |  supernet predictor collect --subnets 500 --images 2000 --workers 4"
)
@options.run()
@click.option(
    "--subnets",
    type=click.IntRange(2, 100_000),
    default=100,
    show_default=True,
    help="To measure: the largest, the smallest, and random ones of all sizes.",
)
@options.images
@options.workers
@options.engine()
@output_option(
    "Of the arrays (.npz); predictor/pairs.npz of the run when not given.",
    "arrays",
)
@options.seed
@options.device
@options.common
def command(
    run_folder: Path | None,
    subnets: int,
    images: int | None,
    workers: int,
    engine: str,
    ray_address: str,
    output: Path | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure subnets of a run on its hold-out images, and write them as arrays."""
    from supernet.runs import find_run
    from supernet.workflow.collect import collect_pairs, write_pairs
    from supernet.workflow.engines import EngineRequest

    run = find_run(run_folder)
    with progress_bar() as progress:
        pairs = collect_pairs(
            run,
            subnets,
            images=images,
            engine=EngineRequest(
                device=device, workers=workers, engine=engine, ray_address=ray_address
            ),
            seed=seed,
            progress=progress,
        )
    path = write_pairs(output or run.pairs, run, pairs)
    low, high = float(pairs.top1.min()), float(pairs.top1.max())
    click.echo(f"{len(pairs.top1)} subnets, top-1 {low:.2f} to {high:.2f} %\n\npairs: {path}")
    if as_json:
        print_json({"subnets": len(pairs.top1), "top1": [low, high], "pairs": str(path)})
