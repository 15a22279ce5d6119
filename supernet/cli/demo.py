"""`supernet demo`: the whole loop on the embedded images."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from supernet.workflow.demo import DemoOutcome


@click.command(
    epilog="Takes four minutes on two CPU cores that compute in bf16, thirteen on older ones. The "
    "report is the last line of the output."
)
@options.run("Run folder to make; a new one below ./runs when not given.")
@options.seed
@options.device
@click.option(
    "--epochs",
    type=options.FloatRange(0, 10000, min_open=True),
    help="Epochs of the training, 17 when not given; 1 for a quick look.",
)
@click.option(
    "--pairs",
    type=click.IntRange(10, 10000),
    default=120,
    show_default=True,
    help="Subnets whose accuracy the predictor learns from.",
)
@options.common
def command(
    run_folder: Path | None, seed: int, device: str, epochs: float | None, pairs: int, as_json: bool
) -> None:
    """Train, measure this machine, search, export and compare, on embedded images."""
    started = time.perf_counter()
    from supernet.evaluate import resolved_device
    from supernet.workflow.demo import run_demo  # takes seconds, which count

    with progress_bar() as progress:
        outcome = run_demo(
            folder=run_folder,
            seed=seed,
            device=resolved_device(device),
            epochs=epochs,
            pairs=pairs,
            started=started,
            progress=progress,
        )
    _print(outcome)
    if as_json:
        print_json(outcome.as_json())


def _print(outcome: "DemoOutcome") -> None:
    top, found, random = outcome.largest, outcome.found, outcome.random
    share = 100 * found.latency_ms / top.latency_ms
    print_table(
        "Subnets, measured on the test images and on this machine",
        [
            _row("largest", top.top1, top.latency_ms, top.macs, ""),
            _row("found", found.top1, found.latency_ms, found.macs, f"{share:.0f} % of largest"),
            [
                "random, same latency",
                f"{random.top1_mean:.2f}",
                f"{sum(random.latency_ms) / len(random.latency_ms):.4f}",
                "",
                f"mean of {len(random.top1)}, std {random.top1_std:.2f}",
            ],
        ],
        ["", "top-1 %", "latency ms", "M MACs", ""],
    )
    print_table("\nFigures", _figures(outcome))
    click.echo(f"\nthe found subnet: {outcome.search.subnet}\nreport: {outcome.report}")


def _row(name: str, top1: float, latency_ms: float, macs: int, note: str) -> list[str]:
    return [name, f"{top1:.2f}", f"{latency_ms:.4f}", f"{macs / 1e6:.2f}", note]


def _figures(outcome: "DemoOutcome") -> list[list[str]]:
    values = outcome.as_json()
    found, table = values["found"], values["latency_table"]
    error = 100 * (found["predicted_latency_ms"] / found["latency_ms"] - 1)
    parts = ", ".join(f"{name} {s:.0f} s" for name, s in outcome.stages_s.items())
    return [
        ["found against largest", f"{found['top1'] - values['largest']['top1']:+.2f} points"],
        [
            "found against random",
            f"{found['top1'] - values['random_same_latency']['top1_mean']:+.2f} points",
        ],
        ["predicted latency", f"{found['predicted_latency_ms']:.4f} ms ({error:+.1f} %)"],
        [
            "latency table, held-out networks",
            f"{table['mape']:.1f} % mean error, Kendall tau {table['kendall']:.2f}",
        ],
        [
            "accuracy predictor, held-out subnets",
            f"Kendall tau {values['predictor']['kendall']:.2f}, "
            f"RMSE {values['predictor']['rmse']:.2f} points",
        ],
        [
            "ONNX Runtime against torch",
            f"{values['onnx']['max_abs_diff']:.1e} largest difference, "
            f"{values['onnx']['top1']:.2f} and {values['onnx']['torch_top1']:.2f} %",
        ],
        ["time", f"{outcome.elapsed_s:.0f} s ({parts})"],
    ]
