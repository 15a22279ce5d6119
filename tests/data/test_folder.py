"""Folders of class folders: what is refused, what is accepted, and the cache."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from supernet.data import Dataset, decoding, load_dataset, load_folder
from supernet.errors import DataError
from tests.data.painted import insects, paint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes `ant` and `bee`: five training and two test images each."""
    return insects(tmp_path / "insects")


def load(folder: Path, **changes: Any) -> Dataset:
    options: dict[str, Any] = {"resolution": 14, "cache": folder.parent / "cache"} | changes
    return load_folder(folder, **options)


def shown(dataset: Dataset, split: str) -> dict[int, int]:
    """Label by the red value that the image was painted with."""
    images = getattr(dataset, split)
    red = images.pixels(slice(None))[:, 3, 3, 0].tolist()
    return dict(zip(red, images.labels.tolist(), strict=True))


def test_images_get_the_label_of_their_folder(folder: Path) -> None:
    dataset = load(folder)
    assert dataset.classes == ("ant", "bee")
    assert dataset.name == "insects"
    assert dataset.in_channels == 3
    train = shown(dataset, "train") | shown(dataset, "holdout")
    assert train == {number: number // 10 for number in (1, 2, 3, 4, 5, 11, 12, 13, 14, 15)}
    assert shown(dataset, "test") == {50: 0, 51: 0, 60: 1, 61: 1}
    assert np.bincount(dataset.holdout.labels).tolist() == [1, 1]


def test_a_margin_of_a_seventh_is_kept_for_crops(folder: Path) -> None:
    assert load(folder).train.pixels(slice(0, 1)).shape == (1, 16, 16, 3)  # 14 x 8 / 7


def test_the_centre_of_the_short_side_is_kept(folder: Path) -> None:
    stripes = np.zeros((10, 30, 3), dtype=np.uint8)
    stripes[:, 10:20] = 255
    Image.fromarray(stripes).save(folder / "val" / "ant" / "0.png")
    image = load(folder).test.pixels(np.array([0]))[0]
    assert image[:, 3:13].min() > 250


def test_the_orientation_of_a_camera_is_followed(folder: Path) -> None:
    left = np.zeros((20, 20, 3), dtype=np.uint8)
    left[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half
    Image.fromarray(left).save(folder / "val" / "ant" / "0.png", exif=exif)
    image = load(folder).test.pixels(np.array([0]))[0]
    assert image[8, 2, 0] < 50
    assert image[8, 13, 0] > 200


def test_deeper_folders_and_other_files_are_no_trouble(folder: Path) -> None:
    paint(folder / "train" / "ant" / "more" / "x.PNG", 9)
    (folder / "train" / "ant" / "notes.txt").write_text("not an image")
    (folder / "train" / ".DS_Store").write_text("")
    assert len(load(folder).train) == 9


def test_what_is_decoded_is_told(folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    load(folder, progress=lambda *values: told.append(values))
    told = [values for values in told if values[1]]  # others are notes
    read = [(10, 10, "reading images"), (4, 4, "reading images")]
    assert told == [*read, *((k, n, "decoding images") for k, n in ((10, 10), (4, 4)))]


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_broken_images_are_counted_and_the_first_named(folder: Path, content: bytes) -> None:
    for name in ("1.png", "3.png"):
        (folder / "train" / "bee" / name).write_bytes(content)
    with pytest.raises(DataError, match="2 of 14 images cannot be decoded") as caught:
        load(folder)
    assert str(folder / "train" / "bee" / "1.png") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint.startswith("remove or replace them, or leave them out by --skip")


def test_a_truncated_image_is_named(folder: Path) -> None:
    path = folder / "train" / "ant" / "2.png"
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(DataError, match=r"1 of 14 images cannot be decoded.*ant/2\.png"):
        load(folder)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", "png"),
        ("I;16", "png"),
        ("L", "png"),
        ("LA", "png"),
        ("P", "png"),
        ("RGBA", "png"),
        ("CMYK", "jpg"),
        ("L", "jpg"),
        ("CMYK", "tif"),
        ("RGB", "webp"),
        ("P", "gif"),
        ("RGB", "bmp"),
        ("RGB", "ppm"),
    ],
)
def test_every_usual_kind_of_image_is_accepted(folder: Path, mode: str, suffix: str) -> None:
    path = folder / "train" / "ant" / f"other.{suffix}"
    grey = np.full((20, 20), 128, dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(np.full((20, 20), 1 << 15, dtype=np.uint16))
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode)
    image.save(path)
    dataset = load(folder)
    assert len(dataset.train) + len(dataset.holdout) == 11
    if mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        square = decoding.Square(side=16).decoded(path).pixels
        assert square.shape == (16, 16, 3)
        assert abs(square.astype(int) - 128).max() <= 3


# ------------------------------------------------------------------ cache


def refuse(square: decoding.Square, path: Path) -> None:
    raise AssertionError("decoded again")


def test_the_second_time_nothing_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder)
    monkeypatch.setattr(decoding.Square, "decoded", refuse)
    again = load(folder)
    for split in ("train", "holdout", "test"):
        assert shown(again, split) == shown(first, split)


def test_a_folder_given_by_name_is_cached_at_home(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_dataset(str(folder), resolution=14)
    assert len(list((home / "images").glob("*.npy"))) == 2
    monkeypatch.setattr(decoding.Square, "decoded", refuse)
    load_dataset(str(folder), resolution=14)


def touch(path: Path) -> None:
    now = path.stat().st_mtime_ns
    os.utime(path, ns=(now, now + 1_000_000))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: touch(root / "train" / "ant" / "0.png"),
        lambda root: paint(root / "train" / "ant" / "0.png", 99, (40, 40)),
        lambda root: paint(root / "train" / "ant" / "new.png", 9),
        lambda root: (root / "train" / "ant" / "0.png").rename(root / "train" / "bee" / "z.png"),
    ],
)
def test_changed_files_are_decoded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    load(folder)
    change(folder)
    monkeypatch.setattr(decoding.Square, "decoded", refuse)
    with pytest.raises(DataError, match="decoded again"):
        load(folder)


def test_another_resolution_has_its_own_cache(folder: Path) -> None:
    small, large = load(folder), load(folder, resolution=28)
    assert large.train.pixels(slice(0, 1)).shape == (1, 32, 32, 3)
    assert small.train.pixels(slice(0, 1)).shape == (1, 16, 16, 3)


def test_images_of_before_are_not_decoded_again_when_one_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown(load(folder), "train") | shown(load(folder), "holdout")
    (folder / "train" / "ant" / "0.png").unlink()
    monkeypatch.setattr(decoding.Square, "decoded", refuse)
    after = load(folder)
    assert shown(after, "train") | shown(after, "holdout") == {
        red: label for red, label in before.items() if red != 1
    }
    assert len(list((folder.parent / "cache").glob("*.npy"))) == 2  # the old one is gone


def test_what_was_decoded_before_an_interruption_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int, text: str) -> None:
        if text == "decoding images":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(folder, progress=interrupt)
    told: list[tuple[int, int, str]] = []
    dataset = load(folder, progress=lambda *values: told.append(values))
    decoded = [total for done, total, text in told if text == "decoding images"]
    assert set(decoded) == {4}  # the ten of train/ were done
    assert shown(dataset, "train") == shown(load(folder, cache=folder.parent / "new"), "train")


def test_pixels_are_mapped_into_memory_and_read_only(folder: Path) -> None:
    stored = load(folder).train._stored
    assert isinstance(stored, np.memmap)
    assert not stored.flags.writeable
