"""What must hold, number 1: the extracted network computes what the active subnet does."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from supernet.elastic import ElasticBlock
from supernet.errors import ConfigError
from supernet.models import Network, Supernet, extract
from supernet.space import (
    Space,
    Stage,
    Subnet,
    decode,
    largest,
    largest_subnet,
    load_space,
    sample,
    smallest,
)

MakeSupernet = Callable[[Space], Supernet]
TOLERANCE = 1e-5


def images(space: Space, subnet: Subnet, count: int = 4) -> Tensor:
    return torch.randn(count, space.in_channels, subnet.resolution, subnet.resolution)


def difference(first: Tensor, second: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    first, second = first.detach(), second.detach()
    return float((first - second).abs().max() / second.abs().max())


def states(supernet: Supernet, network: Network) -> list[tuple[str, Tensor, Tensor]]:
    """Every value of the extracted network beside that of the active subnet."""
    found = []
    for elastic, layer in zip(supernet.active_modules, network.layers):
        if isinstance(elastic, ElasticBlock):
            state = elastic.active_state()
            plain = layer.state_dict()
            names = [name for name in plain if not name.endswith("num_batches_tracked")]
            assert set(names) == set(state)
            found += [(name, plain[name], state[name]) for name in names]
    return found


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12)
def test_extracted_equals_active_in_eval_mode(
    any_space: Space, make_supernet: MakeSupernet, seed: int
) -> None:
    supernet = make_supernet(any_space).eval()
    subnet = decode(any_space, sample(any_space, 1, np.random.default_rng(seed)))[0]
    network = extract(supernet, subnet)
    supernet.activate(subnet)
    x = images(any_space, subnet)
    with torch.no_grad():
        assert difference(network(x), supernet(x)) <= TOLERANCE
    assert not network.training


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12)
def test_extracted_equals_active_through_a_training_step(
    any_space: Space, make_supernet: MakeSupernet, seed: int
) -> None:
    supernet = make_supernet(any_space).double().train()  # a relu at zero may go either way
    subnet = decode(any_space, sample(any_space, 1, np.random.default_rng(seed)))[0]
    network = extract(supernet, subnet)
    supernet.activate(subnet)
    x = images(any_space, subnet, 8).double()
    out, plain = supernet(x), network(x)
    assert network.training
    assert difference(plain, out) <= 1e-10
    for name, found, expected in states(supernet, network):  # batch norm statistics too
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10, msg=name)
    out.square().mean().backward()
    plain.square().mean().backward()
    stem, plain_stem = supernet.active_modules[0].conv.weight, network.layers[0].conv.weight  # type: ignore[union-attr]  # lists of modules do not tell their kinds
    assert isinstance(stem, nn.Parameter)
    assert isinstance(plain_stem, nn.Parameter)
    assert stem.grad is not None
    assert plain_stem.grad is not None
    assert difference(stem.grad[: subnet.stem_width], plain_stem.grad) <= 1e-10


@pytest.mark.parametrize("end", [largest, smallest])
def test_the_ends_of_a_space_can_be_extracted(
    any_space: Space,
    make_supernet: MakeSupernet,
    end: Callable[[Space], np.ndarray],
) -> None:
    supernet = make_supernet(any_space).eval()
    subnet = decode(any_space, end(any_space))[0]
    network = extract(supernet, subnet)
    supernet.activate(subnet)
    x = images(any_space, subnet)
    assert difference(network(x), supernet(x)) <= TOLERANCE


@pytest.mark.parametrize("training", [False, True])
def test_images_may_have_other_sizes_than_the_subnet(
    any_space: Space, make_supernet: MakeSupernet, training: bool
) -> None:
    """Whether rows and columns are odd or even somewhere is then another matter."""
    supernet = make_supernet(any_space).train(training).double()
    for subnet in decode(any_space, sample(any_space, 3, np.random.default_rng(2))):
        network = extract(supernet, subnet)
        supernet.activate(subnet)
        for size in [(33, 47), (48, 48), (50, 64), (subnet.resolution + 1, subnet.resolution - 3)]:
            x = torch.randn(2, any_space.in_channels, *size).double()
            with torch.no_grad():
                found, expected = network(x), supernet(x)
            assert difference(found, expected) <= 1e-10, size


def test_so_they_may_where_shortcuts_pool(make_supernet: MakeSupernet) -> None:
    supernet = make_supernet(load_space("resnet50d")).eval()
    small = decode(supernet.space, smallest(supernet.space))[0]
    for resolution in (128, 144):
        subnet = replace(small, resolution=resolution)
        network = extract(supernet, subnet)
        supernet.activate(subnet)
        for size in (48, 64, 80, 161):
            x = torch.randn(1, 3, size, size)
            with torch.no_grad():
                assert difference(network(x), supernet(x)) <= TOLERANCE, size


@pytest.mark.parametrize("end", [largest, smallest])
def test_behind_a_stem_without_zeros_around(
    mixed_space: Space, make_supernet: MakeSupernet, end: Callable[[Space], np.ndarray]
) -> None:
    """All operators say the sizes that they see: its rows and columns are fewer than halves."""
    stem = replace(mixed_space.stem, kernel=5, valid=True)
    pooled = Stage(width=(16,), depth=(1,), stride=2, shortcut=("project",))
    space = replace(mixed_space, stem=stem, stages=(*mixed_space.stages, pooled))
    supernet = make_supernet(space).eval()
    subnet = decode(space, end(space))[0]
    network = extract(supernet, subnet)
    supernet.activate(subnet)
    x = images(space, subnet)
    with torch.no_grad():
        assert difference(network(x), supernet(x)) <= TOLERANCE
        for operator, layer in zip(network.operators, network.layers):
            assert x.dim() == 2 or x.shape[2:] == (operator.height, operator.width)
            x = layer(x)


def test_extraction_copies_the_weights_and_leaves_the_active_subnet(
    tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet(tiny_space)
    small, large = decode(tiny_space, np.concatenate([smallest(tiny_space), largest(tiny_space)]))
    supernet.activate(small)
    x = images(tiny_space, small)
    before, state = supernet.eval()(x), {k: v.clone() for k, v in supernet.state_dict().items()}
    network = extract(supernet, large)
    for values in network.parameters():
        values.data.fill_(7.0)
    assert supernet.subnet == small
    assert (supernet(x) == before).all()
    assert all((values == state[name]).all() for name, values in supernet.state_dict().items())


def test_an_extracted_network_has_plain_torch_layers_only(
    tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    network = extract(make_supernet(tiny_space), largest_subnet(tiny_space))
    assert not [m for m in network.modules() if type(m).__module__.startswith("supernet.elastic")]
    assert not [name for name in network.state_dict() if "transforms" in name]


def test_batch_norm_keeps_the_momentum_and_eps_of_the_space(make_supernet: MakeSupernet) -> None:
    space = replace(load_space("demo"), bn_momentum=0.25, bn_eps=1e-3)
    network = extract(make_supernet(space), largest_subnet(space))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.25, 1e-3)}


def test_dropout_goes_with_the_network(tiny_space: Space, make_supernet: MakeSupernet) -> None:
    supernet = make_supernet(tiny_space)
    supernet.dropout = 0.5
    network = extract(supernet, supernet.largest)
    assert network.dropout == 0.5
    x = images(tiny_space, supernet.largest)
    assert (network.train()(x) != network(x)).any()
    assert (network.eval()(x) == network(x)).all()


def test_a_subnet_of_another_space_is_not_extracted(
    tiny_space: Space, demo_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet(tiny_space)
    with pytest.raises(ConfigError, match=r"the subnet is of space 'demo' .*not of 'tiny'"):
        extract(supernet, largest_subnet(demo_space))
    assert supernet.subnet == supernet.largest
