"""Operations on batches against torchvision's on single images."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from supernet.data.operations import operated
from supernet.data.policies import Operation, draw_operations
from tests.accelerator import AVAILABLE, Accelerator
from tests.data.test_policies import BINS, BLENDS, THEIRS, their_name

LEVELS = [0, 3, -1]
ROUNDED = BLENDS | {"ShearX", "ShearY", "Rotate"}
"""Computed in another order of the same sums: now and then one of 255 off."""


@pytest.fixture(scope="module", params=[1, 3])
def images(request: pytest.FixtureRequest) -> Tensor:
    """Smooth ones with some contrast, whole numbers from 0 to 255, ``(6, C, 24, 24)``."""
    torch.manual_seed(0)
    small = torch.rand(6, request.param, 5, 5)
    large = torch.nn.functional.interpolate(small, size=24, mode="bicubic").clamp(0, 1)
    large[0] = 0.25  # one without any
    return (large * 255).round()


@pytest.mark.parametrize("policy", THEIRS)
def test_each_operation_at_its_levels_is_torchvisions(images: Tensor, policy: Any) -> None:
    bilinear = v2.InterpolationMode.BILINEAR
    applied = type(THEIRS[policy])(interpolation=bilinear)._apply_image_or_video_transform
    for name, (magnitudes, signed) in THEIRS[policy]._AUGMENTATION_SPACE.items():
        operation = next(o for o in Operation if their_name(o) == name)
        known = magnitudes(BINS[policy], 24, 24)
        # neighbours in a batch have other levels and signs
        levels = np.resize([level % BINS[policy] for level in LEVELS], 6)
        signs = np.array([1, 1, 1, -1, -1, -1]) if signed else np.ones(6)
        drawn = np.stack([np.full(6, operation), levels, signs], axis=1)[:, None].astype(np.int64)
        found = operated(images, drawn, policy)
        for image, ours, level, sign in zip(images.to(torch.uint8), found, levels, signs):
            strength = 0.0 if known is None else float(known[level]) * sign
            fill: dict[Any, Any] = {torch.Tensor: None}
            expected = applied(image, name, strength, interpolation=bilinear, fill=fill).float()
            off = (ours - expected).abs()
            assert off.max() <= (name in ROUNDED), (name, level, sign)
            assert (off > 0).float().mean() < 0.1, (name, level, sign)


def test_operations_follow_one_another_on_their_images_alone(images: Tensor) -> None:
    drawn = np.array([[[0, 0, 1], [0, 0, 1]]] * 6)
    drawn[2] = [[Operation.INVERT, 0, 1], [Operation.POSTERIZE, 9, 1]]
    drawn[4] = [[Operation.POSTERIZE, 9, 1], [Operation.INVERT, 0, 1]]
    found = operated(images, drawn, "auto").to(torch.uint8)
    plain = images.to(torch.uint8)
    assert torch.equal(found[2], v2.functional.posterize(~plain[2], 4))
    assert torch.equal(found[4], ~v2.functional.posterize(plain[4], 4))
    others = [0, 1, 3, 5]
    assert torch.equal(found[others], plain[others])


@pytest.mark.skipif(not AVAILABLE, reason="this torch has no devices in Python")
def test_no_operation_waits_for_the_device(images: Tensor) -> None:
    drawn = np.array([[[operation, 5, 1]] for operation in Operation])
    many = images[:1].expand(len(drawn), -1, -1, -1).contiguous() + 3.4
    expected = operated(many, drawn, "trivial")
    with Accelerator() as accelerator:
        there = many.to(accelerator.device, non_blocking=True)
        found = operated(there, drawn, "trivial")
        assert accelerator.waits == []
        assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize("channels", [2, 4])
def test_images_of_any_number_of_channels_can_be_varied(channels: int) -> None:
    drawn = draw_operations(40, "rand", np.random.default_rng(0))
    found = operated(torch.rand(40, channels, 16, 16) * 255, drawn, "rand")
    assert found.shape == (40, channels, 16, 16)
    assert 0 <= float(found.min()) <= float(found.max()) <= 255
