"""`supernet targets`: devices whose latency can be predicted."""

import click

from supernet.cli import options
from supernet.cli.latency.texts import device_text, error_text, runtime_text
from supernet.cli.output import print_json, print_table
from supernet.errors import SupernetError


@click.command(
    epilog="this_machine and this_machine_int8 are measured when a search first asks for them."
)
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
        held_out, model = table.held_out, table.model
        known = f"{len(table.rows)}" if table.rows else f"model, {len(model.coefficients)} terms"
        rows.append([name, device_text(table), runtime_text(table), known, error_text(table)])
        documents.append(
            {
                "name": name,
                "measured": True,
                "device": dict(table.device),
                "precision": table.precision,
                "threads": table.threads,
                "batch": table.batch,
                "rows": len(table.rows),
                "mape": held_out.mape if held_out.networks else None,
                "held_out_networks": held_out.networks,
                "model_mape": model.error.rows_mape if model.error.networks else None,
            }
        )
    if as_json:
        print_json({"targets": documents})
    else:
        print_table("Targets", rows, ["name", "device", "runtime", "rows", "error"])
