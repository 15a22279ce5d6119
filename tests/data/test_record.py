"""Which images a data set held, and what is different later."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from supernet.data import Dataset, ImageRecord, changes, files, load_folder, load_record
from supernet.data.digests import DIGEST_BYTES, OLD_DIGEST_BYTES, digests_of
from supernet.data.files import identities_of
from supernet.data.survey import survey
from supernet.errors import DataError, FileFormatError
from supernet.progress import silent
from tests.data.painted import insects, paint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes `ant` and `bee`: five training and two test images each."""
    return insects(tmp_path / "insects")


def record(folder: Path, known: ImageRecord | None = None) -> ImageRecord:
    return survey(folder, folder.parent / "cache", known=known).record


def digests(paths: Sequence[Path], most: int = DIGEST_BYTES) -> npt.NDArray[np.uint64]:
    files, kept = list(map(str, paths)), paths[0].parents[1] / "kept.digests"
    return digests_of(files, identities_of(files), kept, silent, most=most)


def swap(root: Path) -> None:
    for split in (root / "train", root / "val"):
        (split / "ant").rename(split / "aside")
        (split / "bee").rename(split / "ant")
        (split / "aside").rename(split / "bee")


def add_two(root: Path) -> None:
    for number in (1, 2):
        paint(root / "train" / "bee" / f"new{number}.png", 90 + number)


def test_moved_copied_renamed_and_touched_files_are_the_same_images(folder: Path) -> None:
    before = record(folder)
    copy = Path(shutil.copytree(folder, folder.parent / "elsewhere"))
    for path in copy.rglob("*.png"):
        os.utime(path, ns=(1, 1))
        path.rename(path.with_name(f"img_{path.name}"))
    assert record(copy).fingerprints() == before.fingerprints()
    assert changes(before, record(copy)) == []


@pytest.mark.parametrize(
    ("change", "told", "same"),
    [
        (
            swap,
            [
                "class folders 'ant' and 'bee' hold each other's training images (5 and 5)",
                "class folders 'ant' and 'bee' hold each other's test images (2 and 2)",
            ],
            (),
        ),
        (
            add_two,
            ["2 training images added to 'bee'"],
            ("test",),
        ),
        (
            lambda root: (root / "val" / "ant" / "0.png").unlink(),
            ["1 test image gone from 'ant'"],
            ("train", "holdout"),
        ),
        (
            lambda root: paint(root / "val" / "bee" / "1.png", 99),
            ["1 test image changed in 'bee'"],
            ("train", "holdout"),
        ),
        (
            lambda root: (root / "val" / "ant" / "0.png").rename(root / "val" / "bee" / "9.png"),
            ["1 test image of 'ant' now in 'bee'"],
            ("train", "holdout"),
        ),
    ],
)
def test_what_has_changed_is_told(
    folder: Path, change: Callable[[Path], object], told: list[str], same: tuple[str, ...]
) -> None:
    before = record(folder)
    change(folder)
    now = record(folder, known=before)
    assert changes(before, now) == told
    prints = before.fingerprints(), now.fingerprints()
    kept = {split for split in prints[0] if prints[0][split] == prints[1][split]}
    assert kept >= set(same)
    assert kept != {"train", "holdout", "test"}


def test_test_images_that_were_trained_on_are_told(folder: Path) -> None:
    before = record(folder)
    trained = before.digests[before.splits == 0]
    paths = sorted((folder / "train" / "ant").iterdir())
    moved = next(path for path, digest in zip(paths, digests(paths)) if digest in trained)
    moved.rename(folder / "val" / "ant" / "moved.png")
    told = changes(before, record(folder, known=before))
    assert told[0] == "trained on: 1 test image, so that accuracies on them are too high"


def test_many_changes_are_cut_short(folder: Path) -> None:
    for number in range(6):
        paint(folder / "train" / f"c{number}" / "0.png", 70 + number)
    before = record(folder)
    for number in range(6):
        paint(folder / "train" / f"c{number}" / "1.png", 80 + number)
    told = changes(before, record(folder, known=before))
    assert told[:1] == ["1 training image added to 'c0'"]
    assert told[4:] == ["2 more changes"]


