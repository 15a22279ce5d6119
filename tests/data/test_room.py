"""Data sets that are larger, decoded, than the disk."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from supernet.data import Dataset, decoding, load_folder, look_at
from supernet.data.decoding import square_of
from supernet.data.files import ImageFile
from supernet.data.room import Room
from supernet.data.survey import survey
from supernet.errors import DataError
from supernet.progress import silent
from supernet.reading import FRESH, Reading

ROW = 16 * 16 * 3
"""Bytes of a decoded image for inputs of 14 px."""
SPLITS = "train", "holdout", "test"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes `ant` and `bee` of noise: 24 training and four test images each, some upright."""
    root = tmp_path / "insects"
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        for split, count in (("train", 24), ("val", 4)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, ((30, 20, 3), (18, 40, 3))[i % 2], np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Sets the room of the disk, in decoded images; stores take some of it, each image `rows`."""
    usage = shutil.disk_usage(tmp_path)

    def leave(images: float, rows: float = 1.0) -> None:
        def left(path: Path) -> Any:
            stored = sum(len(np.load(path)) for path in (tmp_path / "full").glob("*.npy"))
            return usage._replace(free=int((images - stored) * rows * ROW / 0.9) + 1)

        monkeypatch.setattr(shutil, "disk_usage", left)

    return leave


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is decoded."""
    counted: Counter[str] = Counter()
    whole = decoding.Square.decoded

    def count(square: decoding.Square, file: ImageFile) -> decoding.Picture:
        counted[str(file)] += 1
        return whole(square, file)

    monkeypatch.setattr(decoding.Square, "decoded", count)
    return counted


def load(folder: Path, reading: Reading = FRESH, cache: str = "full", **changes: Any) -> Dataset:
    options: dict[str, Any] = {"resolution": 14, "cache": folder.parent / cache} | changes
    return load_folder(folder, reading=reading, **options)


def same(found: Dataset, expected: Dataset) -> None:
    for split in SPLITS:
        mine, theirs = getattr(found, split), getattr(expected, split)
        rows = np.random.default_rng(1).permutation(len(theirs))
        assert len(mine) == len(theirs)
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        np.testing.assert_array_equal(mine.pixels(rows), theirs.pixels(rows))
        np.testing.assert_array_equal(mine.blocks(rows), theirs.blocks(rows))
        np.testing.assert_array_equal(mine.extents(rows), theirs.extents(rows))


@pytest.mark.parametrize("reading", [FRESH, Reading(fit="pad"), Reading(whole=True)])
@pytest.mark.parametrize("images", [0, 20, 40])
def test_images_without_room_are_the_same_as_with_it(
    folder: Path, free: Any, images: int, reading: Reading
) -> None:
    expected = load(folder, reading, "roomy")
    free(images, rows=1.5 if reading.whole else 1.0)  # an upright one whole: 24 rows of 16
    for _ in range(2):
        same(load(folder, reading), expected)
    stored = sum(len(np.load(path)) for path in (folder.parent / "full").glob("*.npy"))
    assert (stored > 0) == (images > 0)
    assert stored <= images


def test_images_to_choose_by_and_to_test_on_have_room_first(
    folder: Path, free: Any, decodings: Counter[str]
) -> None:
    free(20)
    found = load(folder)
    assert set(decodings.values()) == {1}  # once each: to be stored, or to be checked
    for images in (found.holdout, found.test):
        images.pixels(slice(None))
    assert set(decodings.values()) == {1}
    found.train.pixels(slice(None))
    again = sum(count == 2 for count in decodings.values())
    assert 0.8 * len(found.train) < again <= len(found.train)


def test_nothing_is_checked_twice(folder: Path, free: Any, decodings: Counter[str]) -> None:
    free(20)
    load(folder)
    load(folder)
    assert set(decodings.values()) == {1}


def test_what_has_room_later_is_taken_over(
    folder: Path, free: Any, decodings: Counter[str]
) -> None:
    free(40)
    load(folder)
    stored = sum(len(np.load(path)) for path in (folder.parent / "full").glob("*.npy"))
    decodings.clear()
    free(1000)
    whole = load(folder)
    assert sum(decodings.values()) == 56 - stored
    assert len(list((folder.parent / "full").glob("*.npy"))) == 2  # the others are removed
    same(whole, load(folder, cache="fresh"))


def test_a_look_tells_what_has_no_room(
    folder: Path, free: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(20)
    found = look_at(str(folder)).decoding(14)
    assert found.images == 56
    told: list[str] = []
    monkeypatch.setattr("supernet.data.store._WORTH_TELLING_S", 0)
    monkeypatch.setattr("supernet.data.store._SAMPLE", 2)
    monkeypatch.setattr("supernet.data.store._CHUNK", 1)
    dataset = load(folder, progress=lambda done, total, text: told.append(text))
    assert found.new_bytes == ROW * sum(
        len(np.load(path)) for path in (folder.parent / "full").glob("*.npy")
    )
    streamed = f"no room for all decoded images: {found.streamed:,} images to train on"
    assert any(streamed in line for line in told)
    assert 0.8 * len(dataset.train) < found.streamed <= len(dataset.train)
    assert any("checking" in line and "takes about" in line for line in told)


def test_broken_files_are_found_before_the_training(folder: Path, free: Any) -> None:
    (folder / "train" / "ant" / "3.png").write_bytes(b"no image")
    content = (folder / "train" / "bee" / "4.png").read_bytes()
    (folder / "train" / "bee" / "4.png").write_bytes(content[: len(content) // 2])
    free(0)
    with pytest.raises(DataError, match="2 of 56 images cannot be decoded, the first is"):
        load(folder)
    found = load(folder, Reading(skip_broken=True))
    assert found.reading.left_out == ("train/ant/3.png", "train/bee/4.png")
    assert len(found.train) + len(found.holdout) == 46
    found.train.pixels(slice(None))
    free(1000)
    same(found, load(folder, Reading(skip_broken=True), "fresh"))


def test_a_file_that_breaks_while_it_is_trained_on_is_named(folder: Path, free: Any) -> None:
    free(0)
    found = load(folder)
    for path in (folder / "train" / "ant").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train.ant.\d+\.png cannot be decoded: cannot identify"):
        found.train.pixels(slice(None))


@pytest.mark.parametrize("images", [0, 20, 1000])
def test_images_that_are_not_used_are_not_decoded(
    folder: Path, free: Any, decodings: Counter[str], images: int
) -> None:
    free(images)
    part = survey(folder, folder.parent / "full").parts[0]
    part.splits[::3] = 3
    unused = [str(file) for file in [f for own in part.by_class for f in own][::3]]
    room = Room([part], folder, square_of(16, FRESH), folder.parent / "full")
    assert len(room.undone) == len(part.splits) - len(unused)
    assert room.is_enough == (images == 1000)
    kept = room.kept(0, silent)
    assert not decodings.keys() & set(unused)
    used = np.flatnonzero(part.splits != 3)
    assert kept.pixels[used].any(axis=(1, 2, 3)).all()
    assert not decodings.keys() & set(unused)
    assert room.undone == ()


def test_stores_of_older_versions_are_found(folder: Path, decodings: Counter[str]) -> None:
    load(folder)
    for path in (folder.parent / "full").glob("*.rows.npz"):
        with np.load(path) as arrays:
            kept = {name.replace("identity", "digest"): arrays[name] for name in arrays}
        with path.open("wb") as handle:
            np.savez(handle, **kept)
    decodings.clear()
    load(folder)
    assert not decodings
