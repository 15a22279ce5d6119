"""`supernet targets`: devices whose latency can be predicted."""

import click

from supernet.cli import options
from supernet.cli.output import print_json, print_table
from supernet.errors import SupernetError


@click.command(epilog="this_machine is measured when a search first asks for it.")
@options.common
def command(as_json: bool) -> None:
    """List the targets with their device, runtime and prediction error."""
    from supernet.latency import list_targets, load_target

    rows, documents = [], []
    for name in list_targets():
        try:
            table = load_target(name)
        except SupernetError as error:
            rows.append([name, "not measured yet" if "no such file" in str(error) else str(error)])
            documents.append({"name": name, "measured": False})
            continue
        held_out, device = table.held_out, table.device
        error_text = "not known"
        if held_out.networks:
            error_text = f"{held_out.mape:.1f} % of {held_out.networks}"
        runtime = "as published"
        if "runtime" in device:
            runtime = f"{device['runtime']} {device.get('runtime_version', '')}, "
            runtime += f"{table.threads} thread, {table.precision}"
        rows.append(
            [
                name,
                device.get("processor", ""),
                runtime,
                f"{len(table.rows)}",
                error_text,
            ]
        )
        documents.append(
            {
                "name": name,
                "measured": True,
                "device": dict(device),
                "rows": len(table.rows),
                "mape": held_out.mape if held_out.networks else None,
            }
        )
    header = ["name", "device", "runtime", "rows", "error on held-out networks"]
    print_table("Targets", rows, header)
    if as_json:
        print_json({"targets": documents})
