"""Words for latencies and errors that the latency commands share."""

import math
import shutil
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from supernet.latency import Explanation, HeldOut, LatencyTable

__all__ = ["basis_text", "error_text", "held_out_text", "interval_text", "runtime_text", "wrapped"]


def error_text(table: "LatencyTable") -> str:
    """What is known of the error of a table, in a few words."""
    if table.held_out.networks:
        return f"{table.held_out.mape:.1f} % of {table.held_out.networks} networks"
    if table.model.error.networks:
        return f"model {table.model.error.rows_mape:.1f} %, networks not known"
    return "not known"


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
        "unknown": "nothing: no network was held out, or the model never saw such operators",
    }[basis]
