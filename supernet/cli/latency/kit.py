"""`supernet latency kit`: the one file that measures a device."""

from pathlib import Path

import click

from supernet.cli import options
from supernet.cli.latency.texts import tell_other_sizes
from supernet.cli.output import print_json
from supernet.cli.outputs import output_option


@click.command(
    epilog="On the device, with Python 3.8 or newer, NumPy and onnxruntime:  "
    "python3 kit.pyz -o pi4.json   Back here:  supernet latency build pi4.json"
)
@click.option("--space", "space_name", required=True, help="Name or YAML file.")
@options.sizes
@output_option(
    "The file to write.",
    "kit",
    default=Path("kit.pyz"),
    show_default=True,
)
@options.networks
@options.common
def command(
    space_name: str,
    resolutions: tuple[int, ...] | None,
    output: Path,
    fit_networks: int,
    check_networks: int,
    as_json: bool,
) -> None:
    """Make the one file that measures a device."""
    from supernet.latency import make_plan, write_kit
    from supernet.space import load_space

    space = load_space(space_name)
    plan = make_plan(space, resolutions, fit=fit_networks, hold_out=check_networks)
    tell_other_sizes(space, plan.resolutions)
    size = write_kit(plan, output)
    click.echo(
        f"{output}: {size / 1024:.0f} KB, measures {len(plan.operators)} operators and "
        f"{len(plan.networks)} whole networks of {plan.space}"
    )
    click.echo(f"on the device: python3 {output.name} -o device.json")
    click.echo("back here: supernet latency build device.json")
    if as_json:
        print_json(
            {
                "kit": str(output),
                "bytes": size,
                "operators": len(plan.operators),
                "networks": len(plan.networks),
                "resolutions": list(plan.resolutions),
            }
        )
