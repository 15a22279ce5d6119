"""Sums over operators of whole populations equal plain loops."""

import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from supernet.space import (
    Operator,
    OperatorSum,
    Space,
    decode,
    load_space,
    macs_of,
    operators,
    operators_of,
    params_of,
    sample,
    total_macs,
    total_params,
)
from supernet.space.additive import OperatorMax, joined_places, operator_tables
from supernet.space.layout import layout_of


def value(operator: Operator) -> float:
    """Some number that depends on everything in an operator."""
    return zlib.crc32(operator.key.encode()) / 2**32


@given(seed=st.integers(0, 2**32 - 1))
def test_the_sum_of_a_subnet_is_that_of_a_loop_over_its_operators(
    any_space: Space, seed: int
) -> None:
    genes = sample(any_space, 12, np.random.default_rng(seed))
    found = OperatorSum(any_space, value)(genes)
    loop = [sum(map(value, operators(any_space, s))) for s in decode(any_space, genes)]
    np.testing.assert_allclose(found, loop, rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
def test_costs_of_populations_are_exact(any_space: Space, seed: int) -> None:
    genes = sample(any_space, 12, np.random.default_rng(seed))
    lists = [operators(any_space, subnet) for subnet in decode(any_space, genes)]
    assert macs_of(any_space, genes).tolist() == [total_macs(each) for each in lists]
    assert params_of(any_space, genes).tolist() == [total_params(each) for each in lists]


def test_large_populations_are_summed_as_small_ones_are(
    tiny_space: Space, rng: np.random.Generator
) -> None:
    genes = sample(tiny_space, 2 * 16384 + 7, rng)  # more than two internal portions
    total = OperatorSum(tiny_space, value)
    whole = total(genes)
    for start in (0, 16380, 32765):
        rows = slice(start, start + 8)
        np.testing.assert_array_equal(whole[rows], total(genes[rows]))
    alone = [total(genes[row : row + 1])[0] for row in range(50)]
    assert whole[:50].tolist() == alone  # to the last bit: limits are compared with it
    assert total(genes[:0]).shape == (0,)


def test_a_value_is_asked_once_per_different_operator(tiny_space: Space) -> None:
    asked: list[Operator] = []
    OperatorSum(tiny_space, lambda operator: asked.append(operator) or 0.0)  # type: ignore[func-returns-value]  # None is what the `or` is for
    assert len(asked) == len(set(asked))
    assert asked == operators_of(tiny_space)


def test_the_tables_hold_the_operator_of_every_combination(any_space: Space) -> None:
    tables = operator_tables(any_space)
    for slot, table in zip(layout_of(any_space).slots, tables.slots):
        assert table.shape == tuple(len(dimension.choices) for dimension in slot.dimensions)
        found = [tables.operators[i] if i >= 0 else None for i in table.ravel().tolist()]
        assert found == list(slot.operators())


def test_every_operator_of_a_subnet_is_listed(tiny_space: Space, rng: np.random.Generator) -> None:
    listed = operators_of(tiny_space)
    subnets = decode(tiny_space, sample(tiny_space, 1000, rng))
    used = {operator for subnet in subnets for operator in operators(tiny_space, subnet)}
    assert used <= set(listed)
    assert len(listed) == len(set(listed))


@given(seed=st.integers(0, 2**32 - 1))
def test_the_largest_of_a_subnet_is_that_of_a_loop_over_its_operators(
    any_space: Space, seed: int
) -> None:
    genes = sample(any_space, 12, np.random.default_rng(seed))
    found = OperatorMax(any_space, value)(genes)
    loop = [max(map(value, operators(any_space, s))) for s in decode(any_space, genes)]
    assert found.tolist() == loop


def test_tables_of_few_genes_are_joined_and_large_ones_are_not() -> None:
    spans = tuple(slot.dimensions for slot in layout_of(load_space("mobilenet_v4")).slots)
    joined = joined_places(spans)
    assert sorted(place for group in joined for place in group) == list(range(len(spans)))
    assert len(joined) < len(spans)
    assert len(joined_places(spans, most=10**5)) < len(joined)
    first, second = sorted(spans, key=lambda s: np.prod([len(d.choices) for d in s]))[-2:]
    assert joined_places((first, second), most=1) == ((0,), (1,))
    assert joined_places((first, second, first), most=1) == ((0, 2), (1,))  # grows nothing
