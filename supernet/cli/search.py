"""`supernet search`: the best subnet for a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from supernet.workflow import SearchOutcome


@click.command(
    epilog="Examples:  supernet search  |  supernet search --target this_machine "
    "--max-latency-ms 0.2"
)
@click.option(
    "--target",
    cls=options.Once,
    default="this_machine",
    show_default=True,
    help="Name or table (.json).",
)
@click.option(
    "--max-latency-ms", type=float, help="Limit; half of the largest subnet's when not given."
)
@click.option(
    "--pairs",
    type=click.IntRange(10, 100000),
    default=100,
    show_default=True,
    help="Subnets whose accuracy is measured for the predictor.",
)
@click.option(
    "--generations",
    type=click.IntRange(1, 100000),
    default=60,
    show_default=True,
    help="How long to search.",
)
@click.option("--remeasure", is_flag=True, help="Measure this machine again.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the found subnet there.",
)
@options.run()
@options.seed
@options.device
@options.common
def command(
    target: str,
    max_latency_ms: float | None,
    pairs: int,
    generations: int,
    remeasure: bool,
    output: Path | None,
    run_folder: Path | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Find the Pareto front for a target, and the best subnet under a latency limit."""
    from supernet.runs import find_run
    from supernet.search import Evolution
    from supernet.workflow.report import write_report
    from supernet.workflow.search import search_target

    with progress_bar() as progress:
        outcome = search_target(
            find_run(run_folder),
            target,
            max_latency_ms=max_latency_ms,
            pairs=pairs,
            evolution=Evolution(generations=generations),
            fresh_table=remeasure,
            seed=seed,
            device=options.resolved_device(device),
            output=output,
            progress=progress,
        )
    report = write_report(outcome)
    result = _result(outcome, report)
    _print(outcome, result)
    if as_json:
        print_json(result)


def _result(outcome: "SearchOutcome", report: Path) -> dict[str, Any]:
    validation = outcome.validation
    return {
        "subnet": str(outcome.subnet),
        "max_latency_ms": outcome.max_latency_ms,
        "predicted": dict(outcome.predicted),
        "predictor": {"kendall": validation.kendall, "rmse": validation.rmse}
        if validation
        else None,
        "searched": len(outcome.found.top1),
        "front": len(outcome.found.front),
        "files": {
            "run": str(outcome.run.folder),
            "subnet": str(outcome.file),
            "front": str(outcome.file.with_name("front.csv")),
            "report": str(report),
        },
    }


def _print(outcome: "SearchOutcome", result: dict[str, Any]) -> None:
    predicted = result["predicted"]
    interval = "error not known"
    if "latency_low_ms" in predicted:
        interval = f"{predicted['latency_low_ms']:.4f} to {predicted['latency_high_ms']:.4f}"
    print_table(
        f"Best subnet within {outcome.max_latency_ms:.4g} ms on {outcome.table.target}",
        [
            ["predicted latency", f"{predicted['latency_ms']:.4f} ms ({interval})"],
            ["predicted top-1", f"{predicted['top1']:.2f} %"],
            _predictor_row(outcome),
            ["subnets looked at", f"{result['searched']}, {result['front']} on the front"],
        ],
    )
    files = result["files"]
    click.echo(f"\nthe found subnet: {outcome.subnet}")
    click.echo(f"subnet: {files['subnet']}\nreport: {files['report']}")
    click.echo(f"next: supernet export {files['subnet']} --onnx")


def _predictor_row(outcome: "SearchOutcome") -> list[str]:
    validation = outcome.validation
    if validation is None:
        sizes = outcome.known_sizes
        knows = f", knows {sizes[0]} to {sizes[-1]} px" if sizes else ""
        return ["accuracy predictor", f"imported, error not known{knows}"]
    return [
        "accuracy predictor, held-out subnets",
        f"Kendall tau {validation.kendall:.2f}, RMSE {validation.rmse:.2f} points",
    ]
