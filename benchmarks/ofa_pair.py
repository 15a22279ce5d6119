"""Once-for-All's supernets, built by its own package `ofa`, each next to ours."""

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from ofa.imagenet_classification.elastic_nn import networks
from torch import Tensor, nn

from supernet.models import Supernet
from supernet.models.ofa import load_ofa
from supernet.space import Space, Subnet, load_space

__all__ = [
    "REFEREES",
    "RESOLUTION",
    "Pair",
    "build",
    "difference",
    "random_images",
    "referee_arguments",
]

RESOLUTION = 96
"""Of images that give batch norms their statistics."""

_MOBILE = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
_RESNET = {
    "depth_list": [0, 1, 2],
    "expand_ratio_list": [0.2, 0.25, 0.35],
    "width_mult_list": [0.65, 0.8, 1.0],
}
REFEREES: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v3": functools.partial(
        networks.OFAMobileNetV3, width_mult=1.0, dropout_rate=0, **_MOBILE
    ),
    "mobilenet_v3_w1.2": functools.partial(
        networks.OFAMobileNetV3, width_mult=1.2, dropout_rate=0, **_MOBILE
    ),
    "proxyless": functools.partial(
        networks.OFAProxylessNASNets,
        width_mult=1.3,
        dropout_rate=0,
        bn_param=(0.1, 1e-3),
        **_MOBILE,
    ),
    "resnet50": functools.partial(networks.OFAResNets, dropout_rate=0, **_RESNET),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The referee's supernet and ours, with the same weights."""

    theirs: Any
    ours: Supernet

    @property
    def space(self) -> Space:
        """Of our supernet."""
        return self.ours.space

    def activate(self, subnet: Subnet) -> None:
        """Make `subnet` the one that both compute."""
        self.theirs.set_active_subnet(**referee_arguments(self, subnet))
        self.ours.activate(subnet)

    def train(self, training: bool) -> None:
        """Put both into train or into eval mode."""
        self.theirs.train(training)
        self.ours.train(training)

    def copy(self, dtype: torch.dtype = torch.float32) -> "Pair":
        """Both once more, in this precision."""
        theirs, ours = (copy.deepcopy(net).to(dtype) for net in (self.theirs, self.ours))
        return Pair(theirs=theirs, ours=ours)


def referee_arguments(pair: Pair, subnet: Subnet) -> dict[str, list[Any]]:
    """The subnet as the referee takes it: lists with every block, skipped ones included."""
    space, resnet = pair.space, pair.space.name == "resnet50"
    kernels, ratios, depths, widths = [], [], [], []
    for stage, chosen in list(zip(space.stages, subnet.stages))[0 if resnet else 1 :]:
        skipped = stage.max_depth - len(chosen.blocks)
        blocks = [*chosen.blocks, *[chosen.blocks[-1]] * skipped]
        kernels += [block.kernel for block in blocks]
        ratios += [block.expand for block in blocks]
        depths.append(len(chosen.blocks) - (stage.depth[0] if resnet else 0))
        widths.append(stage.width.index(chosen.width))
    if not resnet:
        return {"ks": kernels, "e": [int(ratio) for ratio in ratios], "d": depths}
    first, _, last = pair.theirs.input_stem
    stem = [first.out_channel_list.index(subnet.stem_width)]
    stem += [last.out_channel_list.index(subnet.stem_out)]
    return {"e": ratios, "d": [2 * subnet.stem_depth, *depths], "w": [*stem, *widths]}


def random_images(count: int, size: int) -> Tensor:
    """``(count, 3, size, size)``: blotches of their own colour, with noise.

    Plain noise would do less: pooling makes all images of it alike.
    """
    blotches = F.interpolate(torch.randn(count, 3, 7, 7), size=size, mode="bilinear")
    colour = torch.randn(count, 3, 1, 1)
    return 1.5 * blotches + colour + 0.3 * torch.randn(count, 3, size, size)


@torch.no_grad()
def build(name: str, folder: Path) -> Pair:
    """The referee with random weights, and ours loaded from its file.

    Batch norm statistics are those of the largest subnet, moved at random. With torch's
    initial weights and statistics of no network the signal dies out on its way: the logits
    of two images are then 1e-7 apart, and wrong weights in early blocks would go unseen.
    """
    theirs: Any = REFEREES[name]()
    for key, value in theirs.state_dict().items():
        if "matrix" in key:
            value.add_(0.1 * torch.randn_like(value))
        elif key.endswith("bias"):
            value.normal_(std=0.1)
        elif key.endswith("weight") and value.dim() == 1:
            value.uniform_(0.5, 1.5)
        elif key.endswith("weight"):
            value.normal_(std=(2 / value[0].numel()) ** 0.5)
    norms = [module for module in theirs.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    theirs.set_max_net()
    theirs.train()(random_images(16, RESOLUTION))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.add_(0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean))
        norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.5, 1.5))
    torch.save({"state_dict": theirs.state_dict()}, folder / f"{name}.pth")
    ours = Supernet(load_space(name))
    load_ofa(folder / f"{name}.pth", ours)
    return Pair(theirs=theirs, ours=ours)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as part of the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())
