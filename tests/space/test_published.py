"""The space `mobilenet_v3` has the published size of Once-for-All's.

Sources: README of github.com/mit-han-lab/once-for-all and its code at commit f03b267
run on its own subnets (MACs and parameters of convolutions, linear layers and batch
norm, as it counts them).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from supernet.space import (
    Genes,
    Space,
    Stage,
    canonical,
    count_subnets,
    largest,
    load_space,
    macs_of,
    params_of,
    smallest,
    space_ranges,
)
from supernet.space.stage import BlockKind


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


# peers' papers: least and most millions of multiply-adds (at the smallest and largest
# size) and of parameters, and the number of encodings (arXiv:2011.09011, table of the
# search space: 203 to 1939 MFLOPs)
def test_alphanets_smallest_and_largest_subnets_have_the_published_sizes() -> None:
    ranges = space_ranges(load_space("alphanet"))
    assert [round(macs / 1e6) for macs in ranges.macs] == [203, 1939]
    assert [round(params / 1e6, 2) for params in ranges.params] == [8.95, 23.40]
    assert ranges.subnets == pytest.approx(4.4e11, rel=0.01)


def test_resnet50_has_the_published_choices() -> None:
    # 117 = 9 + 27 + 81 expand ratios of 2 to 4 blocks, 1053 of 4 to 6; widths by index are
    # 3^6, of which two stem widths round alike; the stem's residual convolution or not
    encodings = 117**3 * 1053 * 3**6 * 2
    assert encodings == pytest.approx(2.46e12, rel=0.01)
    space = load_space("resnet50")
    assert count_subnets(space) == encodings // 3 * 2 * len(space.resolutions)


def test_mnasnets_published_network_has_the_published_sizes() -> None:
    """MnasNet-A1 (arXiv:1807.11626, figure 7 and table 1): 312 M multiply-adds, 3.9 M values.

    Written with the space's own vocabulary; its width 112 is none of the multiples of
    MobileNetV2's 96 that the paper's search space has, so it is a space of its own here.
    """

    def stage(
        kind: BlockKind, width: int, depth: int, kernel: int, expand: float, **more: Any
    ) -> Stage:
        return Stage(
            block=(kind,),
            width=(width,),
            depth=(depth,),
            kernel=(kernel,),
            expand=(expand,),
            se_of="in",
            **more,
        )

    gated = {"se": (0.25,)}
    published = replace(
        load_space("mnasnet"),
        resolutions=(224,),
        stages=(
            stage("dsconv", 16, 1, 3, 6, shortcut=("none",)),
            stage("mbconv", 24, 2, 3, 6, stride=2),
            stage("mbconv", 40, 3, 5, 3, stride=2, **gated),
            stage("mbconv", 80, 4, 3, 6, stride=2),
            stage("mbconv", 112, 2, 3, 6, **gated),
            stage("mbconv", 160, 3, 5, 6, stride=2, **gated),
            stage("mbconv", 320, 1, 3, 6),
        ),
    )
    ranges = space_ranges(published)
    assert ranges.subnets == 1
    assert round(ranges.macs[0] / 1e6) == 312
    assert round(ranges.params[0] / 1e6, 1) == 3.9
