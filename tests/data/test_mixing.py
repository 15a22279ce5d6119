"""Erased boxes and mixed pairs."""

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from supernet.data import Views, mixed
from supernet.data.mixing import draw_erased, draw_mixes, erased
from tests.accelerator import AVAILABLE, Accelerator

GREY = Views(mean=(0.5,), std=(0.5,))
SIZE = 32


def test_boxes_are_erased_as_often_and_as_large_as_asked_for() -> None:
    drawn = draw_erased(4000, 0.25, np.random.default_rng(0))
    views = erased(torch.ones(4000, 2, 64, 64), drawn)
    holes = (views == 0).float()
    assert torch.equal(holes[:, 0], holes[:, 1])
    share = holes[:, 0].mean((1, 2))
    assert 0.22 < float((share > 0).float().mean()) < 0.28
    found = share[share > 0]
    assert 0.015 < float(found.min()) < 0.03
    assert 0.3 < float(found.max()) < 0.35
    height, width = holes[:, 0].amax(2).sum(1), holes[:, 0].amax(1).sum(1)
    assert torch.equal(height * width, holes[:, 0].sum((1, 2)))  # boxes
    rows, columns = holes[:, 0].sum((0, 2)), holes[:, 0].sum((0, 1))
    assert min(rows.min(), columns.min()) > 0  # up to the borders


def test_nothing_is_erased_without_a_probability() -> None:
    assert draw_erased(3, 0.0, np.random.default_rng(0)).shape == (3, 0)


def pairs(alpha: dict[str, Any], count: int = 2000) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of ones that belong to class 1, each mixed with zeros of class 0."""
    drawn = draw_mixes(count, Views(mean=(0.5,), std=(0.5,), **alpha), np.random.default_rng(0))
    images = torch.ones(2 * count, 1, SIZE, SIZE)
    images[count:] = 0
    labels = torch.tensor([1] * count + [0] * count)
    partner = np.concatenate([np.arange(count) + count, np.arange(count)])
    views, soft = mixed(images, labels, partner, np.concatenate([drawn, drawn]), 3)
    torch.testing.assert_close(soft.sum(1), torch.ones(2 * count))
    assert not soft[:, 2].any()
    return views[:count], soft[:count, 1]


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_adds_images_by_the_share_of_their_labels(alpha: float) -> None:
    views, share = pairs({"mixup": alpha})
    torch.testing.assert_close(views, share.view(-1, 1, 1, 1).expand_as(views))
    # of a Beta distribution, each pair with a draw of its own
    assert float(share.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
    assert len(share.unique()) > 1000


def test_cutmix_pastes_boxes_whose_area_is_the_share_of_the_other_label() -> None:
    views, share = pairs({"cutmix": 1.0})
    assert set(views.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(views.mean((1, 2, 3)), share)
    hole = 1 - views[:, 0]
    assert torch.equal(hole.amax(2).sum(1) * hole.amax(1).sum(1), hole.sum((1, 2)))
    assert 0.5 < float(share.mean()) < 0.7  # boxes lose what lies outside of the image


def test_both_have_half_of_the_images_each() -> None:
    views, _ = pairs({"mixup": 1.0, "cutmix": 1.0})
    whole = ((views == 0) | (views == 1)).all(-1).all(-1).float().mean()
    assert 0.45 < float(whole) < 0.55


def test_one_pair_is_mixed_as_by_torchvision() -> None:
    """`v2.MixUp` rolls a batch by one, so in a batch of two each has the other as well."""
    images, labels = torch.rand(2, 3, SIZE, SIZE), torch.tensor([2, 0])
    theirs = v2.MixUp(num_classes=3)
    expected = [
        theirs.transform(x, {"labels": labels, "lam": 0.3, "batch_size": 2})
        for x in (
            images,
            labels,
        )
    ]
    drawn = np.array([[0.3, 0, 0.5, 0.5]] * 2)
    for ours, known in zip(mixed(images, labels, np.array([1, 0]), drawn, 3), expected):
        torch.testing.assert_close(ours, known)
    # a centre at 8.3, 30.1 and a share that cuts 16 by 16 pixels
    drawn = np.array([[0.75, 1, 8.3 / SIZE, 30.1 / SIZE]] * 2)
    cut = v2.CutMix(num_classes=3)
    given = {"labels": labels, "box": (22, 0, 32, 16), "batch_size": 2}
    given["lam_adjusted"] = 1 - 160 / SIZE**2
    for ours, of in zip(mixed(images, labels, np.array([1, 0]), drawn, 3), (images, labels)):
        torch.testing.assert_close(ours, cut.transform(of, given))


@pytest.mark.skipif(not AVAILABLE, reason="this torch has no devices in Python")
def test_erasing_and_mixing_wait_for_nothing() -> None:
    views = Views(mean=(0.5,), std=(0.5,), mixup=0.2, cutmix=1.0)
    rng = np.random.default_rng(0)
    boxes, drawn = draw_erased(8, 1.0, rng), draw_mixes(8, views, rng)
    images, labels, partner = torch.rand(8, 3, 16, 16), torch.arange(8), np.arange(8) ^ 1
    expected = mixed(erased(images.clone(), boxes), labels, partner, drawn, 8)
    with Accelerator() as accelerator:
        there = [x.to(accelerator.device, non_blocking=True) for x in (images, labels)]
        found = mixed(erased(there[0], boxes), there[1], partner, drawn, 8)
        assert accelerator.waits == []
        for ours, known in zip(found, expected):
            assert torch.equal(ours.cpu(), known)
