"""Timing networks at the speed that this machine had when its table was measured.

A machine is not always as fast: neighbours, heat and memory slow it for seconds or for hours
(on a rented one by up to 40 % all through a short measurement). A few of the networks by
which the table was checked are therefore timed again, in turn with the new ones; by how much
they differ now, all times are scaled.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from supernet.blocks import Wired
from supernet.errors import ConfigError
from supernet.latency.build import IDENTITY
from supernet.latency.kit.plan import FIT, HOLD_OUT, Network, Plan
from supernet.latency.kit.protocol import Protocol
from supernet.latency.kits import FIT_NETWORKS, HOLD_OUT_NETWORKS, make_plan
from supernet.latency.measuring import Model, backend_of, describe_device, measure
from supernet.latency.table import LatencyTable
from supernet.progress import Progress, silent
from supernet.space import Operator, Space

__all__ = ["measure_drift_corrected"]

_ANCHORS = 7
_SAME = 1e-3  # relative difference of predictions of the same network

Values = npt.NDArray[np.float64]


def measure_drift_corrected(
    table: LatencyTable,
    space: Space,
    models: Sequence[Model],
    protocol: Protocol | None = None,
    *,
    progress: Progress = silent,
    what: str = "networks",
) -> Values:
    """Milliseconds of models, comparable with what `table` predicts, shape ``(N,)``.

    Where the table was not checked by networks of `space`, times are as they are now.

    Args:
        table: of this machine; models are measured in its runtime, with its settings.
        space: of the networks by which it was checked.
        models: as in `measure`.
        protocol: how often.
        progress: told about every visit.
        what: the models, in a word for the progress.

    Raises:
        ConfigError: the table is of another machine or runtime.
    """
    backend = backend_of(table)
    if backend is None:
        raise ConfigError(
            f"target {table.target!r} is of {_in_words(table.device)}, {table.precision}; "
            f"this machine is {_in_words(describe_device())}",
            hint="measure there, and give the file: supernet latency check --networks",
        )
    protocol = protocol or Protocol(threads=table.threads)
    anchors, then_ms = _anchors(table, space)
    timings = measure([*models, *anchors], protocol, backend=backend, progress=progress, what=what)
    ms = np.array([timing.ms for timing in timings])
    now_ms = ms[len(models) :]
    speed = float(np.median(then_ms / now_ms)) if len(now_ms) else 1.0
    own: Values = ms[: len(models)] * speed
    return own


def _in_words(device: Mapping[str, str]) -> str:
    return ", ".join(device[key] for key in IDENTITY if device.get(key))


def _operators(plan: Plan, network: Network) -> list[Operator]:
    found = [Operator(**spec._asdict()) for spec in plan.specs(network)]
    return Wired(found, network.reads) if network.reads else found


def _sizes(table: LatencyTable) -> list[int] | None:
    """Input sizes of its networks; None of a table that says none: those of the space."""
    found = table.protocol.get("resolutions")
    told = isinstance(found, list) and all(isinstance(size, int) for size in found)
    return found if told else None


def _counts(table: LatencyTable) -> dict[str, int]:
    """How many networks were drawn for its correction and for its error, as `make_plan` asks."""
    usual = {FIT: FIT_NETWORKS, HOLD_OUT: HOLD_OUT_NETWORKS}
    told = table.protocol.get("networks")
    known = told if isinstance(told, dict) else {}
    return {use: n if type(n := known.get(use)) is int else usual[use] for use in usual}


def _anchors(table: LatencyTable, space: Space) -> tuple[list[list[Operator]], Values]:
    """Networks of which the table's measurement is known, of all sizes, and their times then.

    They are drawn again as they were then: that they are the same is seen by their predictions.
    """
    held_out, none = table.held_out, np.array([])
    if held_out.space_hash != space.hash:
        return [], none
    counts = _counts(table)
    plan = make_plan(space, _sizes(table), fit=counts[FIT], hold_out=counts[HOLD_OUT])
    specs = [network for network in plan.networks if network.use == HOLD_OUT]
    networks = [_operators(plan, network) for network in specs]
    measured, predicted = np.array(held_out.measured_ms), np.array(held_out.predicted_ms)
    if len(networks) != len(measured) or any(
        operator not in table.rows for found in networks for operator in found
    ):
        return [], none
    again = [float(table.operator_ms(found, space.name).sum()) for found in networks]
    if not np.allclose(again, predicted, rtol=_SAME):
        return [], none
    order = np.argsort(measured)
    chosen = order[np.linspace(0, len(order) - 1, _ANCHORS).round().astype(int)]
    return [networks[index] for index in chosen], measured[chosen]
