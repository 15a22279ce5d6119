"""`supernet quality`: how good the subnets of a supernet are."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from supernet.workflow.quality_file import QualityFile, SubnetQuality


@click.command(
    epilog="Examples:  supernet quality  |  supernet quality --standalone 7 --subnets 50. What was "
    "stopped goes on when the same command is given again."
)
@options.run()
@click.option(
    "--subnets",
    type=click.IntRange(0, 10000),
    default=20,
    show_default=True,
    help="Random subnets to measure beside the smallest and the largest.",
)
@click.option(
    "--standalone",
    type=click.IntRange(0, 10002),
    default=0,
    show_default=True,
    help="How many are also trained standalone, as long as the supernet was: the largest, the "
    "smallest, then random ones.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "holdout"]),
    default="test",
    show_default=True,
    help="The images that accuracies are of.",
)
@options.seed
@options.device
@options.common
def command(
    run_folder: Path | None,
    subnets: int,
    standalone: int,
    split: Literal["test", "holdout"],
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure subnets of all sizes, and compare them with the same networks trained standalone."""
    from supernet.evaluate import resolved_device
    from supernet.runs import find_run
    from supernet.workflow.quality import measure_quality

    with progress_bar() as progress:
        quality, path, report = measure_quality(
            find_run(run_folder),
            subnets=subnets,
            standalone=standalone,
            split=split,
            seed=seed,
            device=resolved_device(device),
            progress=progress,
        )
    header = ["subnet", "M MACs", "shared", *["standalone", "points"] * bool(standalone)]
    print_table(
        f"Top-1 on {quality.images} {split} images, percent",
        [_row(row, with_standalone=bool(standalone)) for row in quality.subnets],
        header,
    )
    click.echo("\n" + "\n".join(_facts(quality)))
    click.echo(f"\nquality: {path}\nreport: {report}")
    if as_json:
        print_json({**asdict(quality), "files": {"quality": str(path), "report": str(report)}})


def _row(row: "SubnetQuality", *, with_standalone: bool) -> list[str]:
    cells = [row.name, f"{row.macs / 1e6:.2f}", f"{row.top1:.2f}"]
    if with_standalone and row.standalone_top1 is not None and row.gap is not None:
        cells += [f"{row.standalone_top1:.2f}", f"{row.gap:+.2f}"]
    return cells + [""] * (with_standalone and row.standalone_top1 is None) * 2


def _facts(quality: "QualityFile") -> list[str]:
    facts = [f"Kendall tau of accuracy and multiply-adds: {quality.kendall_macs:.2f}"]
    if quality.kendall_standalone is not None and quality.mean_gap is not None:
        facts.append(f"Kendall tau of shared and standalone: {quality.kendall_standalone:.2f}")
        facts.append(f"shared against standalone: {quality.mean_gap:+.2f} points on average")
    return facts
