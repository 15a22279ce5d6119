"""Pictures that are stored with what lies beside their central square."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from supernet.data import Dataset, Views, draw_views, drawn_from_blocks, drawn_view, load_folder
from supernet.data.decoding import Square
from supernet.reading import Reading

SIZES = [(90, 60), (60, 90), (60, 60), (61, 60), (300, 40), (40, 300), (83, 71), (71, 83)]


def smooth(width: int, height: int) -> Any:
    """From left to right in red, from above to below in green."""
    red = np.broadcast_to(np.linspace(20, 220, width)[None, :], (height, width))
    green = np.broadcast_to(np.linspace(20, 220, height)[:, None], (height, width))
    return np.round(np.stack([red, green, np.full((height, width), 60)], axis=-1)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shapes"
    for name in ("ant", "bee"):
        for split in ("train", "val"):
            (root / split / name).mkdir(parents=True)
            for i, size in enumerate(SIZES):
                Image.fromarray(smooth(*size)).save(root / split / name / f"{i}.png")
    return root


def load(folder: Path, *, whole: bool) -> Dataset:
    cache = folder.parent / "cache"
    return load_folder(folder, resolution=28, cache=cache, reading=Reading(whole=whole))


def test_the_central_squares_have_the_same_bits(folder: Path) -> None:
    with_sides, without = load(folder, whole=True), load(folder, whole=False)
    for split in ("train", "holdout", "test"):
        some, same = getattr(with_sides, split), getattr(without, split)
        np.testing.assert_array_equal(some.pixels(slice(None)), same.pixels(slice(None)))
        assert some.size == same.size == (32, 32)
    assert with_sides.test.has_sides
    assert not without.test.has_sides


def test_noise_has_the_same_bits_in_the_middle(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for width, height in SIZES:
        path = tmp_path / f"{width}x{height}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
        for side in (32, 33, 55):
            plain, wide = Square(side=side), Square(side=side, whole=True)
            picture, start = wide.decoded(path), (wide.long - side) // 2
            block = picture.pixels
            if picture.extent[0] > picture.extent[1]:
                middle = block.reshape(wide.long, side, 3)[start : start + side]
            else:
                middle = block[:, start : start + side]
            np.testing.assert_array_equal(middle, plain.decoded(path).pixels)


def test_half_of_the_side_is_kept_at_most(folder: Path) -> None:
    test = load(folder, whole=True).test
    assert test.blocks(slice(0, 1)).shape == (1, 32, 48, 3)
    assert test.extents(slice(0, 8)).tolist() == [
        [32, 48],
        [48, 32],
        [32, 32],
        [32, 32],
        [32, 48],
        [48, 32],
        [32, 36],
        [36, 32],
    ]


def test_crops_range_over_the_whole_picture(folder: Path) -> None:
    """Red and green of a view's pixels say where in the picture they are."""
    test = load(folder, whole=True).test
    views = Views(mean=(0.0,) * 3, std=(1 / 255,) * 3, crop_area=(0.2, 0.3), flip=False)
    for row, (width, height) in enumerate(SIZES[:3]):
        index = np.full(400, row)
        extents = test.extents(index)
        draws = draw_views(400, extents[:, 0], extents[:, 1], views, np.random.default_rng(0))
        blocks = torch.from_numpy(test.blocks(index))
        seen = drawn_from_blocks(blocks, extents, 16, views, draws)
        assert float(seen[:, 2, 1:-1, 1:-1].min()) > 58  # never the black beside a picture
        for channel, axis in ((0, 3), (1, 2)):
            ends = seen[:, channel].amin(dim=(1, 2)), seen[:, channel].amax(dim=(1, 2))
            assert float(ends[0].min()) < 30, (width, height, axis)
            assert float(ends[1].max()) > 210, (width, height, axis)
        shares = (seen[:, :2, -2, -2] - seen[:, :2, 1, 1]) / 200 * 16 / 13
        area = (shares[:, 0] * shares[:, 1]).numpy()
        assert 0.18 < area.min() < area.max() < 0.32
        ratio = (shares[:, 0] * width / (shares[:, 1] * height)).numpy()
        assert 0.7 < ratio.min() < ratio.max() < 1.42


def test_square_pictures_are_cropped_as_without_sides(folder: Path) -> None:
    views = Views(mean=(0.0,) * 3, std=(1.0,) * 3)
    square, wide = load(folder, whole=False).test, load(folder, whole=True).test
    index = np.array([2, 10])
    draws = draw_views(2, 32, 32, views, np.random.default_rng(5))
    height, width = wide.extents(index).T
    again = draw_views(2, height, width, views, np.random.default_rng(5))
    np.testing.assert_array_equal(draws.centre, again.centre)
    np.testing.assert_array_equal(draws.half, again.half)
    blocks = torch.from_numpy(wide.blocks(index))
    seen = drawn_from_blocks(blocks, wide.extents(index), 20, views, draws)
    expected = drawn_view(torch.from_numpy(square.pixels(index)), 20, views, draws)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # the frame of black differs
    torch.testing.assert_close(seen[inside], expected[inside], atol=2e-3, rtol=0)


def test_sides_are_kept_for_crops_alone(folder: Path) -> None:
    dataset = load(folder, whole=True)
    assert dataset.reading.whole
    padded = load_folder(
        folder,
        resolution=28,
        cache=folder.parent / "cache",
        reading=replace(dataset.reading, fit="pad"),
    )
    assert not padded.train.has_sides
