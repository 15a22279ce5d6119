"""The cheapest and the most expensive subnet: no other one of the whole space beats them."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from supernet.space import (
    Domain,
    Genes,
    Head,
    Operator,
    OperatorSum,
    Space,
    Stage,
    Stem,
    canonical,
    count_subnets,
    decode,
    extremes,
    largest,
    load_space,
    operators,
    sample,
    smallest,
    space_ranges,
    total_macs,
    total_params,
    unique,
)
from supernet.space.layout import layout_of
from tests.shipped import SHIPPED

Value = Callable[[Operator], float]

# every kind of block, squeeze-excite and shortcuts as choices; one kernel for the stage
SHARED = Stage(
    block=("conv", "dsconv", "mbconv"), width=(8, 16), depth=(1, 2), kernel=(3, 5),
    expand=(2.0, 3.0), shared=True, se=(0.0, 0.25), se_of="in",
    shortcut=("none", "identity", "pool"),
)  # fmt: skip
UNSHARED = Stage(
    block=("conv", "bottleneck"), width=(16, 24), depth=(1, 3), expand=(0.5, 1.0), stride=2,
    shortcut=("none", "project", "project_norm"),
)  # fmt: skip
SPACES = [
    Space(
        name="one_stage",
        resolutions=(16, 30),
        stem=Stem(width=(8, 12), depth=(0, 2), out=(8, 16), maxpool=True),
        stages=(SHARED,),
        head=Head(expand=1.5, features=(16, 24)),
    ),
    Space(
        name="two_stages",
        resolutions=(16, 24),
        stem=Stem(width=(8,)),
        stages=(SHARED, UNSHARED),
        head=Head(),
    ),
    Space(
        name="per_block",
        resolutions=(24,),
        stem=Stem(width=(8, 16)),
        stages=(
            replace(SHARED, shared=False, shortcut=("identity",), depth=(2, 3)),
            Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5), expand=(1.0,), se=(0.0, 0.5)),
        ),
        head=Head(width=16, features=(8, 16)),
    ),
]


@cache
def everything(space: Space) -> Genes:
    """All subnets of a space."""
    num_choices = layout_of(space).num_choices
    genes = np.indices(num_choices.tolist()).reshape(len(num_choices), -1).T
    found = unique(canonical(space, genes.astype(np.int8)))
    assert len(found) == count_subnets(space)
    return found


def uneven(operator: Operator) -> float:
    """Some number, below or above zero, that follows no order of sizes."""
    return zlib.crc32(operator.key.encode()) / 2**32 - 0.3


COSTS: dict[str, Value] = {
    "macs": lambda operator: operator.macs,
    "params": lambda operator: operator.params,
    "uneven": uneven,
    "negative": lambda operator: -1.0 - uneven(operator),
}


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_no_subnet_of_the_whole_space_is_beyond_them(space: Space, cost: str) -> None:
    sums = OperatorSum(space, COSTS[cost])(everything(space))
    ends = extremes(space, COSTS[cost])
    for found, expected in zip(ends, (sums.min(), sums.max())):
        assert found.shape == (1, len(layout_of(space).genes))
        assert (canonical(space, found) == found).all()
        loop = sum(map(COSTS[cost], operators(space, decode(space, found)[0])))
        assert loop == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_ranges_are_those_of_all_subnets(space: Space) -> None:
    ranges = space_ranges(space)
    sums = {name: OperatorSum(space, COSTS[name])(everything(space)) for name in ("macs", "params")}
    assert ranges.macs == (sums["macs"].min(), sums["macs"].max())
    assert ranges.params == (sums["params"].min(), sums["params"].max())
    for subnet in decode(space, everything(space)[::97]):  # without the tables of sums
        found = operators(space, subnet)
        assert ranges.macs[0] <= total_macs(found) <= ranges.macs[1]
        assert ranges.params[0] <= total_params(found) <= ranges.params[1]


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_near_the_ends_of_a_shipped_space_is_beyond_them(
    name: str, rng: np.random.Generator
) -> None:
    space = load_space(name)
    domain = Domain.of(space)
    for value in (COSTS["macs"], uneven):
        cost = OperatorSum(space, value)
        least, most = extremes(space, value)
        near = [domain.neighbours(least), domain.neighbours(most), sample(space, 4096, rng)]
        sums = cost(np.concatenate([smallest(space), largest(space), *near]))
        assert cost(least)[0] <= sums.min() + 1e-9
        assert cost(most)[0] >= sums.max() - 1e-9


def test_a_subnet_of_first_choices_need_not_be_the_smallest() -> None:
    """A plain convolution comes first among the kinds of block, and costs the most."""
    space = load_space("mnasnet")
    ranges = space_ranges(space)
    first = total_macs(operators(space, decode(space, smallest(space))[0]))
    last = total_macs(operators(space, decode(space, largest(space))[0]))
    assert ranges.macs[0] < first < last < ranges.macs[1]


def test_a_value_is_asked_once_per_different_operator() -> None:
    asked: list[Operator] = []
    extremes(SPACES[0], lambda operator: asked.append(operator) or 0.0)  # type: ignore[func-returns-value]  # None is what the `or` is for
    assert len(asked) == len(set(asked))


def test_a_space_without_a_choice_is_its_own_extreme() -> None:
    fixed = Stage(width=(8,), depth=(1,))
    space = Space(
        name="fixed", resolutions=(16,), stem=Stem(width=(8,)), stages=(fixed,), head=Head()
    )
    least, most = extremes(space, uneven)
    assert least.shape == most.shape == (1, 0)
    assert space_ranges(space).macs[0] == space_ranges(space).macs[1]
