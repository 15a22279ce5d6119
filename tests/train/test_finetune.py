"""A network is finetuned in the memory that its supernet was trained in."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from supernet.data import Dataset
from supernet.elastic.depthwise import has_kernel
from supernet.train import Recipe
from supernet.train.finetune import finetune, finetune_recipe


class Plain(nn.Module):
    """A network without batch norm, which notes how many images it reads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(28 * 28, 10)
        self.read: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, 28, 28)`` to ``(N, 10)``."""
        self.read.append(len(x))
        out: Tensor = self.linear(x.flatten(1))
        return out


@pytest.mark.parametrize(("batch_size", "expected"), [(32, 8), (256, 40)])
def test_parts_of_a_step_are_read_one_after_another(
    dataset: Dataset, recipe: Recipe, batch_size: int, expected: int
) -> None:
    """Also where there are fewer images than a batch; the weights are those of one part."""
    networks = []
    for parts in (1, 4):
        torch.manual_seed(0)
        network = Plain()
        asked = finetune_recipe(replace(recipe, batch_size=batch_size, accumulate=parts), 1)
        finetune(network, dataset, 28, asked)
        networks.append(network)
    whole, cut = networks
    assert set(whole.read) == {4 * expected}
    assert set(cut.read) == {expected}
    for ours, theirs in zip(cut.parameters(), whole.parameters()):
        torch.testing.assert_close(ours, theirs)


class Depthwise(nn.Module):
    """A network with a depthwise convolution, which notes how its gradient is found."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, 2, 1)
        self.wide = nn.Conv2d(4, 4, 5, 1, 2, groups=4, bias=False)
        self.linear = nn.Linear(4, 10)
        self.found: set[str] = set()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, 28, 28)`` to ``(N, 10)``."""
        out = self.wide(self.conv(x))
        assert out.grad_fn is not None
        self.found.add(out.grad_fn.name())
        scores: Tensor = self.linear(out.mean((2, 3)))
        return scores


@pytest.mark.skipif(not has_kernel(), reason="supernet[fast] is not installed")
def test_depthwise_convolutions_are_as_fast_as_in_a_supernet(
    dataset: Dataset, recipe: Recipe
) -> None:
    network = Depthwise().to(memory_format=torch.channels_last)
    finetune(network, dataset, 28, finetune_recipe(recipe, 1))
    assert network.found == {"_DepthwiseBackward"}
    assert not any("forward" in vars(module) for module in network.modules())
