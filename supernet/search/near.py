"""Random subnets of about one cost, as a baseline for a found one."""

from collections.abc import Callable

import numpy as np

from supernet.search.objective import Values
from supernet.space import Genes, Space, sample, unique

__all__ = ["random_of_latency"]

_BATCHES, _BATCH = 100, 20_000


def random_of_latency(
    space: Space,
    latency_ms: Callable[[Genes], Values],
    wanted_ms: float,
    count: int,
    *,
    tolerance: float = 0.05,
    seed: int = 0,
) -> Genes:
    """Up to `count` random subnets within `tolerance` of a latency, shape ``(n, G)``."""
    rng = np.random.default_rng(seed)
    found = sample(space, 0, rng)
    for _ in range(_BATCHES):
        genes = sample(space, _BATCH, rng)
        near = np.abs(latency_ms(genes) / wanted_ms - 1) <= tolerance
        found = unique(np.concatenate([found, genes[near]]))
        if len(found) >= count:
            break
    return found[:count]
