"""`supernet plan`: what would be trained, how long it takes, what it needs."""

import time
from pathlib import Path
from typing import Any

import click

from supernet.cli import choices, options
from supernet.cli.output import print_json, progress_bar


@click.command(
    epilog="Examples:  supernet plan --data photos  |  supernet plan --data photos --minutes 60  |"
    "  supernet plan --data photos -o my, then supernet train --data photos --space my/space.yaml "
    "--recipe my/recipe.yaml"
)
@choices.options
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder for space.yaml and recipe.yaml, to edit and to train by.",
)
@options.device
@options.common
def command(  # one parameter for each option
    data: str,
    folder: Path | None,
    fit: Any,
    skip_broken: bool,
    device: str,
    as_json: bool,
    **asked: Any,
) -> None:
    """Look at images, time a few steps, and say what `supernet train` would choose."""
    since = time.perf_counter()
    from supernet.evaluate import resolved_device
    from supernet.train import Processes
    from supernet.workflow.plan import plan_training, write_plan

    processes = Processes(device=resolved_device(device))
    reading = choices.reading_of(fit, skip_broken)
    with progress_bar() as progress:
        wishes = choices.wishes_of(data, reading=reading, **asked)
        plan = plan_training(wishes, processes=processes, progress=progress, since=since)
    for line in [*plan.lines, *(f"note: {note}" for note in (*plan.look.notes, *plan.notes))]:
        click.echo(line)
    written = write_plan(plan, folder) if folder else ()
    for path in written:
        click.echo(f"written: {path}")
    if as_json:
        print_json({**plan.as_dict(), "written": [str(path) for path in written]})
