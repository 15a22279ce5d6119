"""`supernet report`: the page made anew from what lies in a run, or in a folder of results."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import print_json


@click.command(
    epilog="Examples:  supernet report  |  supernet report --run runs/demo  |  "
    "supernet report --results searches"
)
@options.run("Run folder; the newest one below ./runs, else ./searches, when not given.")
@click.option(
    "--results",
    "results_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of results without a run, such as searches.",
)
@options.common
def command(run_folder: Path | None, results_folder: Path | None, as_json: bool) -> None:
    """Write report.html anew: one page, which works offline and as an attachment."""
    from supernet.errors import ConfigError
    from supernet.workflow.report import report_results, report_run
    from supernet.workflow.results import result_places

    places = result_places(run_folder, results_folder)
    if not places:
        raise ConfigError(
            "neither a run below ./runs nor results below ./searches",
            hint="make some with `supernet train` or `supernet search`",
        )
    run = places[0].run
    path = report_run(run) if run else report_results(places[0].folder)
    click.echo(f"report: {path}")
    if as_json:
        print_json({"files": {"report": str(path)}})
