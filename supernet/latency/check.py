"""How wrong a table is for whole networks: held out before, in a file, or measured now."""

from dataclasses import dataclass, replace

import numpy as np

from supernet.latency.drift import measure_drift_corrected
from supernet.latency.held_out import HeldOut
from supernet.latency.kit.protocol import Protocol
from supernet.latency.networks import MeasuredNetworks
from supernet.latency.table import LatencyTable
from supernet.progress import Progress, silent
from supernet.space import Space, decode, operators, sample

__all__ = ["Check", "check_networks", "measure_networks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Predictions of a table against measured latencies of whole networks."""

    against: str
    """Which networks, in words."""
    networks: HeldOut

    def as_dict(self) -> dict[str, float | int | str]:
        """Its figures."""
        found = self.networks
        return {
            "against": self.against,
            "networks": found.networks,
            "mape": found.mape,
            "kendall": found.kendall,
            "within_5_percent": 100 * found.within(0.05),
        }


def check_networks(table: LatencyTable, space: Space, found: MeasuredNetworks) -> HeldOut:
    """The table's predictions for measured networks.

    Raises:
        ConfigError: the table does not know some operators of the space.
    """
    predicted = np.maximum(table.predictor(space).ms(found.genes), 1e-6)
    return HeldOut(
        predicted_ms=tuple(predicted.tolist()),
        measured_ms=tuple(found.ms.tolist()),
        space=space.name,
        space_hash=space.hash,
    )


def measure_networks(
    table: LatencyTable, space: Space, count: int, *, seed: int, progress: Progress = silent
) -> MeasuredNetworks:
    """Random networks of `space`, measured now, by the protocol of the table.

    Args:
        table: must be of this machine.
        space: of the networks.
        count: how many.
        seed: of the choice of networks; the table was made with others.
        progress: told about every visit of a network.

    Raises:
        ConfigError: the table is of another machine or runtime.
    """
    genes = sample(space, count, np.random.default_rng((seed, 1)))
    models = [operators(space, subnet) for subnet in decode(space, genes)]
    protocol = Protocol(threads=table.threads)
    protocol = replace(protocol, rounds=2 * protocol.rounds)
    ms = measure_drift_corrected(
        table, space, models, protocol, progress=progress, what="whole networks"
    )
    return MeasuredNetworks(genes=genes, ms=ms)
