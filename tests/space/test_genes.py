"""Populations stay canonical, in range, and mean what they say."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.blocks import KINDS
from supernet.errors import ConfigError
from supernet.space import (
    Genes,
    Head,
    Space,
    Stage,
    Stem,
    canonical,
    count_subnets,
    decode,
    encode,
    largest,
    largest_subnet,
    one_hot,
    sample,
    smallest,
    unique,
)
from supernet.space.dimensions import PER_BLOCK
from supernet.space.layout import layout_of


def conditional(space: Space) -> set[int]:
    """Columns of the genes that may be without effect."""
    return {int(row[0]) for table in layout_of(space).conditions for row in table}


SEEDS = st.integers(0, 2**32 - 1)


def assert_valid(space: Space, genes: Genes) -> None:
    assert genes.dtype == np.int8
    assert (genes >= 0).all()
    assert (genes < layout_of(space).num_choices).all()
    assert (canonical(space, genes) == genes).all()


def active_genes(space: Space, genes: Genes) -> list[int]:
    """Number of genes that have an effect, from the decoded subnets."""
    counts = []
    for subnet in decode(space, genes):
        without = 0
        for stage, chosen in zip(space.stages, subnet.stages):
            kind = KINDS[chosen.block]
            for b in range(1 if stage.shared else stage.max_depth):
                there = b < len(chosen.blocks)
                for what in PER_BLOCK:
                    has = kind.has(what)
                    without += len(stage.block_choices(what, b)) > 1 and not (there and has)
        counts.append(genes.shape[1] - without)
    return counts


@given(seed=SEEDS)
def test_any_genes_become_canonical_once(any_space: Space, seed: int) -> None:
    num_choices = layout_of(any_space).num_choices
    genes = np.random.default_rng(seed).integers(0, num_choices, (20, len(num_choices)))
    raw = genes.astype(np.int8)
    once = canonical(any_space, raw)
    assert_valid(any_space, once)
    assert decode(any_space, once) == decode(any_space, raw)
    assert (raw == genes).all()  # a copy was made


@given(seed=SEEDS)
def test_subnets_and_genes_are_the_same_thing(any_space: Space, seed: int) -> None:
    genes = sample(any_space, 20, np.random.default_rng(seed))
    assert_valid(any_space, genes)
    subnets = decode(any_space, genes)
    assert (encode(any_space, subnets) == genes).all()
    assert len(set(subnets)) == len(unique(genes))
    assert len({str(subnet) for subnet in subnets}) == len(set(subnets))


def test_unique_keeps_the_first_of_equal_rows_in_order() -> None:
    rows = np.array([[2, 0], [1, 1], [2, 0], [0, 5], [1, 1]], dtype=np.int8)
    assert unique(rows).tolist() == [[2, 0], [1, 1], [0, 5]]


@given(seed=SEEDS)
def test_one_hot_has_one_for_every_gene_with_an_effect(any_space: Space, seed: int) -> None:
    genes = sample(any_space, 20, np.random.default_rng(seed))
    hot = one_hot(any_space, genes)
    assert hot.shape == (20, layout_of(any_space).num_choices.sum())
    assert set(np.unique(hot)) <= {0.0, 1.0}
    assert hot.sum(axis=1).tolist() == active_genes(any_space, genes)
    assert len(np.unique(hot, axis=0)) == len(unique(genes))


def test_every_choice_is_drawn_about_equally_often(tiny_space: Space) -> None:
    genes = sample(tiny_space, 6000, np.random.default_rng(0))
    for column, choices in enumerate(layout_of(tiny_space).num_choices.tolist()):
        if column not in conditional(tiny_space):
            counts = np.bincount(genes[:, column], minlength=choices)
            assert (abs(counts / 6000 - 1 / choices) < 0.03).all()


def test_the_same_generator_draws_the_same_subnets(tiny_space: Space) -> None:
    first, second = (sample(tiny_space, 9, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()


def test_the_ends_have_the_first_and_the_last_choices(tiny_space: Space) -> None:
    small, large = decode(tiny_space, np.concatenate([smallest(tiny_space), largest(tiny_space)]))
    assert str(small) == (
        "16px, stem 8 | 8: k3e1 | 16: k3e2 se0.25 | 16: k3e2.5 se0.5 | features 24"
    )
    assert str(large) == (
        "24px, stem 16 | 16: k5e1 | 24: k7e3 k7e3 se0.25 | 24: k5e4 k5e4 k5e4 se0.5 | features 24"
    )
    assert large == largest_subnet(tiny_space)


def test_the_count_is_that_of_an_enumeration() -> None:
    space = Space(
        name="countable",
        resolutions=(16, 24),
        stem=Stem(width=(8,)),
        stages=(
            Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5)),
            Stage(width=(8,), depth=(1, 3), expand=(2.0, 3.0)),
        ),
        head=Head(),
    )
    assert enumerated(space) == count_subnets(space) == 2 * 2 * 6 * 10


def test_the_count_knows_genes_without_effect() -> None:
    kinds = Stage(
        block=("conv", "mbconv"),
        width=(8,),
        depth=(1, 2),
        kernel=(3, 5),
        expand=(2.0, 3.0),
        se=(0.0, 0.5),
        shortcut=("none", "pool"),
    )
    space = Space(
        name="countable",
        resolutions=(16,),
        stem=Stem(width=(8,), depth=(0, 1), out=(8, 16)),
        stages=(kinds, replace(kinds, shared=True, se=(0.0,), shortcut=("none",))),
        head=Head(features=(8, 16)),
    )
    # conv: 2 + 2 * 2, mbconv: 4 + 4 * 4; shared: 2 * 2 and 4 * 2
    assert enumerated(space) == count_subnets(space) == 2 * 2 * (2 * 2 * (6 + 20)) * (4 + 8) * 2


def enumerated(space: Space) -> int:
    """Different subnets among all genes."""
    choices = [range(n) for n in layout_of(space).num_choices]
    everything = np.array(list(itertools.product(*choices)), dtype=np.int8)
    rows = unique(canonical(space, everything))
    assert len(set(decode(space, everything))) == len(rows)
    return len(rows)


def test_a_subnet_of_another_space_has_no_genes_here(tiny_space: Space, demo_space: Space) -> None:
    with pytest.raises(ConfigError, match="the subnet is of space 'demo'") as caught:
        encode(tiny_space, [largest_subnet(demo_space)])
    assert "not of 'tiny'" in str(caught.value)
    assert "the space that the subnet was found in" in caught.value.hint
