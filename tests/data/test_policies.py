"""Policies against torchvision's, which are those of the papers."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from torchvision.transforms import v2

from supernet.data.policies import Operation, draw_operations, strengths

THEIRS: dict[str, Any] = {
    "trivial": v2.TrivialAugmentWide(),
    "rand": v2.RandAugment(),
    "auto": v2.AutoAugment(),
}
BINS = {"trivial": 31, "rand": 31, "auto": 10}
BLENDS = {"Brightness", "Color", "Contrast", "Sharpness"}


def their_name(operation: Operation) -> str:
    """As torchvision calls it, such as ``ShearX``."""
    return "".join(word.capitalize() for word in operation.name.split("_"))


@pytest.mark.parametrize("policy", THEIRS)
@pytest.mark.parametrize("size", [32, 100, 224])
def test_strengths_are_torchvisions(policy: Any, size: int) -> None:
    ours, known = strengths(policy, size), THEIRS[policy]._AUGMENTATION_SPACE
    for name, (theirs, _) in known.items():
        operation = next(o for o in Operation if their_name(o) == name)
        expected = theirs(BINS[policy], size, size)
        if expected is None:
            assert not ours[operation].any()
            continue
        values = expected.numpy().astype(np.float64)
        if name.startswith("Translate"):
            values = values.astype(np.int64)
        if name == "Solarize":
            values = 255 * values
        np.testing.assert_array_equal(ours[operation], values, err_msg=name)


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_every_image_draws_evenly_from_torchvisions_operations(policy: Any) -> None:
    drawn = draw_operations(14_000, policy, np.random.default_rng(0))
    known = THEIRS[policy]
    assert drawn.shape == (14_000, 1 if policy == "trivial" else known.num_ops, 3)
    for layer in np.moveaxis(drawn, 1, 0):
        counts = Counter(their_name(Operation(o)) for o in layer[:, 0])
        assert set(counts) == set(known._AUGMENTATION_SPACE)
        assert all(850 < n < 1150 for n in counts.values())
    levels = set(drawn[..., 1].ravel().tolist())
    assert levels == (set(range(31)) if policy == "trivial" else {known.magnitude})
    assert known.num_magnitude_bins == 31


def test_signs_are_drawn_for_those_operations_that_have_one() -> None:
    drawn = draw_operations(20_000, "trivial", np.random.default_rng(0))[:, 0]
    for operation in list(Operation)[:-1]:
        signed = THEIRS["trivial"]._AUGMENTATION_SPACE[their_name(operation)][1]
        mean = drawn[drawn[:, 0] == operation, 2].mean()
        assert abs(mean) < 0.1 if signed else mean == 1


def test_the_sub_policies_are_torchvisions() -> None:
    """By how often each pair is drawn: 25 of them, each operation with its probability."""
    expected: defaultdict[tuple[tuple[str, int], ...], float] = defaultdict(float)
    known = THEIRS["auto"]
    for first, second in known._policies:
        for used in np.ndindex(2, 2):
            share, pair = 1.0, list[tuple[str, int]]()
            for (name, probability, level), use in zip((first, second), used):
                share *= probability if use else 1 - probability
                pair.append((name, level or 0) if use else ("Identity", 0))
            expected[tuple(pair)] += share / len(known._policies)
    count = 200_000
    drawn = draw_operations(count, "auto", np.random.default_rng(0))
    found = Counter(
        tuple((their_name(Operation(o)), int(level) if o else 0) for o, level, _ in both)
        for both in drawn.tolist()
    )
    assert set(found) == {both for both, share in expected.items() if share > 0}
    for both, times in found.items():
        spread = (count * expected[both]) ** 0.5
        assert abs(times - count * expected[both]) < 5 * spread, both


def test_nothing_is_drawn_without_a_policy() -> None:
    assert draw_operations(5, "none", np.random.default_rng(0)).shape == (5, 0, 3)
