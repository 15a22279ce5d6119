"""Images are cut by what they hold: others that come or go move none."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.data.shares import cut

Digests = npt.NDArray[np.uint64]


def digests(count: int, seed: int = 0) -> Digests:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def test_the_share_is_met_on_average() -> None:
    chosen = cut(digests(100_000), np.zeros(100_000, dtype=np.int64), 0.1, "a", most=100_000)
    assert abs(chosen.mean() - 0.1) < 4 * (0.1 * 0.9 / 100_000) ** 0.5  # four deviations


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_every_class_gives_some_and_keeps_some(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    chosen = cut(digests(len(labels), seed), labels, 0.2, "a")
    for label, size in enumerate(sizes):
        own = int(chosen[labels == label].sum())
        assert (own == 0) if size == 1 else (0 < own < size)


@given(count=st.integers(2, 60), seed=st.integers(0, 99))
def test_an_image_that_is_added_moves_no_training_image(count: int, seed: int) -> None:
    found, labels = digests(count + 1, seed), np.zeros(count + 1, dtype=np.int64)
    before = cut(found[:-1], labels[:-1], 0.2, "a")
    after = cut(found, labels, 0.2, "a")[:-1]
    assert not (after & ~before).any()


def test_an_image_that_is_added_moves_no_other_where_a_class_has_some_dozens() -> None:
    found, labels = digests(301, 5), np.arange(301) % 3
    for salt in map(str, range(50)):
        before, after = (cut(found[:n], labels[:n], 0.2, salt) for n in (300, 301))
        assert np.array_equal(before, after[:300])


def test_order_and_names_do_not_count() -> None:
    found, labels = digests(50), np.arange(50) % 2
    order = np.random.default_rng(1).permutation(50)
    whole = cut(found, labels, 0.2, "a")
    assert np.array_equal(cut(found[order], labels[order], 0.2, "a"), whole[order])


def test_another_salt_is_another_choice() -> None:
    found, labels = digests(200), np.zeros(200, dtype=np.int64)
    assert not np.array_equal(cut(found, labels, 0.2, "1"), cut(found, labels, 0.2, "2"))


def test_copies_are_on_one_side() -> None:
    found, labels = np.repeat(digests(100), 3), np.zeros(300, dtype=np.int64)
    chosen = cut(found, labels, 0.2, "a").reshape(100, 3)
    assert (chosen.all(axis=1) | ~chosen.any(axis=1)).all()


def test_a_class_of_copies_gives_none() -> None:
    chosen = cut(np.repeat(digests(1), 4), np.zeros(4, dtype=np.int64), 0.2, "a")
    assert not chosen.any()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_more_than_the_most_is_never_cut_and_those_are_some_of_the_uncapped(share: float) -> None:
    found, labels = digests(4000), np.arange(4000) % 4
    whole = cut(found, labels, share, "a", most=4000)
    some = cut(found, labels, share, "a", most=500)
    assert 200 < some.sum() < 560  # half the share until it is below 500: 250 to 500 expected
    assert not (some & ~whole).any()
    assert np.array_equal(cut(found[:-1], labels[:-1], share, "a", most=500), some[:-1])
