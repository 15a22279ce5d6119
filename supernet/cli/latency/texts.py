"""Words for latencies and errors that the latency commands share."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from supernet.latency import Explanation, HeldOut, LatencyTable
    from supernet.space import Space

__all__ = [
    "basis_text",
    "error_text",
    "held_out_text",
    "imported_json",
    "imported_rows",
    "interval_text",
    "runtime_text",
    "tell_other_sizes",
    "wrapped",
]


def error_text(table: "LatencyTable") -> str:
    """What is known of the error of a table, in a few words."""
    if table.held_out.networks:
        return f"{table.held_out.mape:.1f} % of {table.held_out.networks} networks"
    if table.model.error.networks:
        return f"model {table.model.error.rows_mape:.1f} %, networks not known"
    return "not known"


def tell_other_sizes(space: "Space", resolutions: Sequence[int]) -> None:
    """Say which input sizes a space has not: right for backbones, else mistyped."""
    others = [str(size) for size in resolutions if size not in space.resolutions]
    if others:
        known = ", ".join(map(str, space.resolutions))
        click.echo(
            f"note: space {space.name!r} has no {', '.join(others)} px (it has {known}): such "
            "sizes are for backbones alone, searched with --features and --size",
            err=True,
        )


def imported_rows(table: "LatencyTable") -> list[list[str]]:
    """What an imported table holds, for people to see whether they meant it."""
    from supernet.latency import published_sums

    rows = [["target", f"{table.target}, {len(table.rows)} rows, error: {error_text(table)}"]]
    repeated = table.protocol.get("repeated")
    if repeated:
        apart = f"up to {table.protocol['apart']:.2f} times apart"
        rows.append(["in several files", f"{repeated} rows, {apart}: their means by count"])
    sums = published_sums(table)
    if sums is None:
        return [*rows, ["its networks", "not known: it has half of no published space"]]
    for name, px, ms in (
        ("smallest network", sums.smallest_px, sums.smallest_ms),
        ("largest network", sums.largest_px, sums.largest_ms),
    ):
        rows.append([name, f"{ms:.4g} ms by its rows ({sums.space} at {px} px)"])
    return [*rows, ["unit", "read as milliseconds: do these sums look right?"]]


def imported_json(table: "LatencyTable") -> dict[str, Any]:
    """The same for machines."""
    from supernet.latency import published_sums

    sums = published_sums(table)
    told = {name: table.protocol[name] for name in ("repeated", "apart") if name in table.protocol}
    return {"target": table.target, "sums": asdict(sums) if sums else None, **told}


def held_out_text(found: "HeldOut") -> str:
    """Mean error, rank correlation and the share within 5 %."""
    return (
        f"mean error {found.mape:.2f} %, Kendall tau {found.kendall:.3f}, "
        f"{100 * found.within(0.05):.0f} % within 5 %"
    )


def device_text(table: "LatencyTable") -> str:
    """The GPU, or the processor where none was measured."""
    from supernet.latency.words import device_words

    return device_words(table.device)


def runtime_text(table: "LatencyTable") -> str:
    """Runtime with its version, threads, precision and batch."""
    from supernet.latency.words import runtime_words

    return runtime_words(
        table.device, threads=table.threads, precision=table.precision, batch=table.batch
    )


def interval_text(found: "Explanation") -> str:
    """The interval that nine in ten networks stay within, where it is known."""
    if not math.isfinite(found.low_ms):
        return "error not known"
    return f"{found.low_ms:.4g} to {found.high_ms:.4g}"


def wrapped(text: str) -> str:
    """A line that a terminal would cut in the middle of words, cut between them."""
    return click.wrap_text(text, shutil.get_terminal_size().columns)


def basis_text(basis: str) -> str:
    """What an interval is taken from."""
    return {
        "networks": "nine in ten held-out networks",
        "operators": "nine in ten sums of operators that the model had not seen; no whole network",
        "unknown": "nothing: no whole network like this was held out",
    }[basis]
