"""A space around a network of somebody else, which is its largest subnet."""

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from supernet.errors import ConfigError
from supernet.models import Supernet, load_pretrained, network_channels
from supernet.models.own import is_own, own_network
from supernet.models.published import LIBRARIES, build_network, check_weights, input_size
from supernet.models.recognise import Row, recognise
from supernet.space import Space, largest_subnet, slot_operators
from supernet.space.identify import fixed_space
from supernet.space.widen import Freedom, widened

__all__ = ["Converted", "Group", "convert", "network_at", "shaken"]

_STEP = 32  # of traced sizes: even at each of five strides


@dataclass(frozen=True, slots=True)
class Group:
    """A stem, a stage or a head."""

    name: str
    rows: tuple[Row, ...]
    """Its operators with the layers of the network."""
    freedom: Freedom


@dataclass(frozen=True, slots=True)
class Converted:
    """A network as a space."""

    space: Space
    groups: tuple[Group, ...]
    difference: float
    """Largest difference between the outputs of the network and of the largest subnet with the
    same random weights, as a share of the largest output; NaN where it was not asked for."""


def convert(source: str, network: nn.Module, *, size: int, check: bool = True) -> Converted:
    """A space whose largest subnet is a network, seen to be so on a random image.

    Args:
        source: what it is called.
        network: left as it is; on the device ``meta`` only where nothing is checked.
        size: pixels of the images that it reads.
        check: whether to run it and the largest subnet, both with the same weights.

    Raises:
        ConfigError: a layer that no kind of block has, by name, no path that is the same for all
            images, or weights that are not finite or not in single precision.
    """
    check_weights(network)
    traced = -(-size // _STEP) * _STEP
    image = torch.empty(1, network_channels(network), traced, traced, device="meta")
    try:
        shapes = copy.deepcopy(network).to("meta")
        tested = shaken(copy.deepcopy(network)) if check else None
    except Exception as error:  # noqa: BLE001  # whatever others wrote into their networks
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ConfigError(f"{source}: the network cannot be copied: {reason}") from None
    found = recognise(shapes, image)
    named = re.sub(r"[^A-Za-z0-9_.-]+", "_", re.split(r"[:/]", source)[-1])
    layers = [row.layers for row in found.rows]
    fixed = fixed_space(named, found.operators, bn_eps=found.bn_eps, layers=layers)
    space, freedoms = widened(fixed, resolution=size)
    difference = math.nan if tested is None else _difference(space, tested)
    return Converted(space, _groups(space, found.rows, freedoms), difference)


@torch.no_grad()
def shaken(network: nn.Module) -> nn.Module:
    """A network whose batch norms have random weights and statistics.

    Untrained ones are often 0 where a block ends: whatever it computes would look right. So are
    weights of some layers, such as a new classifier, which become random too.
    """
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            values = [module.weight, module.bias, module.running_mean, module.running_var]
            for value, low in zip(values, (0.5, -0.5, -0.5, 0.5)):
                if value is not None:
                    drawn = torch.rand(value.shape, generator=generator)
                    value.copy_(drawn + low)
    for weights in network.parameters():
        if weights.ndim > 1 and not weights.any():
            drawn = torch.randn(weights.shape, generator=generator)
            weights.copy_(drawn / math.sqrt(weights[0].numel()))
    return network


def _groups(space: Space, rows: Sequence[Row], freedoms: Sequence[Freedom]) -> tuple[Group, ...]:
    chosen = slot_operators(space, largest_subnet(space))
    by_part: dict[str, list[Row]] = {}
    for (slot, _), row in zip(chosen, rows, strict=True):
        stage = f"stage {slot.place.stage}" if slot.place.part == "stage" else slot.place.part
        by_part.setdefault(stage, []).append(row)
    return tuple(
        Group(part, tuple(own), freedom)
        for (part, own), freedom in zip(by_part.items(), freedoms, strict=True)
    )


@torch.no_grad()
def _difference(space: Space, network: nn.Module) -> float:
    supernet = Supernet(space)
    load_pretrained(supernet, network)
    size = min(space.resolutions)
    image = torch.randn(
        1, space.in_channels, size, size, generator=torch.Generator().manual_seed(1)
    )
    supernet.activate(replace(supernet.largest, resolution=size))
    expected = network.eval()(image)
    found = supernet.eval()(image)
    largest = expected.abs().max().clamp_min(torch.finfo(expected.dtype).tiny)
    return float((found - expected).abs().max() / largest)


def network_at(source: str, *, size: int | None = None) -> tuple[nn.Module, int]:
    """A network with random weights, and the size of its images.

    Args:
        source: ``torchvision:NAME``, ``timm:NAME``, or ``FILE.py:FUNCTION``: the file is run,
            and the function, called without arguments, gives the network.
        size: in pixels; the network's own when not given, and 224 where it says none.

    Raises:
        ConfigError: no such network or function.
        FileFormatError: no such file, or one that does not run.
        MissingPackageError: timm is not installed.
    """
    if source.partition(":")[0] in LIBRARIES:
        return build_network(source), size or input_size(source)
    if not is_own(source):
        raise ConfigError(f"{source!r}: expected torchvision:NAME, timm:NAME or FILE.py:FUNCTION")
    return own_network(source), size or 224
