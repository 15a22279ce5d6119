"""MACs and parameters equal what thop and torch's own counter find in the network."""

from dataclasses import replace

import numpy as np
import pytest
import thop
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from supernet.models import Attention, Network, Scale
from supernet.models._unfilled import Unfilled
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
from tests.shipped import SHIPPED


def networks(space: Space, count: int) -> list[list[Operator]]:
    genes = sample(space, count, np.random.default_rng(5))
    subnets = decode(space, np.concatenate([smallest(space), largest(space), genes]))
    return [operators(space, subnet) for subnet in subnets]


def image(found: list[Operator]) -> torch.Tensor:
    first = found[0]
    return torch.zeros(1, first.in_channels, first.height, first.width)


def network_of(found: list[Operator]) -> nn.Module:
    """With weights of no meaning: drawing them takes as long as using them."""
    with Unfilled():
        network = Network(found).eval()
    return network.to_empty(device="cpu")


@pytest.fixture(params=["tiny", "mixed", "valid", "attending", *SHIPPED])
def space(
    request: pytest.FixtureRequest, tiny_space: Space, mixed_space: Space, attending_space: Space
) -> Space:
    own = {"tiny": tiny_space, "mixed": mixed_space, "attending": attending_space}
    own["valid"] = replace(mixed_space, stem=replace(mixed_space.stem, kernel=5, valid=True))
    return own[request.param] if request.param in own else load_space(request.param)


def test_costs_equal_those_of_torchs_flop_counter(space: Space) -> None:
    for found in networks(space, 2):
        network = network_of(found)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(image(found))
        assert counter.get_total_flops() == 2 * total_macs(found)  # one multiply, one add
        assert sum(p.numel() for p in network.parameters()) == total_params(found)


def test_costs_equal_those_of_thop(space: Space) -> None:
    """thop's two extras are left out here.

    It counts batch norm, two operations a value, which is folded into the convolution
    in every deployed network; and an average pooling as one operation an output, where
    the convention of the field counts multiply-adds of convolutions and linear layers.
    """

    def nothing(module: nn.Module, inputs: object, outputs: object) -> None:
        """Count no operation."""

    def products(module: Attention, inputs: tuple[torch.Tensor, ...], _: object) -> None:
        """Count both matrix products of an attention, which thop knows only as modules."""
        query, key, value = inputs
        pairs = query[0, 0].numel() * key[0, 0].numel()
        count = module.heads * pairs * (key.shape[1] + value.shape[1])
        module.total_ops = torch.as_tensor(module.total_ops) + count

    smallest_size = replace(space, resolutions=space.resolutions[:1])
    for found in networks(smallest_size, 0):
        macs, params = thop.profile(
            network_of(found),
            inputs=(image(found),),
            custom_ops={
                nn.BatchNorm2d: nothing,
                nn.AvgPool2d: nothing,
                Scale: nothing,
                Attention: products,
            },
            verbose=False,
        )
        assert macs == total_macs(found)
        assert params == total_params(found)


def test_every_layer_makes_the_shape_that_its_operator_says(tiny_space: Space) -> None:
    for found in networks(tiny_space, 4):
        x = image(found)
        for operator, layer in zip(found, Network(found).eval().layers):
            x = layer(x)
            expected = (1, operator.out_channels, operator.out_height, operator.out_width)
            assert x.shape == (expected if x.dim() == 4 else expected[:2])
