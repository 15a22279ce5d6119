"""`supernet train`: train a supernet."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import choices, options
from supernet.cli.output import command_line, print_json, print_table, progress_bar
from supernet.errors import ConfigError

if TYPE_CHECKING:
    from supernet.runs import Run

_CHANGES = (
    *("epochs", "batch_size", "precision", "augment", "init", "phases", "target"),
    "max_latency_ms",
)
_KEPT = (
    *("data", "fit", "skip_broken", "space_name", "recipe_name", *_CHANGES),
    *("minutes", "seed"),
)
"""What a run was started with and goes on with."""


@click.command(
    epilog="Examples:  supernet train  |  supernet train --data photos  |  "
    "supernet train --data photos --minutes 60  |  "
    "supernet train --data photos --space mobilenet_v2 --recipe from_pretrained "
    "--init torchvision:mobilenet_v2  |  supernet train --recipe proxylessnas "
    "--target this_machine --max-latency-ms 0.2  |  supernet train --resume  |  "
    "torchrun --nproc-per-node 4 -m supernet train --data photos"
)
@choices.options
@click.option(
    "--target",
    help="Of a recipe that searches (proxylessnas, tunas): name or table (.json) of the device.",
)
@click.option(
    "--max-latency-ms",
    type=options.FloatRange(0, 1e7, min_open=True),
    help="Of a recipe that searches: the latency of the subnet that it ends with.",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@options.run("Run folder to make, or with --resume to go on with.")
@options.seed
@options.device
@options.common
@click.pass_context
def command(
    context: click.Context,
    /,
    data: str,
    fit: Any,
    skip_broken: bool,
    resume: bool,
    run_folder: Path | None,
    seed: int,
    device: str,
    as_json: bool,
    **asked: Any,
) -> None:
    """Train a supernet on your own images or on the embedded ones."""
    if resume:
        _refuse_with_resume(context)
    since = time.perf_counter()
    from supernet.evaluate import resolved_device
    from supernet.runs import find_run
    from supernet.train import joined_processes
    from supernet.workflow.claims import check_claimable
    from supernet.workflow.train import resume_training, train_supernet

    reading = choices.reading_of(fit, skip_broken)
    joined = joined_processes(resolved_device(device))
    with progress_bar() as progress, joined as processes:
        common: Any = {"processes": processes, "progress": progress}
        if resume:
            run = find_run(run_folder)
            before = run.metrics()
            resume_training(run, **common)
            if run.metrics() == before:
                click.echo("nothing was left to do: the training had come to its end")
        else:
            processes.from_main(lambda: check_claimable(run_folder))
            common["reading"] = reading
            space, recipe = choices.chosen(data, since=since, seed=seed, **common, **asked)
            run = train_supernet(space, recipe, data, folder=run_folder, seed=seed, **common)
    if processes.is_main:
        _report(run, as_json=as_json)


def _report(run: "Run", *, as_json: bool) -> None:
    from supernet.space import count_subnets

    phases = [record for record in run.metrics() if "top1_largest" in record]
    one = count_subnets(run.space()) == 1
    print_table(
        f"Accuracy on {_held_out(run)} held-out images, percent",
        [_row(record)[: 2 if one else 4] for record in phases],
        ["after phase", "top-1"] if one else ["after phase", "largest", "smallest", "random, mean"],
    )
    searches = _searches(run)
    for found in searches:
        click.echo(
            f"\nmost probable subnet of phase {found['phase']!r}: {found['subnet']}\n"
            f"latency on {found['target']} {found['latency_ms']:.4g} ms (limit "
            f"{found['limit_ms']:.4g}), top-1 {found['top1']:.2f} on held-out images\n"
            f"subnet: {found['file']}\nreport: {run.folder / 'report.html'}\n"
            f"next: {command_line('export', found['file'], '--onnx')}"
        )
    click.echo(f"\nrun: {run.folder}")
    if not searches:
        click.echo(f"next: {command_line('search', '--run', run.folder)}")
    if as_json:
        print_json({"run": str(run.folder), "phases": phases, "searches": searches})


def _searches(run: "Run") -> list[dict[str, Any]]:
    """What phases that search ended with."""
    from supernet.workflow.architecture import searched

    return [
        {
            "phase": saved.name,
            "subnet": str(saved.subnet),
            "target": saved.request["target"],
            "limit_ms": saved.request["limit_ms"],
            "latency_ms": saved.result.figures(saved.chosen)[f"latency@{saved.request['target']}"],
            "top1": saved.result.figures(saved.chosen)["top1"],
            "file": str(saved.folder / "subnet.json"),
        }
        for saved in searched(run)
    ]


def _held_out(run: "Run") -> str:
    """How many, and whether there would be more but for the cap."""
    from supernet.data import HOLDOUT_IMAGES

    count = run.config().holdout_images
    return f"{count:,}" + " (the most that are held out)" * (count >= 0.99 * HOLDOUT_IMAGES)


def _refuse_with_resume(context: click.Context) -> None:
    """What a run was started with is kept in it, so it cannot be given again."""
    given = [
        name
        for name in _KEPT
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if given:
        option = "--" + given[0].removesuffix("_name").replace("_", "-")
        raise ConfigError(
            f"{option} cannot be given with --resume: the run goes on as it was started",
            hint=f"leave out {option}, or start a new run",
        )


def _row(record: dict[str, Any]) -> list[str]:
    keys = ("top1_largest", "top1_smallest", "top1_random")
    return [record["phase"], *(f"{record[key]:.2f}" for key in keys)]
