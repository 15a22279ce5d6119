"""Recalibration sets batch norm statistics to the mean over batches, and nothing else."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from supernet.errors import ConfigError
from supernet.evaluate import recalibrate
from supernet.models import Network, Supernet, extract
from supernet.space import Space, decode, sample


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.ReLU(), nn.Dropout(0.5)
    )
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    torch.nn.init.normal_(norm.running_mean)
    return network


@pytest.fixture
def batches() -> list[torch.Tensor]:
    torch.manual_seed(1)
    sizes = ((5, 1.0), (9, 2.0), (2, 4.0))
    return [torch.randn(count, 3, 6, 6) * scale + scale for count, scale in sizes]


def norm_of(network: nn.Sequential) -> nn.BatchNorm2d:
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def test_statistics_are_the_mean_over_the_batches_weighted_by_their_size(
    network: nn.Sequential, batches: list[torch.Tensor]
) -> None:
    recalibrate(network, batches)
    norm = norm_of(network)
    with torch.no_grad():
        seen = [network[0](batch).transpose(0, 1).flatten(1) for batch in batches]
    shares = torch.tensor([5, 9, 2])[:, None] / 16
    mean = (torch.stack([values.mean(1) for values in seen]) * shares).sum(0)
    variance = (torch.stack([values.var(1, unbiased=False) for values in seen]) * shares).sum(0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)


def test_earlier_statistics_do_not_count(
    network: nn.Sequential, batches: list[torch.Tensor]
) -> None:
    recalibrate(network, batches)
    norm = norm_of(network)
    assert norm.running_mean is not None
    first = norm.running_mean.clone()
    norm.running_mean.fill_(100.0)
    recalibrate(network, batches)
    assert (norm.running_mean == first).all()


@pytest.mark.parametrize("training", [True, False])
def test_mode_momentum_and_weights_stay(
    network: nn.Sequential, batches: list[torch.Tensor], training: bool
) -> None:
    network.train(training)
    weights = [parameter.clone() for parameter in network.parameters()]
    recalibrate(network, batches)
    assert [module.training for module in network.modules()] == [training] * 5
    assert norm_of(network).momentum == 0.3
    assert all((a == b).all() for a, b in zip(weights, network.parameters()))
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_momentum_are_restored_after_an_error(
    network: nn.Sequential, batches: list[torch.Tensor], training: bool
) -> None:
    network.train(training)
    with pytest.raises(RuntimeError, match="channels"):
        recalibrate(network, [batches[0], torch.zeros(2, 7, 6, 6)])
    assert [module.training for module in network.modules()] == [training] * 5
    assert norm_of(network).momentum == 0.3


def test_later_layers_see_what_earlier_ones_give_in_recalibration() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    recalibrate(network, [torch.randn(50, 2, 4, 4) * 7 + 3])
    second = network[1]
    assert isinstance(second, nn.BatchNorm2d)
    assert second.running_mean is not None
    assert second.running_var is not None
    torch.testing.assert_close(second.running_mean, torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(second.running_var, torch.ones(2), atol=2e-3, rtol=0)


def seen(network: Network, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean and biased variance of what every batch norm is given in train mode."""
    found = {}
    reference = copy.deepcopy(network).train()
    for name, module in reference.named_modules():
        if isinstance(module, nn.BatchNorm2d):

            def keep(_: nn.Module, inputs: tuple[torch.Tensor], name: str = name) -> None:
                values = inputs[0].transpose(0, 1).flatten(1)
                found[f"{name}.running_mean"] = values.mean(1)
                found[f"{name}.running_var"] = values.var(1, unbiased=False)

            module.register_forward_pre_hook(keep)
    with torch.no_grad():
        reference(images)
    return found


@pytest.mark.parametrize("name", ["tiny_space", "mixed_space"])
def test_statistics_of_subnets_are_those_that_plain_torch_sees(
    name: str, request: pytest.FixtureRequest, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    space: Space = request.getfixturevalue(name)
    supernet = Supernet(space).double()
    images = torch.randn(6, 3, 24, 24, dtype=torch.float64) * 3 + 1
    for subnet in decode(space, sample(space, 4, rng)):
        network = extract(supernet, subnet)
        expected, parts = seen(network, images), list(network.named_modules())
        recalibrate(network, [images])
        assert list(network.named_modules()) == parts
        state = network.state_dict()
        assert expected
        for key, values in expected.items():
            torch.testing.assert_close(state[key], values, rtol=1e-9, atol=1e-12)


def test_the_parts_of_a_network_are_restored_after_an_error(supernet: Supernet) -> None:
    network = extract(supernet, supernet.largest)
    parts = list(network.named_modules())
    with pytest.raises(RuntimeError, match="channels"):
        recalibrate(network, [torch.zeros(2, 7, 16, 16)])
    assert list(network.named_modules()) == parts


class Expanding(nn.Module):
    """Pointwise convolution, norm and activation under the names that ours have."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1, **options)
        self.norm, self.act = nn.BatchNorm2d(8), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.act(self.norm(self.conv(x)))
        return found


@pytest.mark.parametrize("options", [{"bias": False}, {"bias": True}, {"padding": 1}])
def test_a_convolution_with_a_bias_or_a_border_is_measured_with_it(
    options: dict[str, Any], batches: list[torch.Tensor]
) -> None:
    torch.manual_seed(0)
    network = Expanding(**options)
    recalibrate(network, batches[:1])
    with torch.no_grad():
        seen = network.conv(batches[0]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(network.norm.running_mean, seen.mean(1))
    torch.testing.assert_close(network.norm.running_var, seen.var(1, unbiased=False))


@pytest.mark.parametrize("count", [1, 2])
def test_one_value_a_channel_is_refused_in_plain_words(network: nn.Sequential, count: int) -> None:
    norm = norm_of(network)
    before = norm.running_var
    assert before is not None
    before = before.clone()
    if count == 2:
        recalibrate(network, [torch.randn(2, 3, 3, 3)])
        assert norm.running_var is not None
        assert bool(norm.running_var.isfinite().all())
        return
    with pytest.raises(ConfigError, match="has one value a channel") as told:
        recalibrate(network, [torch.randn(1, 3, 3, 3)])
    assert "two training images" in told.value.hint
    torch.testing.assert_close(norm.running_var, before)
    assert not norm._forward_pre_hooks
