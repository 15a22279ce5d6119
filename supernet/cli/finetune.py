"""`supernet finetune`: a found subnet trained a little further."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.output import command_line, print_json, print_table, progress_bar


@click.command(
    epilog="Example:  supernet finetune subnet.json --epochs 5, then supernet export subnet.json "
    "--onnx, which takes the finetuned weights. What was stopped goes on when the same command is "
    "given again."
)
@click.argument("subnet", type=click.Path(path_type=Path), default=Path("subnet.json"))
@click.option(
    "--epochs",
    type=options.FloatRange(0, 10_000, min_open=True),
    default=3.0,
    show_default=True,
    help="Passes over the training images.",
)
@click.option(
    "--lr",
    type=options.FloatRange(0, 100, min_open=True),
    help="Highest learning rate; when not given, a fifth of the recipe's highest, or half of it "
    "for a quarter or more of the epochs that the supernet had from random weights.",
)
@click.option(
    "--distill",
    type=options.FloatRange(0, 1),
    help="Weight of what the supernet's largest subnet says, against the labels; when not given, "
    ".5, or 0 for a quarter or more of the epochs that the supernet had from random weights.",
)
@click.option(
    "--ema",
    type=options.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share that an average of the weights keeps at each step; 0 for none.",
)
@click.option(
    "--qat",
    is_flag=True,
    help="Train for 8-bit integers (quantisation-aware): with weights and activations rounded.",
)
@click.option("--fresh", is_flag=True, help="Begin again where it was finetuned before.")
@options.run("Run folder with the weights; that of the subnet file when not given.")
@options.device
@options.common
def command(
    subnet: Path,
    epochs: float,
    lr: float | None,
    distill: float | None,
    ema: float,
    qat: bool,
    fresh: bool,
    run_folder: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Train SUBNET a little further from its slice of the supernet's weights."""
    from supernet.evaluate import resolved_device
    from supernet.workflow.export import find_subnet
    from supernet.workflow.finetune import FinetuneRequest, finetune_subnet

    request = FinetuneRequest(epochs=epochs, lr=lr or 0.0, distill=distill, ema=ema, qat=qat)
    path, run = find_subnet(subnet, run_folder)
    with progress_bar() as progress:
        outcome = finetune_subnet(
            path, run, request, device=resolved_device(device), fresh=fresh, progress=progress
        )
    gain, phase = outcome.after - outcome.before, outcome.phase
    taught = f"{100 * phase.distill:g} % by the largest subnet"
    print_table(
        f"Finetuned {path}",
        [
            ["trained", f"{phase.epochs:g} epochs, learning rate {phase.lr:g}"],
            ["taught", taught if phase.distill else "by the labels alone"],
            ["with the supernet's weights", f"{outcome.before:.2f} % of the held-out images"],
            ["finetuned", f"{outcome.after:.2f} % ({gain:+.2f} points)"],
        ],
    )
    if gain < 0 and not phase.int8:
        click.echo(
            "note: finetuning made it worse; more --epochs or another --lr may do better, and "
            "`supernet export --not-finetuned` takes the supernet's weights",
            err=True,
        )
    click.echo(f"\nsubnet: {outcome.file}\nnext: {command_line('export', outcome.file, '--onnx')}")
    if as_json:
        how = {"epochs": phase.epochs, "lr": phase.lr, "distill": phase.distill}
        accuracies = {"before": outcome.before, "after": outcome.after}
        print_json(accuracies | how | {"subnet": str(outcome.file)})
