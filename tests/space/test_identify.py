"""Operators alone tell which subnet of a space they are."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import ConfigError
from supernet.models import Supernet, extract
from supernet.space import (
    Head,
    Operator,
    Space,
    Stage,
    Stem,
    count_subnets,
    decode,
    largest_subnet,
    list_spaces,
    load_space,
    operators,
    sample,
    save_space,
    total_params,
)
from supernet.space.identify import find_subnet, fixed_space
from supernet.space.operator import round_channels
from tests.shipped import shipped

CHAINS = shipped(*(name for name in list_spaces() if load_space(name).cells is None))


def networks(space: Space, count: int = 4) -> list[list[Operator]]:
    """The operators of random subnets."""
    genes = sample(space, count, np.random.default_rng(7))
    return [operators(space, subnet) for subnet in decode(space, genes)]


@pytest.mark.parametrize("name", CHAINS)
def test_every_subnet_of_a_shipped_space_is_found(name: str) -> None:
    space = load_space(name)
    for network in networks(space):
        found = find_subnet(space, network)
        assert found is not None
        assert operators(space, found) == network


def test_every_kind_of_choice_is_found(any_space: Space) -> None:
    for network in networks(any_space, 20):
        found = find_subnet(any_space, network)
        assert found is not None
        assert operators(any_space, found) == network


def test_classes_and_channels_are_of_the_data_set(tiny_space: Space) -> None:
    other = replace(tiny_space, num_classes=77, in_channels=1)
    for network in networks(other):
        found = find_subnet(tiny_space, network)
        assert found is not None
        assert operators(other, found) == network


@given(data=st.data())
def test_what_is_not_exactly_a_subnet_is_none(mixed_space: Space, data: st.DataObject) -> None:
    network = data.draw(st.sampled_from(networks(mixed_space, 8)))
    place = data.draw(st.integers(1, len(network) - 2))
    before, there, after = network[:place], network[place], network[place + 1 :]
    taller = replace(there, height=there.height + 1)
    changes = [
        [*before, *after],
        [*before, there, there, *after],
        [*before, taller, *after],
        before,
        [*network, network[-1]],
    ]
    changed = data.draw(st.sampled_from(changes))
    found = find_subnet(mixed_space, changed)
    # a block may be left out or repeated where the depth is a choice
    assert found is None or operators(mixed_space, found)[:-1] == changed[:-1]


def test_another_input_size_is_none(tiny_space: Space) -> None:
    assert find_subnet(replace(tiny_space, resolutions=(32,)), networks(tiny_space)[0]) is None


def test_stages_that_look_alike_do_not_multiply_the_work() -> None:
    """Four ways to split each pair of stages: 4**12 without remembering what failed."""
    alike = Stage(width=(8,), depth=(1, 2, 3, 4), expand=(1.0,))
    space = Space(
        name="alike", resolutions=(16,), stem=Stem(width=(8,)), stages=(alike,) * 12, head=Head()
    )
    network = networks(space, 1)[0]
    network[-2] = replace(network[-2], height=7)
    start = time.perf_counter()
    assert find_subnet(space, network) is None
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("name", CHAINS)
def test_a_network_is_the_only_subnet_of_its_own_space(name: str, tmp_path: Path) -> None:
    for network in networks(load_space(name)):
        own = fixed_space("own", network, bn_eps=1e-3)
        assert count_subnets(own) == 1
        assert operators(own, largest_subnet(own)) == network
        assert own.bn_eps == 1e-3
        save_space(own, tmp_path / "own.yaml")
        assert load_space(tmp_path / "own.yaml") == own
        assert load_space(tmp_path / "own.yaml").hash == own.hash


@pytest.mark.parametrize("name", ["demo", "proxyless_w1.0", "resnet50", "mnasnet"])
def test_its_supernet_has_the_networks_parameters(name: str) -> None:
    network = networks(load_space(name), 1)[0]
    own = fixed_space("own", network)
    found = extract(Supernet(own), largest_subnet(own))
    assert sum(values.numel() for values in found.parameters()) == total_params(network)


CONV = Operator(op="conv", in_channels=3, out_channels=8, kernel=3, stride=2, height=16, width=16)
BLOCK = Operator(
    op="dsconv", in_channels=8, mid_channels=8, out_channels=8, kernel=3, height=8, width=8
)
WIDE = replace(BLOCK, op="mbconv", mid_channels=512)
MAXPOOL = Operator(
    op="maxpool", in_channels=8, out_channels=8, kernel=3, stride=2, height=8, width=8
)
POOL = Operator(op="pool", in_channels=8, out_channels=8, height=8, width=8)
LINEAR = Operator(op="linear", in_channels=8, out_channels=8, bias=True)


def test_the_smallest_network_has_a_space() -> None:
    assert count_subnets(fixed_space("own", [CONV, BLOCK, POOL, LINEAR])) == 1


@pytest.mark.parametrize(
    "network",
    [
        [CONV, BLOCK, LINEAR],
        [BLOCK, POOL, LINEAR],
        [POOL, LINEAR],
        [CONV, POOL, LINEAR],
        [CONV, LINEAR, POOL, LINEAR],
        [CONV, BLOCK, MAXPOOL, POOL, LINEAR],
        [CONV, MAXPOOL, MAXPOOL, BLOCK, POOL, LINEAR],
        [CONV, WIDE, POOL, LINEAR],
        [CONV, BLOCK, BLOCK, POOL, POOL, LINEAR],
        [CONV, BLOCK, POOL, LINEAR, LINEAR, LINEAR],
        [CONV, BLOCK, POOL],
        [CONV, replace(BLOCK, height=9), POOL, LINEAR],
        [CONV, *[BLOCK] * 129, POOL, LINEAR],
        [CONV, BLOCK, POOL, replace(LINEAR, out_channels=1)],
    ],
)
def test_what_is_built_otherwise_has_no_space(network: list[Operator]) -> None:
    with pytest.raises(ConfigError) as caught:
        fixed_space("own", network)
    assert str(caught.value).isprintable()


@given(data=st.data())
def test_any_row_of_operators_has_a_space_or_is_refused(data: st.DataObject) -> None:
    parts = st.sampled_from([CONV, BLOCK, WIDE, MAXPOOL, POOL, LINEAR, replace(CONV, stride=1)])
    network = [CONV, *data.draw(st.lists(parts, max_size=5)), POOL, LINEAR]
    try:
        own = fixed_space("own", network)
    except ConfigError as error:
        message = str(error)
    else:
        message = own.name
        assert operators(own, largest_subnet(own)) == network
    assert message.isprintable()


def test_gates_of_both_roundings_are_kept(mixed_space: Space) -> None:
    """`se` is a share of the middle channels, or of the input's and not rounded."""
    for hidden in (5, 8, 16):
        block = replace(BLOCK, op="mbconv", mid_channels=32, se=hidden)
        own = fixed_space("own", [CONV, block, POOL, LINEAR])
        assert operators(own, largest_subnet(own))[1].se == hidden
        assert round_channels(hidden) in (8, 16)


def test_cells_are_not_looked_for() -> None:
    space = load_space("demo_cells")
    assert find_subnet(space, networks(space, 1)[0]) is None
