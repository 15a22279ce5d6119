"""MACs and parameters equal what thop and torch's own counter find in the network."""

import numpy as np
import pytest
import thop
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from supernet.models import Network
from supernet.space import (
    Operator,
    Space,
    decode,
    largest,
    load_space,
    operators,
    sample,
    smallest,
    total_macs,
    total_params,
)


def networks(space: Space, count: int) -> list[list[Operator]]:
    genes = sample(space, count, np.random.default_rng(5))
    subnets = decode(space, np.concatenate([smallest(space), largest(space), genes]))
    return [operators(space, subnet) for subnet in subnets]


def image(found: list[Operator], device: str) -> torch.Tensor:
    first = found[0]
    return torch.zeros(1, first.in_channels, first.height, first.width, device=device)


@pytest.mark.parametrize("name", ["tiny", "demo", "mobilenet_v3"])
def test_costs_equal_those_of_torchs_flop_counter(name: str, tiny_space: Space) -> None:
    space = tiny_space if name == "tiny" else load_space(name)
    for found in networks(space, 3):
        with torch.device("meta"):
            network = Network(found).eval()
        with FlopCounterMode(display=False) as counter:
            network(image(found, "meta"))
        assert counter.get_total_flops() == 2 * total_macs(found)  # one multiply, one add
        assert sum(p.numel() for p in network.parameters()) == total_params(found)


@pytest.mark.parametrize("name", ["tiny", "demo"])
def test_costs_equal_those_of_thop(name: str, tiny_space: Space) -> None:
    """thop also counts batch norm, which is folded into the convolutions: left out here."""
    space = tiny_space if name == "tiny" else load_space(name)

    def nothing(module: nn.Module, inputs: object, outputs: object) -> None:
        """Count no operation."""

    for found in networks(space, 2):
        macs, params = thop.profile(
            Network(found).eval(),
            inputs=(image(found, "cpu"),),
            custom_ops={nn.BatchNorm2d: nothing},
            verbose=False,
        )
        assert macs == total_macs(found)
        assert params == total_params(found)


def test_every_layer_makes_the_shape_that_its_operator_says(tiny_space: Space) -> None:
    for found in networks(tiny_space, 4):
        x = image(found, "cpu")
        for operator, layer in zip(found, Network(found).eval().layers):
            x = layer(x)
            expected = (1, operator.out_channels, operator.out_height, operator.out_width)
            assert x.shape == (expected if x.dim() == 4 else expected[:2])
