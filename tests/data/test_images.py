"""Image sets are selections, and the hold-out split is fair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.data import ImageSet, hold_out
from supernet.errors import DataError


def images(labels: list[int]) -> ImageSet:
    """Each image shows its own number."""
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return ImageSet(np.broadcast_to(pixels, (len(labels), 2, 2, 1)), np.array(labels))


def numbers(found: ImageSet) -> list[int]:
    shown: list[int] = found.pixels(slice(None))[:, 0, 0, 0].tolist()
    return shown


def test_a_selection_of_a_selection() -> None:
    whole = images([0, 1, 0, 1, 0, 1])
    part = whole.take(np.array([5, 3, 1, 0]))
    assert numbers(part) == [5, 3, 1, 0]
    assert part.labels.tolist() == [1, 1, 1, 0]
    assert numbers(part.take(np.array([3, 0]))) == [0, 5]
    assert part.pixels(np.array([2, 2]))[:, 0, 0, 0].tolist() == [1, 1]
    assert (len(whole), len(part), whole.channels) == (6, 4, 1)


@given(
    counts=st.lists(st.integers(2, 20), min_size=2, max_size=5),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 1000),
)
def test_the_same_share_of_every_class_is_held_out(
    counts: list[int], share: float, seed: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rest, held = hold_out(images(labels.tolist()), share, seed)
    assert sorted(numbers(rest) + numbers(held)) == list(range(len(labels)))
    for part in (rest, held):
        assert part.labels.tolist() == labels[numbers(part)].tolist()
    expected = [max(1, round(share * count)) for count in counts]
    assert np.bincount(held.labels).tolist() == expected


def test_the_held_out_images_are_the_seeds() -> None:
    whole = images([0, 1] * 30)
    first, same, other = (hold_out(whole, 0.3, seed)[1] for seed in (1, 1, 2))
    assert numbers(first) == numbers(same) != numbers(other)


def test_a_class_of_one_image_cannot_give_it_away() -> None:
    with pytest.raises(DataError, match="class 1 has 1 training images: too few to hold 1") as e:
        hold_out(images([0, 0, 1]), 0.1, 0)
    assert e.value.hint == "every class needs at least 2 training images"


def test_a_large_hold_out_is_capped_and_its_images_are_those_of_the_uncapped_one() -> None:
    whole = images([0, 1, 2, 2] * 60)
    _, uncapped = hold_out(whole, 0.5, 3)
    rest, held = hold_out(whole, 0.5, 3, most=60)
    assert (len(uncapped), len(held), len(rest)) == (120, 60, 180)
    assert set(numbers(held)) < set(numbers(uncapped))  # so older runs never trained on them
    assert np.bincount(held.labels).tolist() == [15, 15, 30]
    assert len(hold_out(whole, 0.5, 3, most=1)[1]) == 3  # one of every class
