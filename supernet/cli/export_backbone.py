"""`supernet export --features`: the backbone of a subnet, and what is said of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli.output import note_finetuned, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from supernet.runs import Run
    from supernet.workflow.backbone_price import BackbonePrice
    from supernet.workflow.backbone_request import BackboneOutcome
    from supernet.workflow.exported import ExportRequest

__all__ = ["write_backbone"]


def write_backbone(
    path: Path,
    run: "Run",
    request: "ExportRequest",
    output: Path | None,
    as_json: bool,
    **wanted: Any,
) -> int:
    """Export the maps that are wanted; the exit code.

    Args:
        path: of the ``subnet.json``.
        run: holds its weights.
        request: formats and options of the files.
        output: folder.
        as_json: print the result as JSON, too.
        wanted: fields of `supernet.workflow.backbone_request.BackboneRequest`.
    """
    from supernet.workflow.backbone import export_backbone
    from supernet.workflow.backbone_request import BackboneRequest

    backbone = BackboneRequest(**wanted)
    with progress_bar() as progress:
        found = export_backbone(path, run, backbone, request, output=output, progress=progress)
    _print(found)
    for reason in found.failed.values():
        click.echo(f"error: {reason}", err=True)
    if as_json:
        print_json(_as_json(found))
    return 1 if found.failed else 0


def _print(found: "BackboneOutcome") -> None:
    note_finetuned(found.finetuned)
    size = "x".join(map(str, found.size))
    print_table(
        f"Backbone exported to {found.folder} ({found.macs / 1e6:.1f} M multiply-adds at {size})",
        [
            [m["name"], f"{m['channels']}", f"{m['height']} x {m['width']}", m["place"]]
            for m in found.maps
        ],
        ["output", "channels", f"at {size}", "written by"],
    )
    print_table(
        "",
        [
            [
                name,
                f"{max(m['max_abs_diff'] / m['largest'] for m in facts['maps'].values()):.1e}",
                f"{facts['latency_ms']:.4f} ms",
                f"{facts['bytes'] / 1e6:.2f} MB",
            ]
            for name, facts in found.files.items()
        ],
        ["file", "maps off by, relative", "latency", "size"],
    )
    for note in [note for facts in found.files.values() for note in facts["notes"]]:
        click.echo(f"note: {note}")
    if found.price is not None:
        click.echo(_price_text(found.price))
    elif found.unpriced:
        click.echo(
            f"no prediction: the table of {found.unpriced} does not know these operators at {size}"
        )
    click.echo(f"\ncard: {found.card}")


def _price_text(price: "BackbonePrice") -> str:
    known = [
        f"{count} operators {words}"
        for count, words in (
            (price.measured, "measured at this size"),
            (price.interpolated, "at others"),
            (price.fitted, "by the model"),
        )
        if count
    ]
    text = f"predicted for {price.target}, {price.precision}: {price.predicted_ms:.4f} ms"
    text += f" ({', '.join(known)})"
    return text + (f"; measured {price.off:+.1f} %" if price.off is not None else "")


def _as_json(found: "BackboneOutcome") -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "card": str(found.card),
        "size": list(found.size),
        "features": list(found.maps),
        "macs": found.macs,
        "latency": found.price.as_dict() if found.price else None,
        "files": dict(found.files),
        "failed": dict(found.failed),
    }
