"""Supernets whose parameters or modules others replaced: they compute with the new ones."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from supernet.errors import ConfigError
from supernet.models import Supernet, extract, sort_channels
from supernet.space import Space, Subnet, decode, largest, sample, smallest

MakeSupernet = Callable[[Space], Supernet]
Outputs = list[Tensor]


def _subnets(space: Space) -> list[Subnet]:
    drawn = sample(space, 6, np.random.default_rng(0))
    return decode(space, np.concatenate([largest(space), smallest(space), drawn]))


def _outputs(supernet: Supernet, forward: Callable[[Tensor], Tensor]) -> Outputs:
    found = []
    for subnet in _subnets(supernet.space):
        supernet.activate(subnet)
        generator = torch.Generator().manual_seed(1)
        size = subnet.resolution
        found.append(
            forward(torch.randn(2, supernet.space.in_channels, size, size, generator=generator))
        )
    return found


def _check(found: Outputs, expected: Outputs) -> None:
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.fixture
def trained(any_space: Space, make_supernet: MakeSupernet) -> Supernet:
    """What the weights are of."""
    return make_supernet(any_space).eval()


@pytest.fixture
def used(any_space: Space) -> Supernet:
    """Of other weights, and with every form put aside."""
    torch.manual_seed(7)
    supernet = Supernet(any_space).eval()
    for subnet in _subnets(any_space):
        supernet.activate(subnet)
    return supernet


def test_assigned_parameters_are_used(trained: Supernet, used: Supernet) -> None:
    used.load_state_dict(trained.state_dict(), assign=True)
    _check(_outputs(used, used), _outputs(trained, trained))


def test_parameters_of_a_functional_call_are_used(trained: Supernet, used: Supernet) -> None:
    state = dict(trained.state_dict())
    before = _outputs(used, used)
    found = _outputs(used, lambda x: torch.func.functional_call(used, state, (x,)))
    _check(found, _outputs(trained, trained))
    _check(_outputs(used, used), before)


def test_a_supernet_made_without_memory_is_filled_later(trained: Supernet) -> None:
    with torch.device("meta"):
        empty = Supernet(trained.space).eval()
    assert all(p.is_meta for p in empty.parameters())
    empty.to_empty(device="cpu").load_state_dict(trained.state_dict())
    _check(_outputs(empty, empty), _outputs(trained, trained))


def test_gradients_go_to_the_parameters_that_replaced_others(
    trained: Supernet, used: Supernet
) -> None:
    used.load_state_dict({k: v.clone() for k, v in trained.state_dict().items()}, assign=True)
    for supernet in (used, trained):
        supernet.activate(_subnets(supernet.space)[1])
        size = supernet.subnet.resolution
        supernet(torch.ones(2, supernet.space.in_channels, size, size)).square().sum().backward()
    expected = {n: p.grad for n, p in trained.named_parameters() if p.grad is not None}
    found = {n: p.grad for n, p in used.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


class _Half(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value / 2  # exact, so that twice the weights give the same outputs


def test_parametrised_weights_are_used(trained: Supernet, used: Supernet) -> None:
    doubled = {name: value * 2 for name, value in trained.state_dict().items()}
    names = [name for name, _ in used.named_parameters()]
    doubled |= {n: v for n, v in trained.state_dict().items() if n not in names}  # statistics
    used.load_state_dict(doubled)
    for name in names:
        path, _, last = name.rpartition(".")
        parametrize.register_parametrization(used.get_submodule(path), last, _Half())
    _check(_outputs(used, used), _outputs(trained, trained))
    subnet = _subnets(used.space)[3]
    x = torch.randn(2, used.space.in_channels, subnet.resolution, subnet.resolution)
    assert torch.equal(extract(used, subnet)(x), extract(trained, subnet)(x))


def test_channels_of_parametrised_weights_are_not_sorted_in_vain(used: Supernet) -> None:
    linear = used.active_modules[-1]
    parametrize.register_parametrization(linear, "weight", _Half())
    with pytest.raises(ConfigError, match=r"slots\.\w+\.weight is parametrised"):
        sort_channels(used)


class _Wrapper(nn.Module):
    """As those of fully sharded training are."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        out: Tensor = self.inner(x)
        return out


def test_modules_that_wrap_slots_are_run(trained: Supernet, used: Supernet) -> None:
    used.load_state_dict(trained.state_dict())
    for name, module in list(used.slots.items()):
        if not isinstance(module, nn.ModuleDict):
            used.slots[name] = _Wrapper(module)
    _check(_outputs(used, used), _outputs(trained, trained))
    wrappers = [m for m in used.modules() if isinstance(m, _Wrapper)]
    assert wrappers[0].calls == wrappers[-1].calls == len(_subnets(used.space))
    subnet = _subnets(used.space)[3]
    x = torch.randn(2, used.space.in_channels, subnet.resolution, subnet.resolution)
    assert torch.equal(extract(used, subnet)(x), extract(trained, subnet)(x))
