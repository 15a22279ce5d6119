"""Networks that others measured, all of a space or many: what a search would find is known.

The files are their authors', and not part of this project.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from records import published

from supernet.predict.files import read_genes
from supernet.space import Genes, Head, Space, Stage, Stem, load_space

__all__ = ["LAYERS", "TRUTHS", "Truth", "accel_nasbench", "nasbench_macro"]

LAYERS = 8


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truth:
    """Networks of a space, what each has, and the second thing that counts.

    Args:
        space: of the networks.
        genes: shape ``(N, genes)``.
        top1: percent, shape ``(N,)``.
        second: that is known without a measurement, the more the better, shape ``(N,)``.
        name: of it.
        unit: of it.
    """

    space: Space
    genes: Genes
    top1: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]
    name: str
    unit: str


def accel_nasbench() -> Truth:
    """4,138 networks: ImageNet top-1 under one training proxy, images/s on an A100."""
    path = published("accuracy/accel_nasbench_mnasnet.npz")
    space = load_space("mnasnet_accel")
    with np.load(path) as data:
        top1, speed = data["top1"], data["throughput_a100"]
    known = np.isfinite(top1) & np.isfinite(speed)
    return Truth(
        space=space,
        genes=read_genes(path, space)[known],
        top1=top1[known],
        second=speed[known],
        name="throughput",
        unit="images/s",
    )


def nasbench_macro() -> Truth:
    """All 6,561 networks of eight layers with one of three operators: CIFAR-10 top-1, FLOPs."""
    with np.load(published("accuracy/nasbench_macro.npz")) as data:
        genes, top1, flops = data["arch"], data["mean_acc"], data["flops"]
    space = Space(
        name="macro",
        resolutions=(32,),
        stem=Stem(width=(16,)),
        stages=(Stage(width=(16,), depth=(1,), expand=(2.0, 3.0, 4.0)),) * LAYERS,
        head=Head(),
    )
    return Truth(
        space=space,
        genes=genes,
        top1=top1,
        second=(flops.max() - flops) / 1e6,
        name="saved",
        unit="M FLOPs",
    )


TRUTHS: dict[str, Callable[[], Truth]] = {"accel": accel_nasbench, "macro": nasbench_macro}
"""By the name that a command gives them."""
