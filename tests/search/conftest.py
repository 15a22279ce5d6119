"""A space that is small enough to look at every subnet, and problems over it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from supernet.search import Accuracy, Problem, macs, params
from supernet.space import Domain, Genes, Head, Space, Stage, Stem, one_hot
from supernet.space.layout import layout_of

Values = npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def space() -> Space:
    """1,920 subnets."""
    return Space(
        name="countable",
        resolutions=(16, 24),
        stem=Stem(width=(8, 16)),
        stages=(
            Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5), expand=(2.0, 3.0)),
            Stage(width=(16, 24), depth=(1,), kernel=(3, 5, 7), expand=(3.0, 4.0)),
        ),
        head=Head(),
    )


@pytest.fixture(scope="session")
def everything(space: Space) -> Genes:
    genes = Domain.of(space).everything()
    assert len(genes) == 1920
    return genes


def rugged(space: Space, seed: int) -> Callable[[Genes], Values]:
    """Percent: each choice adds something, and so does each pair of choices."""
    width = int(layout_of(space).num_choices.sum())
    rng = np.random.default_rng(seed)
    single, pairs = rng.uniform(0, 1, width), rng.normal(0, 0.15, (width, width))

    def value(genes: Genes) -> Values:
        hot = one_hot(space, genes).astype(np.float64)
        found: Values = 60 + hot @ single + np.einsum("ni,ij,nj->n", hot, pairs, hot)
        return found

    return value


@pytest.fixture
def problem(space: Space) -> Callable[..., Problem]:
    """A problem with two axes; options go to `Problem`."""

    def make(seed: int = 0, *, measured: bool = False, **options: Any) -> Problem:
        top1 = Accuracy(function=rugged(space, seed), measured=measured)
        given: dict[str, Any] = {"domain": Domain.of(space), "others": (params(space),)} | options
        return Problem(objectives=(top1, macs(space)), **given)

    return make
