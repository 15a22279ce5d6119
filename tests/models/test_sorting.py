"""Channel sorting changes the order and not the function."""

from collections.abc import Callable

import pytest
import torch

from supernet.elastic import ElasticMBConv
from supernet.models import Supernet, sort_channels
from supernet.space import Space, decode, smallest

MakeSupernet = Callable[[Space], Supernet]


def blocks(supernet: Supernet) -> list[ElasticMBConv]:
    return [m for m in supernet.modules() if isinstance(m, ElasticMBConv) and m.expand is not None]


def images(space: Space) -> torch.Tensor:
    size = space.resolutions[-1]
    torch.manual_seed(1)
    return torch.randn(8, space.in_channels, size, size)


@pytest.mark.parametrize("training", [True, False])
def test_the_largest_subnet_computes_the_same(
    any_space: Space, make_supernet: MakeSupernet, training: bool
) -> None:
    supernet, other = make_supernet(any_space), make_supernet(any_space)
    sort_channels(supernet)
    x = images(any_space)
    with torch.no_grad():
        found, expected = supernet.train(training)(x), other.train(training)(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        # and so do the statistics that the step above left behind
        found, expected = supernet.eval()(x), other.eval()(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_most_important_channels_come_first(
    any_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet(any_space)
    before = [block.project.conv.weight.clone() for block in blocks(supernet)]
    sort_channels(supernet)
    for block, old in zip(blocks(supernet), before):
        importance = block.project.conv.weight.abs().sum((0, 2, 3))
        assert (importance.diff() <= 1e-6).all()
        old_importance = old.abs().sum((0, 2, 3))
        assert (old_importance.diff() > 0).any()  # it was not sorted
        torch.testing.assert_close(importance, old_importance.sort(descending=True).values)
        if block.se is not None:
            hidden = block.se.expand.weight.abs().sum((0, 2, 3))
            assert (hidden.diff() <= 1e-6).all()


def test_sorting_twice_changes_nothing_more(tiny_space: Space, make_supernet: MakeSupernet) -> None:
    supernet = make_supernet(tiny_space)
    sort_channels(supernet)
    once = {name: values.clone() for name, values in supernet.state_dict().items()}
    sort_channels(supernet)
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
