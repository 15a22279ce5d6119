"""`supernet spaces largest`: one network of a space, as large as devices allow."""

from pathlib import Path
from typing import Any

import click

from supernet.cli import options
from supernet.cli.output import command_line, print_json, print_table, progress_bar
from supernet.cli.outputs import output_option
from supernet.cli.quantities import FIX, LATENCY, merged

__all__ = ["largest_network"]


@click.command(
    "largest",
    epilog="Examples:  supernet spaces largest mobilenet_v3 --max-latency-ms 8 -o one.yaml  |  "
    "supernet spaces largest small_photos --fix resolution=128 --target mobile_cpu "
    "--max-latency-ms 10 -o one.yaml",
)
@click.argument("space")
@output_option("YAML file to write.", "space", suffixes=(".yaml", ".yml"), required=True)
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="Name or table (.json); repeatable.  [default: this_machine]",
)
@click.option(
    "--max-latency-ms",
    "latencies",
    type=LATENCY,
    multiple=True,
    required=True,
    help="The most that it may take: MS, or TARGET=MS.",
)
@click.option("--fix", type=FIX, multiple=True, help="Narrow the space: stage2.kernel=3,5.")
@options.seed
@options.common
def largest_network(
    space: str,
    output: Path,
    targets: tuple[str, ...],
    latencies: Any,
    fix: Any,
    seed: int,
    as_json: bool,
) -> None:
    """Write the largest network of SPACE that is fast enough, as a space of its own.

    The one with the most multiply-adds. `supernet train --space FILE` trains it alone: for one
    device and little time it is ahead of a supernet, which pays for many devices and latencies.
    """
    from supernet.search import latency_name
    from supernet.space import load_space, save_space
    from supernet.workflow.largest import largest_within

    asked = merged("--max-latency-ms", latencies)
    limits = {latency_name(target) if target else "latency": ms for target, ms in asked.items()}
    with progress_bar() as progress:
        found = largest_within(
            load_space(space),
            targets or ("this_machine",),
            limits,
            fix=merged("--fix", fix),
            seed=seed,
            progress=progress,
        )
    save_space(found.space, output)
    rows = [
        [target, f"{known['latency_ms']:.4g} ms", _interval(known)]
        for target, known in found.latencies.items()
    ]
    print_table(f"The largest of space {found.subnet.space}", rows, ["target", "latency", "90 %"])
    click.echo(
        f"\n{found.subnet}\n{found.macs / 1e6:.2f} M multiply-adds, "
        f"{found.params / 1e6:.3f} M parameters\nwritten to {output}"
    )
    click.echo(f"next: {command_line('train', '--data', 'FOLDER', '--space', output)}")
    if as_json:
        print_json(
            {
                "path": str(output),
                "subnet": str(found.subnet),
                "macs": found.macs,
                "params": found.params,
                "latencies": {target: dict(known) for target, known in found.latencies.items()},
            }
        )


def _interval(known: Any) -> str:
    if "latency_low_ms" not in known:
        return ""
    return f"{known['latency_low_ms']:.4g} to {known['latency_high_ms']:.4g}"
