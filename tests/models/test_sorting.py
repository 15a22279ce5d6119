"""Channel sorting changes the order and not the function."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from supernet.elastic import ElasticChain, ElasticConvBlock, Importance
from supernet.models import Supernet, sort_channels
from supernet.space import Head, Space, Stage, Stem, Subnet, decode, sample, smallest

MakeSupernet = Callable[[Space], Supernet]


def blocks(supernet: Supernet) -> list[ElasticChain]:
    return [m for m in supernet.modules() if isinstance(m, ElasticChain) and "expand" in m.forms]


@pytest.fixture(scope="module", params=["tiny", "demo", "light", "tied", "grouped"])
def space(request: pytest.FixtureRequest, tiny_space: Space, demo_space: Space) -> Space:
    """`light`: gates without expansion, read by a linear layer; `tied`: shortcuts between.

    `grouped`: bottlenecks of several groups, of which the narrowest has one.
    """
    light = Stage(width=(8, 24), depth=(1, 2), expand=(1.0,), se=(0.5,), shortcut=("none",))
    tied = Stage(width=(8, 24), depth=(1, 2), expand=(2.0, 3.0))
    grouped = Stage(
        block=("bottleneck",), width=(16, 24), depth=(1, 2), expand=(0.5, 1.0), group_width=8,
        shortcut=("project_norm",), se=(0.25,),
    )  # fmt: skip
    gated = replace(grouped, block=("bottleneck_se",))
    stages = {
        "grouped": (grouped, replace(grouped, stride=2), gated),
        "light": (light, light, replace(light, stride=2)),
        "tied": (replace(tied, shortcut=("none",)), tied, replace(tied, stride=2)),
    }
    if request.param in stages:
        return replace(
            tiny_space,
            name=request.param,
            stem=Stem(width=(24,)),
            stages=stages[request.param],
            head=Head(),
        )
    return tiny_space if request.param == "tiny" else demo_space


def images(space: Space) -> torch.Tensor:
    size = space.resolutions[-1]
    torch.manual_seed(1)
    return torch.randn(8, space.in_channels, size, size)


@pytest.mark.parametrize("by", ["weights", "variance"])
@pytest.mark.parametrize("training", [True, False])
def test_the_largest_subnet_computes_the_same(
    space: Space, make_supernet: MakeSupernet, training: bool, by: Importance
) -> None:
    supernet, other = make_supernet(space), make_supernet(space)
    sort_channels(supernet, by=by)
    x = images(space)
    with torch.no_grad():
        found, expected = supernet.train(training)(x), other.train(training)(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        # and so do the statistics that the step above left behind
        found, expected = supernet.eval()(x), other.eval()(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("by", ["weights", "variance"])
def test_the_most_important_channels_come_first(
    any_space: Space, make_supernet: MakeSupernet, by: Importance
) -> None:
    supernet = make_supernet(any_space)
    before = [worth(block, by) for block in blocks(supernet)]
    sort_channels(supernet, by=by)
    for block, old in zip(blocks(supernet), before):
        found = worth(block, by)
        assert (found.diff() <= 1e-6).all()
        assert (old.diff() > 0).any()  # it was not sorted
        torch.testing.assert_close(found, old.sort(descending=True).values)
        if block.se is not None:
            hidden = block.se.expand.weight.abs().sum((0, 2, 3))
            assert (hidden.diff() <= 1e-6).all()


@torch.no_grad()
def worth(block: ElasticChain, by: Importance) -> torch.Tensor:
    """L1 norms that read each middle channel, or the variance of what it adds to the result."""
    weights = block.part("project").conv.weight
    if by == "weights":
        return weights.abs().sum((0, 2, 3))
    names = list(block.forms)
    before = names[names.index("project") - 1]
    return block.part(before).varies() * weights.square().sum((0, 2, 3))


@torch.no_grad()
def test_channels_that_do_not_vary_come_last_whatever_reads_them(
    tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet(tiny_space)
    block = blocks(supernet)[0]
    norm, reads = block.part("depthwise").norm, block.part("project").conv.weight
    assert norm is not None
    reads[:, :3] *= 100
    norm.weight[0] = 0.0  # constant
    norm.weight[1], norm.bias[1] = 0.1, -10.0  # cut off by the activation
    norm.running_var[2] = 0.0  # dead: what it normalises is always the same
    sizes = reads.square().sum((0, 2, 3))[:3]
    sort_channels(supernet, by="variance")
    last = reads.square().sum((0, 2, 3))[-3:]
    torch.testing.assert_close(last.sort().values, sizes.sort().values)


@torch.no_grad()
@pytest.mark.parametrize("by", ["weights", "variance"])
def test_the_channels_between_stages_are_sorted_by_all_that_read_and_write_them(
    demo_space: Space, make_supernet: MakeSupernet, by: Importance
) -> None:
    supernet = make_supernet(demo_space)
    sort_channels(supernet, by=by)
    readers = {"stem": ["stage1_block1"]}
    for stage, count in ((1, 1), (2, demo_space.stages[1].max_depth)):
        inner = [f"stage{stage}_block{b}" for b in range(2, count + 1)]
        readers[f"stage{stage}"] = [*inner, f"stage{stage + 1}_block1"]
    for written, names in readers.items():
        reads = torch.zeros(())
        for name in names:
            block = supernet.slots[name]
            assert isinstance(block, ElasticChain)
            weights = block.part("expand").conv.weight
            reads = reads + (weights.abs() if by == "weights" else weights.square()).sum((0, 2, 3))
        if by == "variance":
            writers = [supernet.slots[name] for name in supernet.slots if name.startswith(written)]
            blocks = [b for b in writers if isinstance(b, ElasticChain | ElasticConvBlock)]
            reads = reads * torch.stack([block.varies() for block in blocks]).sum(0)
        assert (reads.diff() <= 1e-5).all()


@pytest.mark.parametrize("by", ["weights", "variance"])
def test_sorting_twice_changes_nothing_more(
    tiny_space: Space, make_supernet: MakeSupernet, by: Importance
) -> None:
    supernet = make_supernet(tiny_space)
    sort_channels(supernet, by=by)
    once = {name: values.clone() for name, values in supernet.state_dict().items()}
    sort_channels(supernet, by=by)
    assert all((values == once[name]).all() for name, values in supernet.state_dict().items())


def test_narrow_subnets_are_computed_from_other_channels_afterwards(
    tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet, other = make_supernet(tiny_space).eval(), make_supernet(tiny_space).eval()
    sort_channels(supernet)
    small = decode(tiny_space, smallest(tiny_space))[0]
    supernet.activate(small)
    other.activate(small)
    assert (supernet(images(tiny_space)) - other(images(tiny_space))).abs().max() > 1e-3


@pytest.mark.parametrize("by", ["weights", "variance"])
def test_widths_that_were_trained_keep_their_channels(
    any_space: Space, make_supernet: MakeSupernet, by: Importance
) -> None:
    """Sorting again after all widths were trained changes no subnet at all."""
    supernet, other = make_supernet(any_space).eval(), make_supernet(any_space).eval()
    sort_channels(supernet, by=by, trained_expand=0, trained_width=0)
    genes = sample(any_space, 6, np.random.default_rng(0))
    for subnet in decode(any_space, np.concatenate([smallest(any_space), genes])):
        assert difference(any_space, supernet, other, subnet) <= 1e-5
    sort_channels(other)
    narrow = decode(any_space, smallest(any_space))[0]
    assert difference(any_space, supernet, other, narrow) > 1e-3


def difference(space: Space, first: Supernet, second: Supernet, subnet: Subnet) -> float:
    first.activate(subnet)
    second.activate(subnet)
    with torch.no_grad():
        expected = second(images(space))
        return float((first(images(space)) - expected).abs().max() / expected.abs().max())
