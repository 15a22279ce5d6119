"""The supernet: activation, and where gradients go."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from supernet.elastic import ElasticChain, ElasticConv
from supernet.errors import ConfigError
from supernet.models import Supernet, extract
from supernet.space import (
    Block,
    Space,
    decode,
    largest,
    largest_subnet,
    params_of,
    sample,
    smallest,
)
from tests.cells import SMALL

MakeSupernet = Callable[[Space], Supernet]


def test_the_largest_subnet_is_active_at_first(any_space: Space) -> None:
    supernet = Supernet(any_space)
    assert supernet.subnet == largest_subnet(any_space)
    size = any_space.resolutions[-1]
    logits = supernet(torch.randn(2, any_space.in_channels, size, size))
    assert logits.shape == (2, any_space.num_classes)


def test_it_holds_the_weights_of_the_largest_subnet_and_the_kernel_matrices(
    tiny_space: Space,
) -> None:
    for transform in ("learned", "crop"):
        space = replace(tiny_space, kernel_transform=transform)
        supernet = Supernet(space)
        matrices = {n: p.numel() for n, p in supernet.named_parameters() if ".transforms." in n}
        total = sum(p.numel() for p in supernet.parameters())
        assert total - sum(matrices.values()) == params_of(space, largest(space))[0]
        assert bool(matrices) == (transform == "learned")


def test_classes_and_channels_may_be_those_of_the_data_set(tiny_space: Space) -> None:
    supernet = Supernet(tiny_space, num_classes=7, in_channels=1)
    assert supernet(torch.randn(2, 1, 16, 16)).shape == (2, 7)
    assert supernet.space.hash == tiny_space.hash
    supernet.activate(largest_subnet(tiny_space))  # the data set is no part of a subnet


def _pickled(supernet: Supernet) -> Supernet:
    found = pickle.loads(pickle.dumps(supernet))  # of our own
    assert isinstance(found, Supernet)
    return found


@pytest.fixture(params=["tiny", "mixed", "attending", "nasnet_mobile"])
def copied_space(
    request: pytest.FixtureRequest, tiny_space: Space, mixed_space: Space, attending_space: Space
) -> Space:
    own = {space.name: space for space in (tiny_space, mixed_space, attending_space)}
    return own[request.param] if request.param in own else SMALL[request.param]


@pytest.mark.parametrize("copied", [copy.deepcopy, _pickled])
def test_a_copy_computes_the_same_on_its_own(
    copied_space: Space, make_supernet: MakeSupernet, copied: Callable[[Supernet], Supernet]
) -> None:
    supernet = make_supernet(copied_space).eval()
    subnets = decode(copied_space, sample(copied_space, 5, np.random.default_rng(0)))
    for subnet in subnets[:3]:
        supernet.activate(subnet)
    other = copied(supernet)
    assert other.subnet == supernet.subnet
    assert other.layout is supernet.layout
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    for subnet in (supernet.subnet, *subnets, other.largest):
        supernet.activate(subnet)
        x = torch.randn(2, copied_space.in_channels, subnet.resolution, subnet.resolution)
        with torch.no_grad():
            expected = supernet(x)
            if subnet != other.subnet:
                assert not torch.equal(other(x), expected)  # it has a form of its own
                other.activate(subnet)
            assert torch.equal(other(x), expected)
            assert torch.equal(extract(other, subnet)(x), extract(supernet, subnet)(x))
    for value in other.parameters():
        value.data.fill_(7.0)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


def test_a_subnet_of_another_space_is_refused_and_nothing_changes(
    tiny_space: Space, demo_space: Space
) -> None:
    supernet = Supernet(tiny_space).eval()
    x = torch.randn(2, 3, 16, 16)
    before = supernet(x)
    with pytest.raises(ConfigError, match=r"the subnet is of space 'demo' .*not of 'tiny'"):
        supernet.activate(largest_subnet(demo_space))
    stage = supernet.subnet.stages[1]
    other = replace(stage, blocks=(Block(kernel=9, expand=2.0),))
    stages = (supernet.subnet.stages[0], other, supernet.subnet.stages[2])
    with pytest.raises(ConfigError, match=r"stage2\.block1\.kernel: must be one of 3, 5, 7"):
        supernet.activate(replace(supernet.subnet, stages=stages))
    assert supernet.subnet == largest_subnet(tiny_space)
    assert (supernet(x) == before).all()


def test_activation_leaves_no_trace_of_earlier_subnets(
    any_space: Space, make_supernet: MakeSupernet, rng: np.random.Generator
) -> None:
    used, fresh = make_supernet(any_space).eval(), make_supernet(any_space).eval()
    *before, last = decode(any_space, sample(any_space, 6, rng))
    for subnet in before:
        used.activate(subnet)
    used.activate(last)
    fresh.activate(last)
    x = torch.randn(2, any_space.in_channels, last.resolution, last.resolution)
    assert (used(x) == fresh(x)).all()


def test_gradients_reach_the_active_slices_only(
    any_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet(any_space).train()
    supernet.activate(decode(any_space, smallest(any_space))[0])
    size = any_space.resolutions[0]
    supernet(torch.randn(8, any_space.in_channels, size, size)).square().mean().backward()
    active = {id(module) for top in supernet.active_modules for module in top.modules()}
    convs = {n: m for n, m in supernet.named_modules() if isinstance(m, ElasticConv)}
    assert any(id(conv) not in active for conv in convs.values())
    for name, conv in convs.items():
        weight = conv.weight
        if id(conv) not in active:
            assert weight.grad is None
            continue
        if weight.grad is None:  # what this form of the block has not
            assert any(f".{part}." in name for part in ("se", "shortcut", "start", "middle"))
            continue
        inputs, outputs, _, (padding, _), smaller, reads, writes = conv.form
        # a learned transform reads the centre of the next size, a crop its own
        learned = any_space.kernel_transform == "learned"
        taps = 2 * padding + 1 + 2 * (smaller and learned and padding < 2)
        margin = (conv.largest - taps) // 2
        rows, columns = (
            torch.cat([torch.arange(*span) for span in spans or ((0, count),)])
            for spans, count in ((writes, outputs), (reads, inputs))
        )
        whole = torch.zeros(weight.shape[:2], dtype=torch.bool)
        whole[rows[:, None], columns] = True
        inside = torch.zeros_like(weight, dtype=torch.bool)
        inside[:, :, margin : margin + taps, margin : margin + taps] = whole[:, :, None, None]
        assert (weight.grad[~inside] == 0).all()
        assert weight.grad[inside].abs().sum() > 0


def test_every_parameter_learns_from_some_subnet(
    tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet(tiny_space).train()
    ends = np.concatenate([smallest(tiny_space), largest(tiny_space)])
    for subnet in decode(tiny_space, ends):
        deep = [  # as many blocks as there can be, so that none is skipped
            replace(stage, blocks=stage.blocks[:1] * len(large.blocks))
            for stage, large in zip(subnet.stages, supernet.largest.stages)
        ]
        supernet.activate(replace(subnet, stages=tuple(deep)))
        x = torch.randn(8, 3, subnet.resolution, subnet.resolution)
        supernet(x).square().mean().backward()
    assert [name for name, p in supernet.named_parameters() if p.grad is None] == []


def test_skipped_blocks_are_not_run(tiny_space: Space) -> None:
    supernet = Supernet(tiny_space)
    supernet.activate(decode(tiny_space, smallest(tiny_space))[0])
    blocks = [m for m in supernet.active_modules if isinstance(m, ElasticChain)]
    assert len(blocks) == 3
    assert len([m for m in supernet.modules() if isinstance(m, ElasticChain)]) == 6
