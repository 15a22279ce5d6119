"""The fused update is torch's plain one, also for weights that are trained later than others."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from supernet.train import Phase, Recipe
from supernet.train.optimize import Optimizer

LR = 0.1


def recipe(**changes: Any) -> Recipe:
    return Recipe(
        name="any", weight_decay=0.01, phases=(Phase(name="a", epochs=1, lr=1),), **changes
    )


def networks() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    first, second = nn.Linear(5, 3), nn.Linear(5, 3)
    second.load_state_dict(first.state_dict())
    return first, second


def give_gradients(network: nn.Linear, step: int) -> None:
    """The bias has none in the first two steps."""
    torch.manual_seed(step)
    network.weight.grad = torch.randn(3, 5)
    network.bias.grad = torch.randn(3) if step > 1 else None


def plain(network: nn.Linear, **changes: Any) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [
        {"params": [network.weight], "weight_decay": 0.01},
        {"params": [network.bias]},
    ]
    if changes.get("optimizer") == "adamw":
        return torch.optim.AdamW(groups, LR, (0.9, 0.999), weight_decay=0, foreach=False)
    momentum = changes.get("momentum", 0.9)
    return torch.optim.SGD(groups, LR, momentum, nesterov=momentum > 0, foreach=False)


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.0}, {"optimizer": "adamw"}], ids=str)
def test_weights_change_as_by_torchs_plain_optimisers(changes: dict[str, Any]) -> None:
    ours, theirs = networks()
    optimizer, expected = Optimizer(ours, recipe(**changes), "cpu"), plain(theirs, **changes)
    for step in range(5):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        assert optimizer.step(LR)
        expected.step()
        torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("changes", [{}, {"clip_value": 1.0}, {"clip_norm": 1.0}], ids=str)
def test_gradients_that_are_not_finite_are_left_out_however_they_are_clipped(
    changes: dict[str, Any],
) -> None:
    network, before = networks()
    optimizer = Optimizer(network, recipe(non_finite="skip", **changes), "cpu")
    give_gradients(network, 2)
    assert network.bias.grad is not None
    network.bias.grad[0] = torch.inf
    assert not optimizer.step(LR)
    assert torch.equal(network.weight, before.weight)
    give_gradients(network, 2)
    assert optimizer.step(LR)
    assert not torch.equal(network.weight, before.weight)


def test_a_state_in_which_some_weights_have_no_momentum_is_gone_on_from() -> None:
    """As checkpoints had it when the update was not fused."""
    ours, theirs = networks()
    optimizer, expected = Optimizer(ours, recipe(), "cpu"), plain(theirs)
    give_gradients(theirs, 0)
    expected.step()
    ours.load_state_dict(theirs.state_dict())
    optimizer.load({"optimizer": copy.deepcopy(expected.state_dict()), "scaler": {}})
    for step in (1, 2, 3):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimizer.step(LR)
        expected.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-5, atol=1e-7)
