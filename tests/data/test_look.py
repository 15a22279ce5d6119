"""What names and headers tell of images."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from supernet.data import Decoding, load_dataset, look_at
from supernet.errors import DataError


@pytest.fixture
def photos(tmp_path: Path, home: Path) -> Path:
    """Two classes: 30 training images of 60 x 40, and 12 of 40 x 80; four test images each."""
    root = tmp_path / "photos"
    for name, count, size in (("ant", 30, (60, 40)), ("bee", 12, (40, 80))):
        for split, images in (("train", count), ("val", 4)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(images):
                Image.new("RGB", size, (number, 99, 99)).save(folder / f"{number}.png")
    return root


def test_a_look_counts_and_measures(photos: Path) -> None:
    look = look_at(str(photos))
    assert look.classes == ("ant", "bee")
    ants, bees = look.train_counts
    assert look.train_images + look.holdout_images == 42
    assert 15 < ants < 30
    assert 3 < bees < 12
    assert look.test_counts == (4, 4)
    assert look.short_sides == (40, 40, 40)
    assert look.long_share == 1.5
    assert look.channels == 3


def test_a_look_counts_what_a_training_will_have(photos: Path) -> None:
    look, dataset = look_at(str(photos)), load_dataset(str(photos), resolution=28)
    assert look.train_images == len(dataset.train)
    assert look.holdout_images == len(dataset.holdout)
    assert look.test_images == len(dataset.test)
    assert look.side(28) == dataset.train.size[0]


def test_images_that_lie_decoded_are_not_counted_again(photos: Path) -> None:
    before = look_at(str(photos)).decoding(28)
    assert (before.images, before.new_bytes, before.streamed) == (50, 50 * 32 * 32 * 3, 0)
    assert before.seconds > 0
    load_dataset(str(photos), resolution=28)
    assert look_at(str(photos)).decoding(28) == Decoding()
    assert look_at(str(photos)).decoding(32).images == 50
    assert look_at(str(photos)).decoding(28, whole=True).new_bytes == 50 * 32 * 48 * 3


def test_only_what_was_added_is_to_be_decoded(photos: Path) -> None:
    load_dataset(str(photos), resolution=28)
    shutil.copy(photos / "train" / "ant" / "0.png", photos / "train" / "ant" / "added.png")
    found = look_at(str(photos)).decoding(28)
    assert found.images == 1
    assert found.new_bytes == 43 * 32 * 32 * 3  # the store is written anew


def test_a_broken_header_is_passed_over(photos: Path) -> None:
    (photos / "train" / "ant" / "0.png").write_bytes(b"no image")
    look = look_at(str(photos))
    assert look.train_images + look.holdout_images == 42
    assert look.decoding(28).seconds > 0


def test_images_of_which_none_can_be_read_are_refused(photos: Path) -> None:
    for number, path in enumerate((photos / "train").rglob("*.png")):
        path.write_bytes(f"no image {number}".encode())
    with pytest.raises(DataError, match="none of 42 images that were opened can be read"):
        look_at(str(photos))


def test_stored_pixels_are_seen_at_the_size_of_their_frame() -> None:
    look = look_at("fashion_mnist")
    assert look.short_sides == (32, 32, 32)  # 28 pixels in a black frame
    assert (look.channels, look.train_images, look.holdout_images) == (1, 10_000, 2_000)
    assert look.decoding(32) == Decoding()
    assert look.side(24) == 28
