"""The space `mobilenet_v3` has the published size of Once-for-All's.

Sources: README of github.com/mit-han-lab/once-for-all and its code at commit f03b267
run on its own subnets (MACs and parameters of convolutions, linear layers and batch
norm, as it counts them).
"""

import numpy as np
import pytest

from supernet.space import (
    Genes,
    Space,
    canonical,
    count_subnets,
    largest,
    load_space,
    macs_of,
    params_of,
    smallest,
    space_ranges,
)


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space("mobilenet_v3")


def at_resolution(space: Space, genes: Genes, resolution: int) -> Genes:
    genes = genes.copy()
    genes[:, 0] = space.resolutions.index(resolution)
    return genes


def test_the_number_of_subnets_is_that_of_the_paper(space: Space) -> None:
    # arXiv:1908.09791, section 3.1: ((3x3)^2 + (3x3)^3 + (3x3)^4)^5, about 2e19, x 25 sizes
    assert count_subnets(space) == 25 * (81 + 729 + 6561) ** 5
    assert count_subnets(space) / 25 == pytest.approx(2.18e19, rel=0.005)


@pytest.mark.parametrize(
    ("resolution", "end", "mega_macs", "mega_params"),
    [
        (224, "largest", 566.2, 7.665),
        (160, "largest", 291.3, 7.665),
        (128, "largest", 188.2, 7.665),
        (224, "smallest", 121.3, 3.411),
        (160, "smallest", 63.2, 3.411),
        (128, "smallest", 41.5, 3.411),
        (224, "middle", 250.7, 4.552),  # kernel 5, expand 4, depth 3 everywhere
        (128, "middle", 84.1, 4.552),
    ],
)
def test_costs_are_the_published_ones(
    space: Space, resolution: int, end: str, mega_macs: float, mega_params: float
) -> None:
    middle = np.minimum(largest(space), 1).astype(np.int8)
    ends = {
        "largest": largest(space),
        "smallest": smallest(space),
        "middle": canonical(space, middle),
    }
    genes = at_resolution(space, ends[end], resolution)
    assert macs_of(space, genes)[0] / 1e6 == pytest.approx(mega_macs, abs=0.05)
    assert params_of(space, genes)[0] / 1e6 == pytest.approx(mega_params, abs=0.0006)


def test_the_ranges_are_those_of_the_ends(space: Space) -> None:
    ranges = space_ranges(space)
    assert ranges.macs[0] / 1e6 == pytest.approx(41.5, abs=0.05)
    assert ranges.macs[1] / 1e6 == pytest.approx(566.2, abs=0.05)
    assert ranges.as_dict()["subnets"] == count_subnets(space)
