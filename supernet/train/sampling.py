"""Which subnets a training step trains: a function of the seed and the step alone.

Every process of a distributed run, and a run that was resumed, therefore trains the
same subnets.
"""

import numpy as np
import numpy.typing as npt

from supernet.space import Genes, Space, canonical
from supernet.space.layout import layout_of
from supernet.train.recipe import Elastic, Phase

__all__ = ["admitted", "phase_genes", "step_rng"]


def step_rng(seed: int, purpose: str, step: int) -> np.random.Generator:
    """The generator of one step; streams of different purposes are independent."""
    return np.random.default_rng([seed, int.from_bytes(purpose.encode(), "little"), step])


def admitted(space: Space, elastic: Elastic) -> npt.NDArray[np.int64]:
    """Lowest choice that each gene may take in a phase, shape ``(G,)``."""
    layout = layout_of(space)
    counts = {
        "resolution": elastic.resolution,
        "kernel": elastic.kernel,
        "depth": elastic.depth,
        "expand": elastic.expand,
        "width": elastic.width,
        "out": elastic.width,
        "features": elastic.width,
        "block": elastic.operator,
        "se": elastic.operator,
        "shortcut": elastic.operator,
    }
    allowed = np.array([counts[gene.name.split(".")[-1]] for gene in layout.genes], dtype=np.int64)
    return np.where(allowed == 0, 0, np.maximum(layout.num_choices - allowed, 0))


def phase_genes(space: Space, phase: Phase, seed: int, step: int) -> Genes:
    """The subnets of one step, shape ``(len(phase.subnets), G)``.

    "largest" and "smallest" are the corners of what the phase admits. All subnets
    of a step see the images at one resolution, that of the first of them.
    """
    layout = layout_of(space)
    low, high = admitted(space, phase.elastic), layout.num_choices
    rng = step_rng(seed, "subnets", step)
    genes = rng.integers(low, high, size=(len(phase.subnets), len(low)), dtype=np.int8)
    for row, kind in zip(genes, phase.subnets):
        if kind != "random":
            row[:] = high - 1 if kind == "largest" else low
    if layout.resolution.column >= 0:
        column = layout.resolution.column
        genes[:, column] = rng.integers(low[column], high[column], dtype=np.int8)
    return canonical(space, genes)
