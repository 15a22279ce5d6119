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
        error_text = f"{held_out.mape:.1f} %" if held_out.networks else "not known"
        runtime = f"{device.get('runtime', '')} {device.get('runtime_version', '')}"
        rows.append(
            [
                name,
                device.get("processor", ""),
                f"{runtime}, {table.threads} thread, {table.precision}",
                f"{len(table.rows)}",
                f"{error_text} of {held_out.networks}",
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
