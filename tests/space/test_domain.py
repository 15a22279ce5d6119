"""A narrowed space: what is left of it is exactly what an enumeration finds."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import ConfigError
from supernet.space import (
    Domain,
    Genes,
    Head,
    Space,
    Stage,
    Stem,
    canonical,
    decode,
    load_space,
    macs_of,
    unique,
)
from supernet.space.layout import Choice, layout_of
from tests.shipped import SHIPPED

SEEDS = st.integers(0, 2**32 - 1)
KINDS = Stage(
    block=("conv", "mbconv"), width=(8,), depth=(1, 2), kernel=(3, 5, 7), expand=(2.0, 3.0),
    se=(0.0, 0.5), shortcut=("none", "pool"),
)  # fmt: skip
SMALL = [
    Space(
        name="depths",
        resolutions=(16, 24),
        stem=Stem(width=(8,)),
        stages=(
            Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5)),
            Stage(width=(8,), depth=(1, 3), expand=(2.0, 3.0)),
        ),
        head=Head(),
    ),
    Space(
        name="kinds",
        resolutions=(16,),
        stem=Stem(width=(8,), depth=(0, 1), out=(8, 16)),
        stages=(replace(KINDS, kernel=(3, 5)),),
        head=Head(features=(8, 16)),
    ),
    Space(
        name="shared",
        resolutions=(16, 24, 32),
        stem=Stem(width=(8,)),
        stages=(replace(KINDS, shared=True, se=(0.0,), depth=(1, 2, 3)),),
        head=Head(),
    ),
]
small_spaces = pytest.mark.parametrize("space", SMALL, ids=lambda space: space.name)


def whole(space: Space) -> Genes:
    """All subnets of a space, without `Domain`."""
    choices = [range(n) for n in layout_of(space).num_choices]
    rows = np.array(list(itertools.product(*choices)), dtype=np.int8)
    return unique(canonical(space, rows))


def effective(space: Space, genes: Genes) -> np.ndarray:
    """Where genes have an effect: where another choice makes another subnet."""
    found = np.zeros(genes.shape, dtype=bool)
    for column in range(genes.shape[1]):
        changed = genes.copy()
        changed[:, column] = np.where(genes[:, column] == 0, 1, 0)
        found[:, column] = (canonical(space, changed) != genes).any(axis=1)
    return found


def narrowed(space: Space, seed: int) -> Domain:
    """A domain with random choices left."""
    rng = np.random.default_rng(seed)
    allowed = []
    for count in layout_of(space).num_choices.tolist():
        left = rng.permutation(count)[: rng.integers(1, count + 1)]
        allowed.append(tuple(sorted(left.tolist())))
    return Domain(space, tuple(allowed))


def left_of(domain: Domain) -> Genes:
    """Its subnets, picked from all: whatever has an effect is allowed."""
    rows = whole(domain.space)
    keep = np.ones(len(rows), dtype=bool)
    has_effect = effective(domain.space, rows)
    for column, choices in enumerate(domain.allowed):
        keep &= ~has_effect[:, column] | np.isin(rows[:, column], choices)
    return rows[keep]


def as_set(genes: Genes) -> set[bytes]:
    return {row.tobytes() for row in genes}


@small_spaces
def test_a_whole_domain_is_the_space(space: Space) -> None:
    domain = Domain.of(space)
    assert domain.is_whole
    assert domain.as_dict() == {}
    rows = whole(space)
    assert as_set(domain.everything()) == as_set(rows)
    assert domain.count == len(rows) == len(domain.everything())
    assert domain.combinations == np.prod(layout_of(space).num_choices)
    assert domain.contains(rows).all()


@small_spaces
@given(seed=SEEDS)
def test_a_narrowed_domain_has_exactly_what_an_enumeration_leaves(space: Space, seed: int) -> None:
    domain = narrowed(space, seed)
    expected = left_of(domain)
    assert as_set(domain.everything()) == as_set(expected)
    assert domain.count == len(expected)
    rows = whole(space)
    assert as_set(rows[domain.contains(rows)]) == as_set(expected)
    assert domain.contains(np.concatenate([domain.smallest(), domain.largest()])).all()


def test_what_a_fixed_depth_leaves_without_effect_is_no_choice() -> None:
    space = load_space("mobilenet_v3")
    domain = Domain.of(space, {"depth": [2], "kernel": [7], "resolution": [224]})
    assert domain.count == domain.combinations == 3**10  # expand ratios of two blocks, five times
    names = [layout_of(space).genes[column].name for column in domain.free]
    assert names == [f"stage{s}.block{b}.expand" for s in range(2, 7) for b in (1, 2)]
    assert "stage2.block2.kernel" in domain.as_dict()
    assert "stage2.block3.expand" not in domain.as_dict()
    assert (Domain.of(space, domain.as_dict()).everything() == domain.everything()).all()


@small_spaces
@given(seed=SEEDS)
def test_canonical_moves_any_row_in_and_leaves_those_inside(space: Space, seed: int) -> None:
    domain = narrowed(space, seed)
    rows = whole(space)
    before = rows.copy()
    moved = domain.canonical(rows)
    assert (rows == before).all()  # a copy was made
    assert domain.contains(moved).all()
    assert (domain.canonical(moved) == moved).all()
    inside = left_of(domain)
    assert (domain.canonical(inside) == inside).all()


@given(seed=SEEDS, probability=st.sampled_from([0.0, 0.1, 1.0]))
def test_everything_random_stays_inside(any_space: Space, seed: int, probability: float) -> None:
    domain, rng = narrowed(any_space, seed), np.random.default_rng(seed)
    first, second = domain.sample(20, rng), domain.sample_spread(20, rng)
    before = first.copy()
    children = domain.crossover(first, second, rng)
    mutants = domain.mutate(first, probability, rng)
    for genes in (first, second, children, mutants, domain.neighbours(first[:1])):
        assert genes.dtype == np.int8
        assert genes.shape[1] == len(domain.allowed)
        assert domain.contains(genes).all()
    assert (first == before).all()
    # a gene that gets an effect from one parent has no choice of its own in the other
    padded = ~(effective(any_space, first) & effective(any_space, second))
    assert ((children == first) | (children == second) | padded).all()
    assert (domain.crossover(first, first, rng) == first).all()


@given(seed=SEEDS, probability=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_mutation_changes_genes_as_often_as_asked(
    any_space: Space, seed: int, probability: float
) -> None:
    domain, rng = narrowed(any_space, seed), np.random.default_rng(seed)
    conditions = layout_of(any_space).conditions
    without = {int(row[0]) for table in conditions for row in table}
    columns = [column for column in domain.free.tolist() if column not in without]
    if not columns:
        return
    genes = domain.sample(1000, rng)
    changed = (domain.mutate(genes, probability, rng) != genes)[:, columns]
    assert changed.mean() == pytest.approx(probability, abs=5 * (0.25 / changed.size) ** 0.5)
    if probability in (0.0, 1.0):
        assert (changed == probability).all()


def test_mutation_reaches_all_other_choices_alike(rng: np.random.Generator) -> None:
    domain = Domain.of(load_space("demo"), {"stage2.kernel": [3, 7]})
    column = next(g.column for g in layout_of(domain.space).genes if g.name == "stage3.depth")
    genes = np.repeat(domain.largest(), 8000, axis=0)
    mutants = domain.mutate(genes, 1.0, rng)
    counts = np.bincount(mutants[:, column], minlength=5) / 8000
    assert counts[4] == 0
    assert counts[:4] == pytest.approx([0.25] * 4, abs=0.02)


def test_every_choice_is_drawn_about_equally_often(rng: np.random.Generator) -> None:
    domain = narrowed(load_space("demo"), 3)
    conditions = layout_of(domain.space).conditions
    without = {int(row[0]) for table in conditions for row in table}
    genes = domain.sample(6000, rng)
    for column in {*domain.free.tolist()} - without:
        _, counts = np.unique(genes[:, column], return_counts=True)
        assert len(counts) == domain.counts[column]
        assert counts / 6000 == pytest.approx(1 / domain.counts[column], abs=0.03)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_spread_covers_the_sizes_of_a_space(name: str, rng: np.random.Generator) -> None:
    domain = Domain.of(load_space(name))
    ends = macs_of(domain.space, np.concatenate([domain.smallest(), domain.largest()]))
    shares = {}
    for how in (domain.sample_spread, domain.sample):
        macs = np.log(macs_of(domain.space, how(1000, rng)))
        shares[how.__name__] = np.ptp(macs) / np.ptp(np.log(ends))
    assert shares["sample_spread"] > max(0.8, shares["sample"])


def test_a_spread_draws_what_nodes_read_alike(rng: np.random.Generator) -> None:
    """Of cells of all sizes: no input is larger than another."""
    domain = Domain.of(load_space("demo_cells"))
    genes = domain.sample_spread(4000, rng)
    read = np.array([gene.kind == "inputs" for gene in layout_of(domain.space).genes])
    for column, choices in zip(genes.T[read], domain.counts[read]):
        assert np.bincount(column, minlength=choices) / 4000 == pytest.approx(1 / choices, abs=0.03)
    alike = np.corrcoef(genes.T.astype(float)) - np.eye(len(read))
    assert np.abs(alike[read]).max() < 0.1
    assert (alike[~read][:, ~read] + np.eye((~read).sum())).min() > 0.5  # operations


@small_spaces
def test_neighbours_are_exactly_the_subnets_one_choice_away(space: Space) -> None:
    for seed in range(5):
        domain = narrowed(space, seed)
        genes = domain.sample(1, np.random.default_rng(seed))
        expected = set()
        for column, choices in enumerate(domain.allowed):
            for choice in choices:
                changed = genes.copy()
                changed[0, column] = choice
                expected.add(domain.canonical(changed)[0].tobytes())
        expected.discard(genes[0].tobytes())
        found = domain.neighbours(genes)
        assert as_set(found) == expected
        assert len(found) == len(expected)


@small_spaces
def test_moves_are_all_choices_of_free_genes(space: Space) -> None:
    domain = narrowed(space, 11)
    assert domain.moves.tolist() == [
        [column, choice]
        for column, choices in enumerate(domain.allowed)
        if len(choices) > 1
        for choice in choices
    ]
    rows = np.repeat(domain.smallest(), len(domain.moves), axis=0)
    moved = domain.apply(rows, domain.moves[:, None])
    assert domain.contains(moved).all()
    reached = moved[np.arange(len(moved)), domain.moves[:, 0]] == domain.moves[:, 1]
    assert (reached | ~effective(space, moved)[np.arange(len(moved)), domain.moves[:, 0]]).all()


def test_two_moves_are_made_together() -> None:
    domain = Domain.of(SMALL[0])
    moves = np.array([[[0, 1], [1, 1]], [[1, 1], [0, 0]]])
    found = domain.apply(np.repeat(domain.smallest(), 2, axis=0), moves)
    assert found[:, :2].tolist() == [[1, 1], [0, 1]]


def test_choices_are_found_by_rank() -> None:
    domain = Domain.of(load_space("demo"), {"stage3.depth": [2, 5], "kernel": [3]})
    for column, choices in enumerate(domain.allowed):
        columns = np.full(len(choices), column)
        assert domain.choice(columns, np.arange(len(choices))).tolist() == list(choices)


# ---------------------------------------------------------------- fixed choices


@pytest.mark.parametrize(
    ("fix", "left"),
    [
        ({"stage3.depth": [1, 5]}, {"stage3.depth": [1, 5]}),
        ({"stage2.block1.kernel": [7]}, {"stage2.block1.kernel": [7]}),
        (
            {"stage2.kernel": [3, 7]},
            {f"stage2.block{b}.kernel": [3, 7] for b in (1, 2, 3)},
        ),
        (
            {"depth": [1, 2]},
            {"stage2.depth": [1, 2], "stage3.depth": [1, 2]},
        ),
        (  # a rule of many and one of one are both kept
            {"stage2.kernel": [3, 7], "stage2.block1.kernel": [5, 7]},
            {
                "stage2.block1.kernel": [7],
                "stage2.block2.kernel": [3, 7],
                "stage2.block3.kernel": [3, 7],
            },
        ),
        ({"resolution": [32]}, {}),  # the only one there is
        ({"stage2.depth": [1, 2, 3]}, {}),
    ],
)
def test_choices_are_fixed_by_dimension_stage_and_kind(
    demo_space: Space, fix: Mapping[str, Sequence[Choice]], left: Mapping[str, Sequence[Choice]]
) -> None:
    domain = Domain.of(demo_space, fix)
    assert domain.as_dict() == left
    assert Domain.of(demo_space, domain.as_dict()).allowed == domain.allowed


def test_a_fixed_choice_holds_in_every_subnet(demo_space: Space, rng: np.random.Generator) -> None:
    domain = Domain.of(demo_space, {"stage3.depth": [2, 4], "stage2.kernel": [5]})
    for subnet in decode(demo_space, domain.sample_spread(100, rng)):
        assert len(subnet.stages[2].blocks) in (2, 4)
        assert {block.kernel for block in subnet.stages[1].blocks} == {5}


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        ({"stage2.kernl": [3]}, "unknown dimension 'stage2.kernl'; did you mean 'stage2.kernel'"),
        ({"stage9.kernel": [3]}, "unknown dimension 'stage9.kernel'"),
        ({"stage3.depth": [9]}, "stage3.depth: 9 is no choice; it has 1, 2, 3, 4, 5"),
        ({"kernel": [9]}, "9 is no choice"),
        ({"resolution": [64]}, "resolution: 64 is no choice; it has 32"),
        ({"stage3.depth": []}, "stage3.depth: needs at least one value"),
        ({"stage2.kernel": [3], "stage2.block1.kernel": [5]}, "two rules leave no choice"),
        ({"": [3]}, "unknown dimension ''"),
    ],
)
def test_a_wrong_fix_says_what_is_right(
    demo_space: Space, fix: Mapping[str, Sequence[Choice]], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Domain.of(demo_space, fix)
    assert told in str(caught.value)


def test_all_wrong_fixes_are_told_at_once(demo_space: Space) -> None:
    with pytest.raises(ConfigError) as caught:
        Domain.of(demo_space, {"depht": [1], "stage3.depth": [9], "stage2.expand": []})
    assert len(caught.value.problems) == 3


def test_a_space_without_a_choice_has_one_subnet(rng: np.random.Generator) -> None:
    space = Space(
        name="fixed",
        resolutions=(16,),
        stem=Stem(width=(8,)),
        stages=(Stage(width=(8,), depth=(1,)),),
        head=Head(),
    )
    domain = Domain.of(space)
    assert domain.count == domain.combinations == 1
    assert domain.moves.shape == (0, 2)
    for genes in (domain.everything(), domain.smallest(), domain.largest()):
        assert genes.shape == (1, 0)
    genes = domain.sample(3, rng)
    assert genes.shape == domain.sample_spread(3, rng).shape == (3, 0)
    assert domain.mutate(genes, 0.5, rng).shape == (3, 0)
    assert domain.crossover(genes, genes, rng).shape == (3, 0)
    assert domain.neighbours(genes[:1]).shape == (0, 0)
    assert domain.contains(genes).all()