def test_what_was_trained_on_is_never_held_out_later(folder: Path) -> None:
    for number in range(40):
        paint(folder / "train" / "ant" / f"m{number}.png", 60 + number)
    before = record(folder)
    trained = set(before.digests[before.splits == 0].tolist())
    for digest in before.digests[before.splits == 1].tolist():  # all that were held out go
        for path in (folder / "train").rglob("*.png"):
            if digests([path])[0] == digest:
                path.unlink()
    with pytest.raises(DataError, match="there is none left to hold out"):
        record(folder, known=before)
    paint(folder / "train" / "ant" / "fresh.png", 120)
    paint(folder / "train" / "bee" / "fresh.png", 121)
    fresh = record(folder)
    assert set(fresh.digests[fresh.splits == 1].tolist()) & trained  # without the record they are


def test_a_record_is_read_back(folder: Path, tmp_path: Path) -> None:
    before = record(folder)
    before.save(tmp_path / "images.npz")
    again = load_record(tmp_path / "images.npz")
    assert again.classes == ("ant", "bee")
    assert again.fingerprints() == before.fingerprints()
    (tmp_path / "images.npz").write_bytes((tmp_path / "images.npz").read_bytes()[:100])
    with pytest.raises(FileFormatError, match="not a record of images"):
        load_record(tmp_path / "images.npz")


def test_a_split_that_is_made_is_the_same_each_time_and_for_every_seed(folder: Path) -> None:
    found = [
        survey(folder / "train", folder.parent / f"c{seed}", seed=seed).record for seed in (0, 0, 7)
    ]
    tests = [set(one.digests[one.splits == 2].tolist()) for one in found]
    assert tests[0] == tests[1] == tests[2]
    for label in (0, 1):
        assert ((found[0].labels == label) & (found[0].splits == 2)).any()
    dataset = load_folder(folder / "train", resolution=14, cache=folder.parent / "c")
    assert (len(dataset.train), len(dataset.holdout), len(dataset.test)) == tuple(
        int((found[0].splits == split).sum()) for split in range(3)
    )


def test_a_split_that_is_made_is_told_where_it_is_made(folder: Path) -> None:
    told: list[str] = []

    def loaded(root: Path, known: ImageRecord | None = None) -> Dataset:
        told.clear()
        return load_folder(
            root,
            resolution=14,
            cache=folder.parent / "c",
            known=known,
            progress=lambda done, total, text: told.append(text) if not total else None,
        )

    made = loaded(folder / "train")
    assert len(made.test) > 0
    assert (
        f"train: has no test images, so {len(made.test)} of its 10 are kept for testing, always "
        "the same ones"
    ) in told
    loaded(folder / "train", made.record)  # a run tells it once
    assert not any("kept for testing" in text for text in told)
    loaded(folder)  # has test images of its own
    assert not any("kept for testing" in text for text in told)


def test_a_class_of_one_image_is_named_with_what_to_do(folder: Path) -> None:
    paint(folder / "train" / "cow" / "0.png", 77)
    paint(folder / "val" / "cow" / "0.png", 78)
    notes = survey(folder, folder.parent / "cache").notes
    assert notes == (
        "too few images to keep some back for choosing or testing: 'cow' (1); add some, or remove "
        "the folder",
    )


def test_copies_of_training_images_among_the_test_images_are_told(folder: Path) -> None:
    shutil.copy(folder / "train" / "ant" / "0.png", folder / "val" / "ant" / "copy.png")
    notes = survey(folder, folder.parent / "cache").notes
    assert notes[0].startswith("1 of the images to choose by or to test on are copies")


