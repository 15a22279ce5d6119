"""Which subnets a training step trains: a function of the seed and the step alone.

Every process of a distributed run, and a run that was resumed, therefore trains the
same subnets.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from supernet.space import Domain, Genes, Space, canonical, macs_of
from supernet.space.layout import Dimension, layout_of
from supernet.train.recipe import Elastic, Phase

__all__ = [
    "ELASTIC",
    "lowest_allowed",
    "macs_neighbours",
    "phase_domain",
    "phase_genes",
    "step_rng",
]

ELASTIC: Mapping[str, str] = {
    "resolution": "resolution",
    "kernel": "kernel",
    "start": "kernel",
    "depth": "depth",
    "expand": "expand",
    "heads": "expand",
    "key_size": "expand",
    "width": "width",
    "out": "width",
    "features": "width",
    "block": "operator",
    "se": "operator",
    "shortcut": "operator",
    "inputs": "operator",
    "left": "operator",
    "right": "operator",
}
"""The field of `Elastic` that says how much of a kind of gene is sampled."""

_POOL, _BINS = 512, 64


def step_rng(seed: int, purpose: str, step: int, *within: int) -> np.random.Generator:
    """The generator of one step, or of what `within` counts in it.

    Streams of different purposes are independent.
    """
    return np.random.default_rng([seed, int.from_bytes(purpose.encode(), "little"), step, *within])


def lowest_allowed(space: Space, elastic: Elastic) -> npt.NDArray[np.int64]:
    """Lowest choice that each gene may take in a phase, shape ``(G,)``."""
    layout = layout_of(space)
    counts = [getattr(elastic, ELASTIC[gene.kind]) for gene in layout.genes]
    allowed = np.array(counts, dtype=np.int64)
    return np.where(allowed == 0, 0, np.maximum(layout.num_choices - allowed, 0))


def phase_domain(space: Space, phase: Phase) -> Domain:
    """The subnets that a phase may train."""
    low, high = lowest_allowed(space, phase.elastic), layout_of(space).num_choices
    return Domain(space, tuple(tuple(range(a, b)) for a, b in zip(low.tolist(), high.tolist())))


def phase_genes(space: Space, phase: Phase, seed: int, step: int) -> Genes:
    """The subnets of one step, shape ``(len(phase.subnets), G)``.

    "largest" and "smallest" are the corners of what the phase allows, all others random
    (for "best_up" and "worst_up" the first of their `macs_neighbours`). All subnets of a step see
    the images at one resolution, that of the first of them.
    """
    layout = layout_of(space)
    low, high = lowest_allowed(space, phase.elastic), layout.num_choices
    rng = step_rng(seed, "subnets", step)
    genes = rng.integers(low, high, size=(len(phase.subnets), len(low)), dtype=np.int8)
    for row, kind in zip(genes, phase.subnets):
        if kind in ("largest", "smallest"):
            row[:] = high - 1 if kind == "largest" else low
    if layout.resolution.column >= 0:
        genes[:, layout.resolution.column] = _size(layout.resolution, phase, low, rng)
    return canonical(space, genes)


def _size(
    sizes: Dimension, phase: Phase, low: npt.NDArray[np.int64], rng: np.random.Generator
) -> int:
    """The index of the input size that a step trains at."""
    first, last = int(low[sizes.column]), len(sizes.choices)
    if phase.size_share == "steps":
        return int(rng.integers(first, last, dtype=np.int8))
    odds = np.array(sizes.choices[first:], dtype=np.float64) ** -2
    return int(rng.choice(np.arange(first, last), p=odds / odds.sum()))


def macs_neighbours(space: Space, phase: Phase, genes: Genes, seed: int, step: int) -> Genes:
    """A subnet and random ones with about as many MACs, shape ``(candidates, G)``.

    Drawing one subnet and then others from its bin of MACs is drawing the bin as often as
    random subnets fall into it (AttentiveNAS, arXiv:2011.09011, section 3.2). A bin is a
    64th of what the phase's subnets span, there 25 of 1,736 M.

    Args:
        space: of the genes.
        phase: what it allows is drawn from.
        genes: the subnet, shape ``(1, G)``; its resolution is kept.
        seed: of the training.
        step: of the training.
    """
    low, high = lowest_allowed(space, phase.elastic), layout_of(space).num_choices
    rng = step_rng(seed, "rivals", step)  # another word would draw other subnets
    pool = rng.integers(low, high, size=(_POOL, len(low)), dtype=np.int8)
    column = layout_of(space).resolution.column
    if column >= 0:
        pool[:, column] = genes[0, column]
    pool = canonical(space, pool)
    macs = macs_of(space, np.concatenate([genes, pool]))
    bins = (macs - macs.min()) * _BINS // max(1, int(np.ptp(macs)) + 1)
    # all of its bin, then the nearest others where the bin holds too few
    order = np.argsort(np.abs(bins[1:] - bins[0]), kind="stable")
    return np.concatenate([genes, pool[order[: phase.candidates - 1]]])
