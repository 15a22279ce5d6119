"""Building a table: measure operators and whole networks, correct, hold out."""

import datetime
import platform
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from supernet.latency.graph import build_onnx
from supernet.latency.measure import Protocol, Timing, measure
from supernet.latency.table import HeldOut, LatencyTable, Row, fit_correction
from supernet.progress import Progress, silent
from supernet.space import Genes, OperatorSum, Space, decode, operators, operators_of, sample

__all__ = ["build_table", "describe_device"]

_SEED = 20200426


def describe_device() -> dict[str, str]:
    """What identifies this machine and its runtime."""
    import onnxruntime

    return {
        "processor": _processor(),
        "machine": platform.machine(),
        "system": platform.system(),
        "runtime": "onnxruntime",
        "runtime_version": onnxruntime.__version__,
        "provider": "CPUExecutionProvider",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for field in ("model name", "Model", "Hardware"):
        for line in lines:
            if line.split(":")[0].strip() == field:
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def build_table(
    space: Space,
    *,
    target: str = "this_machine",
    known: LatencyTable | None = None,
    fit_networks: int = 12,
    check_networks: int = 20,
    protocol: Protocol | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Measure this machine in ONNX Runtime for every operator of `space`.

    Args:
        space: its operators are measured, and random subnets of it as whole networks.
        target: name of the table.
        known: a table of the same target whose rows are kept, not measured again.
        fit_networks: whole networks to fit the correction to.
        check_networks: whole networks to find the error with.
        protocol: how often to time; whole networks are visited twice as often.
        progress: told about every visit of a model.
    """
    protocol = protocol or Protocol()
    rows = dict(known.rows) if known else {}
    wanted = [operator for operator in operators_of(space) if operator not in rows]
    timings = measure(
        [build_onnx([operator]) for operator in wanted],
        protocol,
        progress=progress,
        what="operators",
    )
    rows |= {
        operator: Row(operator=operator, ms=timing.ms, spread_ms=timing.spread_ms)
        for operator, timing in zip(wanted, timings)
    }
    genes = _spread_subnets(space, fit_networks + check_networks)
    whole = _measure_networks(space, genes, protocol, progress)
    measured = np.array([timing.ms for timing in whole])
    sums = OperatorSum(space, lambda operator: rows[operator].ms)(genes)
    counts = OperatorSum(space, lambda operator: 1.0)(genes)
    fit, check = slice(0, fit_networks), slice(fit_networks, None)
    correction = fit_correction(sums[fit], counts[fit], measured[fit])
    predicted = correction.apply(sums[check], counts[check])
    held_out = HeldOut(
        predicted_ms=tuple(predicted.tolist()),
        measured_ms=tuple(measured[check].tolist()),
        space=space.name,
        space_hash=space.hash,
    )
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return LatencyTable(
        target=target,
        device=describe_device() | {"measured_at": now},
        threads=protocol.threads,
        protocol=asdict(protocol),
        rows=rows,
        correction=correction,
        held_out=held_out,
    )


def _spread_subnets(space: Space, count: int) -> Genes:
    """Random subnets, those of the fit first."""
    return sample(space, count, np.random.default_rng(_SEED))


def _measure_networks(
    space: Space, genes: Genes, protocol: Protocol, progress: Progress
) -> list[Timing]:
    models = [build_onnx(operators(space, subnet)) for subnet in decode(space, genes)]
    more = replace(protocol, rounds=2 * protocol.rounds)
    return measure(models, more, progress=progress, what="whole networks")