def test_images_in_two_classes_are_told_in_one_note(folder: Path) -> None:
    train, val = folder / "train", folder / "val"
    shutil.copy(train / "ant" / "0.png", train / "bee" / "same.png")
    shutil.copy(train / "ant" / "1.png", val / "bee" / "same.png")
    notes = survey(folder, folder.parent / "cache").notes
    (told,) = [note for note in notes if "more than one class" in note]
    assert told.startswith("2 images are in more than one class, such as '")
    pairs = ((train / "ant" / "0.png", train), (train / "ant" / "1.png", val))
    assert any(
        f"{str(one)!r}, the same as {str(place / 'bee' / 'same.png')!r}" in told
        for one, place in pairs
    )


def test_copies_are_told_where_too_few_images_are_left(folder: Path) -> None:
    shutil.rmtree(folder / "val")
    for path in (folder / "train").rglob("*.png"):
        if path.stem != "0":
            shutil.copy(path.with_name("0.png"), path)
    told = r"none left to hold out; 8 of the 10 are copies of others"
    with pytest.raises(DataError, match=told) as caught:
        record(folder)
    assert "at least 3 different images" in caught.value.hint


def test_files_are_read_once(folder: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        survey(folder, folder.parent / "cache", progress=lambda *what: told.append(what[2]))
    assert told == ["reading images"] * 2
    for path in (folder.parent / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    first = record(folder)
    assert np.array_equal(first.digests, record(folder).digests)


@pytest.mark.parametrize("size", [1 << 14, (1 << 14) + 1, 300_000])
def test_digests_see_both_ends_and_the_size(tmp_path: Path, size: int) -> None:
    path, content = tmp_path / "a", bytes(size)
    variants = [content, b"x" + content[1:], content[:-1] + b"x", content + b"\0"]
    found = set()
    for variant in variants:
        path.write_bytes(variant)
        found.add(int(digests([path])[0]))
    assert len(found) == len(variants)


def test_only_new_files_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = record(folder)
    read: list[str] = []
    whole = files.pieces_of

    def note(file: files.ImageFile, piece: int, count: int) -> tuple[int, list[bytes]]:
        read.append(Path(str(file)).name)
        return whole(file, piece, count)

    monkeypatch.setattr("supernet.data.digests.pieces_of", note)
    paint(folder / "train" / "ant" / "added.png", 99)
    now = record(folder, known=before)
    assert read == ["added.png"]
    assert changes(before, now) == ["1 training image added to 'ant'"]
    assert record(folder, known=before).fingerprints() == now.fingerprints()
    assert read == ["added.png"]


def test_what_could_not_be_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: files.ImageFile, piece: int, count: int) -> tuple[int, list[bytes]]:
        raise PermissionError("not now")

    with monkeypatch.context() as patch:
        patch.setattr("supernet.data.digests.pieces_of", refused)
        wrong = record(folder)
    right = record(folder)
    assert not np.isin(wrong.digests, right.digests).any()
    other = survey(folder, folder.parent / "other cache").record
    assert right.fingerprints() == other.fingerprints()


def test_records_of_older_versions_are_compared_by_their_own_digests(
    folder: Path, tmp_path: Path
) -> None:
    path = folder / "train" / "ant" / "0.png"
    path.write_bytes(path.read_bytes() + np.random.default_rng(0).bytes(50_000))
    now = record(folder)
    paths = [file for part in ("train", "val") for file in sorted((folder / part).rglob("*.png"))]
    old = replace(now, digests=digests(paths, OLD_DIGEST_BYTES), digest_bytes=OLD_DIGEST_BYTES)
    assert (old.digests != now.digests).sum() == 1
    old.save(tmp_path / "images.npz")
    with np.load(tmp_path / "images.npz") as arrays:  # they did not tell what was read
        kept = {name: arrays[name] for name in arrays if name != "digest_bytes"}
    with (tmp_path / "images.npz").open("wb") as handle:
        np.savez_compressed(handle, **kept)
    again = load_record(tmp_path / "images.npz")
    assert again.digest_bytes == OLD_DIGEST_BYTES
    assert changes(again, record(folder, known=again)) == []
