"""The subnets that a predictor is learned from first."""

from dataclasses import replace

import pytest

from supernet.space import Domain, decode, largest, load_space, smallest
from supernet.workflow.accuracies import first_pairs


@pytest.mark.parametrize(
    ("fix", "count", "first"),
    [
        ({}, 40, [224, 208, 192, 176, 160]),
        ({}, 6, [224, 192, 160]),
        ({}, 3, [224]),
        ({"resolution": (176, 208)}, 40, [208, 176]),
        ({"resolution": (176,)}, 40, [176]),
    ],
)
def test_the_largest_subnet_of_each_input_size_is_measured_first(
    fix: dict[str, tuple[int, ...]], count: int, first: list[int]
) -> None:
    space = replace(load_space("mobilenet_v3"), resolutions=(160, 176, 192, 208, 224))
    subnets = decode(space, first_pairs(Domain.of(space, fix), count, seed=0))
    top, bottom = (decode(space, end(space))[0] for end in (largest, smallest))
    assert subnets[: len(first)] == [replace(top, resolution=size) for size in first]
    assert bottom in subnets[: len(first) + 2]
    assert len({subnet.key for subnet in subnets}) == count


def test_a_space_of_one_input_size_begins_with_its_largest_subnet() -> None:
    space = load_space("demo")
    assert len(space.resolutions) == 1
    found = decode(space, first_pairs(Domain.of(space), 12, seed=0))
    assert found[0] == decode(space, largest(space))[0]
    assert len({subnet.key for subnet in found}) == 12
