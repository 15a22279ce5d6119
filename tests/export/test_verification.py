"""When a file is said to compute what torch computes."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from supernet.export import OpenedModel, Sample
from supernet.export.verification import Verification, compared, verify
from torch import Tensor, nn

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


def test_probabilities_are_called_so() -> None:
    expected = np.full((4, 3), 0.25)
    why = against(expected, expected + 0.01).refused(1e-4, "probabilities")
    assert why == (
        "it and torch differ by 0.01 in a probability, more than 0.0001 where probabilities are up "
        "to 0.25"
    )
    assert "in a logit, more than" in against(expected, expected + 0.01).refused(1e-4)
    nothing = against(expected, expected * np.nan).refused(1e-4, "probabilities")
    assert nothing.startswith("it gives probabilities that are not finite")


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


class _Chaotic(nn.Module):
    """Single precision loses much of it: a large summand comes and goes."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, 2, 2)`` to three of its values."""
        return (x.flatten(1)[:, :3] + 4096) - 4096


@pytest.mark.parametrize(("off", "right"), [(5e-4, True), (5e-3, False)])
def test_what_torch_rounds_itself_is_no_fault_of_a_file(off: float, right: bool) -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 1, 2, 2)
    network = _Chaotic()
    exact = network(images.double()).numpy()

    model = cast(OpenedModel, SimpleNamespace(logits=lambda _: (exact + off).astype(np.float32)))
    sample = Sample(batches=[images], labels=LABELS)
    found = verify(model, network, sample)
    assert 1e-4 < found.rounding < 3e-4
    assert (found.refused(1e-4) == "") == right
    assert verify(model, network, sample, precision="int8").rounding == 0
