"""When a file is said to compute what torch computes."""

import numpy as np
import pytest
from supernet.export import Sample
from supernet.export.verification import Verification, compared

LABELS = np.array([0, 1, 2, 0])


def against(expected: np.ndarray, found: np.ndarray) -> Verification:
    sample = Sample(batches=[], labels=LABELS)
    return compared(found.astype(np.float32), expected.astype(np.float32), sample)


@pytest.mark.parametrize(
    ("size", "off", "right"),
    [(3.0, 5e-5, True), (3.0, 2e-4, False), (209.0, 2e-4, True), (209.0, 1e-2, False)],
)
def test_rounding_grows_with_the_logits(size: float, off: float, right: bool) -> None:
    expected = np.linspace(-size, size, 12).reshape(4, 3)
    found = against(expected, expected + off)
    assert (found.refused(1e-4) == "") == right
    if not right:
        assert f"up to {size:.3g}" in found.refused(1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_has_a_sentence_of_its_own(bad: float) -> None:
    expected = np.zeros((4, 3))
    found = expected.copy()
    found[2, 1] = bad
    assert "it gives logits that are not finite" in against(expected, found).refused(1e-4)
    assert "the weights are damaged" in against(found, found).refused(1e-4)


def test_accuracies_are_of_each() -> None:
    expected = np.eye(3)[[0, 1, 1, 0]]
    found = np.eye(3)[[0, 1, 2, 1]]
    made = against(expected, found)
    assert (made.images, made.top1, made.torch_top1, made.agreement) == (4, 75.0, 75.0, 50.0)
