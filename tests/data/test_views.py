"""What the network sees of an image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from supernet.data import (
    Dataset,
    Views,
    draw_views,
    drawn_view,
    eval_view,
    load_fashion_mnist,
    train_view,
)

# Sampling positions are float32: a value is off by 1/1000 of a grey level at most.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_fashion_mnist()


@pytest.fixture(scope="module")
def pixels(dataset: Dataset) -> Tensor:
    return torch.from_numpy(dataset.test.pixels(slice(0, 60)))


def padded(pixels: Tensor, margin: int, views: Views) -> Tensor:
    """Framed in black, then normalised."""
    framed = torch.nn.functional.pad(pixels.permute(0, 3, 1, 2) / 255, [margin] * 4)
    return (framed - views.mean[0]) / views.std[0]


def test_evaluation_frames_the_embedded_images_in_black(dataset: Dataset, pixels: Tensor) -> None:
    view = eval_view(pixels, 32, dataset.views)
    assert view.shape == (60, 1, 32, 32)
    assert (view - padded(pixels, 2, dataset.views)).abs().max() <= TOLERANCE


def test_evaluation_takes_the_centre_where_the_frame_is_smaller(
    dataset: Dataset, pixels: Tensor
) -> None:
    view = eval_view(pixels, 14, replace(dataset.views, frame=0.5))
    centre = padded(pixels, 0, dataset.views)[:, :, 7:21, 7:21]
    assert (view - centre).abs().max() <= TOLERANCE


@pytest.mark.parametrize("size", [16, 24, 32, 40])
def test_the_size_is_an_argument(dataset: Dataset, pixels: Tensor, size: int) -> None:
    rng = np.random.default_rng(0)
    assert eval_view(pixels, size, dataset.views).shape == (60, 1, size, size)
    assert train_view(pixels, size, dataset.views, rng).shape == (60, 1, size, size)


def test_training_shifts_the_embedded_images_by_at_most_two_pixels(
    dataset: Dataset, pixels: Tensor
) -> None:
    views = train_view(pixels, 32, dataset.views, np.random.default_rng(0))
    wide = padded(pixels, 4, dataset.views)  # 36 x 36
    shifts = set()
    for view, image in zip(views, wide):
        matches = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if (view - image[:, 2 + dy : 34 + dy, 2 + dx : 34 + dx]).abs().max() <= TOLERANCE
        ]
        assert matches
        shifts.update(matches)
    assert {abs(dy) for dy, _ in shifts} == {abs(dx) for _, dx in shifts} == {0, 1, 2}


def test_training_views_are_the_generators(dataset: Dataset, pixels: Tensor) -> None:
    first, same, other = (
        train_view(pixels, 32, dataset.views, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == same).all()
    assert (first != other).any()


def test_crops_stay_inside_colour_images_and_half_are_mirrored() -> None:
    views = Views(mean=(0.0,) * 3, std=(1.0,) * 3)
    ramp = torch.arange(1, 65, dtype=torch.uint8)[None, :].expand(64, 64)  # left to right
    images = ramp[None, :, :, None].expand(400, 64, 64, 3)
    seen = train_view(images, 16, views, np.random.default_rng(0))
    assert seen.min() >= 1 / 255 - 1e-5  # 0 would be the black around an image
    mirrored = (seen[:, 0, 8, 0] > seen[:, 0, 8, -1]).float().mean()
    assert 0.4 < float(mirrored) < 0.6
    width = (seen[:, 0, 8, 0] - seen[:, 0, 8, -1]).abs() * 255 * 16 / 15
    assert float(width.min()) > 64 * 0.4  # sqrt(0.25 x 3/4) of the side
    assert float(width.max()) <= 64.5


def test_channels_are_normalised_by_their_own_statistics() -> None:
    views = Views(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125), frame=1.0)
    view = eval_view(torch.full((1, 8, 8, 3), 51, dtype=torch.uint8), 8, views)
    expected = [(0.2 - 0.1) / 0.5, 0.0, (0.2 - 0.3) / 0.125]
    for channel, value in enumerate(expected):
        torch.testing.assert_close(view[0, channel], torch.full((8, 8), value), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [12, 17, 24])
def test_shrinking_averages_as_pillow_does(size: int) -> None:
    """Pillow rounds to whole grey levels, once for each direction."""
    from PIL import Image

    views = Views(mean=(0.0,) * 3, std=(1 / 255,) * 3, frame=1.0)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BILINEAR))
    seen = eval_view(torch.from_numpy(noise)[None], size, views)[0].permute(1, 2, 0).numpy()
    assert np.abs(seen - expected).max() <= 1.1


def test_shrunk_views_are_mirrored_and_placed_as_others() -> None:
    views = Views(mean=(0.0,), std=(1 / 255,))
    ramp = torch.arange(2, 130, dtype=torch.uint8)[None, None, :, None].expand(64, 128, 128, 1)
    draws = draw_views(64, 128, 128, views, np.random.default_rng(0))
    small, large = (drawn_view(ramp, size, views, draws) for size in (16, 128))
    means = torch.nn.functional.avg_pool2d(large, 8)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert (small[inside] - means[inside]).abs().max() < 0.6
    assert (small[:, 0, 8, 0] > small[:, 0, 8, -1]).any()
