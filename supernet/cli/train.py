"""`supernet train`: train a supernet."""

from pathlib import Path
from typing import Any

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar
from supernet.errors import ConfigError


@click.command(
    epilog="Examples:  supernet train  |  supernet train --data photos --epochs 5  |  "
    "supernet train --resume"
)
@click.option(
    "--data",
    default="fashion_mnist",
    show_default=True,
    help="A folder with train/<class>/ and val/<class>/, or the embedded images.",
)
@click.option("--space", "space_name", default="demo", show_default=True, help="Name or YAML file.")
@click.option(
    "--recipe", "recipe_name", default="demo", show_default=True, help="Name or YAML file."
)
@click.option(
    "--epochs",
    type=click.FloatRange(0, 1000, min_open=True),
    default=1.0,
    show_default=True,
    help="Factor on the epochs of every phase of the recipe.",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@options.run("Run folder to make, or with --resume to go on with.")
@options.seed
@options.device
@options.common
@click.pass_context
def command(
    context: click.Context,
    data: str,
    space_name: str,
    recipe_name: str,
    epochs: float,
    resume: bool,
    run_folder: Path | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Train a supernet on your own images or on the embedded ones."""
    if resume:
        _refuse_with_resume(context)
    from supernet.runs import find_run
    from supernet.space import load_space
    from supernet.train import load_recipe, scaled
    from supernet.workflow.train import resume_training, train_supernet

    place = options.resolved_device(device)
    with progress_bar() as progress:
        if resume:
            run = resume_training(find_run(run_folder), device=place, progress=progress)
        else:
            run = train_supernet(
                load_space(space_name),
                scaled(load_recipe(recipe_name), epochs),
                data,
                folder=run_folder,
                seed=seed,
                device=place,
                progress=progress,
            )
    phases = [record for record in run.metrics() if "top1_largest" in record]
    print_table(
        "Accuracy on held-out images, percent",
        [_row(record) for record in phases],
        ["after phase", "largest", "smallest", "random, mean"],
    )
    click.echo(f"\nrun: {run.folder}")
    if as_json:
        print_json({"run": str(run.folder), "phases": phases})


def _refuse_with_resume(context: click.Context) -> None:
    """What a run was started with is kept in it, so it cannot be given again."""
    given = [
        name
        for name in ("data", "space_name", "recipe_name", "epochs", "seed")
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if given:
        option = f"--{given[0].removesuffix('_name')}"
        raise ConfigError(
            f"{option} cannot be given with --resume: the run goes on as it was started",
            hint=f"leave out {option}, or start a new run",
        )


def _row(record: dict[str, Any]) -> list[str]:
    keys = ("top1_largest", "top1_smallest", "top1_random")
    return [record["phase"], *(f"{record[key]:.2f}" for key in keys)]
