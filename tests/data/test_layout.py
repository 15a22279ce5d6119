"""Splits and classes of folders as people have them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from supernet.data.files import ImageFile
from supernet.data.layout import Layout, find_layout
from supernet.data.survey import survey
from supernet.errors import DataError
from tests.data.painted import insects, paint

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def laid_out(folder: Path) -> Layout:
    return find_layout(folder, folder.parent / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes `ant` and `bee`: five training and two test images each."""
    return insects(tmp_path / "insects")


def counts(groups: tuple[tuple[ImageFile, ...], ...]) -> list[int]:
    return [len(group) for group in groups]


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("test", ["val", "valid", "Validation", "test", "Testing"])
def test_splits_by_the_names_that_people_give_them(folder: Path, train: str, test: str) -> None:
    (folder / "train").rename(folder / "t1")
    (folder / "t1").rename(folder / train)
    (folder / "val").rename(folder / test)
    found = laid_out(folder)
    assert found.classes == ("ant", "bee")
    assert (counts(found.train), counts(found.holdout), counts(found.test)) == ([5, 5], [], [2, 2])
    assert found.notes == ()


def test_beside_test_images_those_of_val_are_to_choose_by(folder: Path) -> None:
    for name in ("ant", "bee"):
        for number in range(3):
            paint(folder / "test" / name / f"{number}.png", number)
    found = laid_out(folder)
    assert counts(found.holdout) == [2, 2]
    assert counts(found.test) == [3, 3]
    assert found.notes == (
        "subnets are chosen by the images of val/ and reported on those of test/",
    )


@pytest.mark.parametrize("names", [("val", "valid"), ("Test", "testing")])
def test_two_folders_that_mean_the_same_are_refused(folder: Path, names: tuple[str, str]) -> None:
    shutil.rmtree(folder / "val")
    for name in names:
        paint(folder / name / "ant" / "0.png", 1)
    with pytest.raises(DataError, match=f"has {names[0]}/ and {names[1]}/, which mean the same"):
        laid_out(folder)


def test_without_split_folders_every_folder_is_a_class(folder: Path) -> None:
    found = laid_out(folder / "train")
    assert found.classes == ("ant", "bee")
    assert (counts(found.train), found.holdout, found.test) == ([5, 5], (), ())
    assert found.folders == {"train": ""}
    assert found.notes == ("train: no train/ in it, so every folder is a class",)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("plane", "train", "test"):
        paint(tmp_path / name / "0.png", 1)
    assert laid_out(tmp_path).classes == ("plane", "test", "train")


def test_other_folders_beside_the_splits_are_told(folder: Path) -> None:
    paint(folder / "masks" / "0.png", 1)
    assert laid_out(folder).notes == ("insects: 'masks' beside train/ left out",)


def test_a_class_without_test_images_is_told(folder: Path) -> None:
    paint(folder / "train" / "cow" / "0.png", 1)
    (folder / "val" / "cow").mkdir()
    found = laid_out(folder)
    assert found.classes == ("ant", "bee", "cow")
    assert counts(found.test) == [2, 2, 0]
    assert "'cow': no images in val/, so nothing is said about it there" in found.notes


def test_empty_class_folders_are_told_and_left_out(folder: Path) -> None:
    for split in ("train", "val"):
        (folder / split / "cow").mkdir()
    found = laid_out(folder)
    assert found.classes == ("ant", "bee")
    assert found.notes == tuple(
        f"{folder / split}: no image in 'cow': left out" for split in ("train", "val")
    )


def test_one_name_in_two_unicode_forms_is_one_class(folder: Path) -> None:
    paint(folder / "train" / DECOMPOSED / "0.png", 1)
    paint(folder / "val" / COMPOSED / "0.png", 2)
    found = laid_out(folder)
    assert found.classes == ("ant", "bee", COMPOSED)
    assert counts(found.train) == [5, 5, 1]
    assert counts(found.test) == [2, 2, 1]
    paint(folder / "train" / COMPOSED / "1.png", 1)
    again = laid_out(folder)
    assert counts(again.train) == [5, 5, 2]
    assert again.notes == (
        f"{folder / 'train'}: {COMPOSED!r}: two folders of this name, taken as one class",
    )


def test_names_that_differ_by_case_between_splits_are_one_class(folder: Path) -> None:
    (folder / "val" / "bee").rename(folder / "val" / "other")
    (folder / "val" / "other").rename(folder / "val" / "Bee")
    found = laid_out(folder)
    assert (found.classes, counts(found.test)) == (("ant", "bee"), [2, 2])


def test_names_that_differ_by_case_within_a_split_are_two_classes(folder: Path) -> None:
    for split in ("train", "val"):
        paint(folder / split / "ANT" / "0.png", 1)
    found = laid_out(folder)
    assert found.classes == ("ANT", "ant", "bee")
    assert counts(found.test) == [1, 2, 2]


def without(*names: str) -> Callable[[Path], None]:
    """What removes these folders."""

    def remove(root: Path) -> None:
        for name in names:
            shutil.rmtree(root / name)

    return remove


def flatten(root: Path) -> None:
    """The images of ``val/`` directly in it, as ImageNet and Kaggle deliver them."""
    for number, image in enumerate(sorted((root / "val").glob("*/*"))):
        image.rename(root / "val" / f"{number}.png")


def bytes_folder(root: Path) -> None:
    shutil.copytree(root / "train" / "ant", root / "train" / os.fsdecode(b"caf\xe9"))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (shutil.rmtree, "insects: no such folder"),
        (
            without("train"),
            "insects: has val/ but no train/ with class folders",
        ),
        (
            without("train/ant", "train/bee"),
            "insects: has val/ but no train/ with class folders",
        ),
        (
            without("train/bee", "val/bee"),
            "insects/train: needs at least 2 class folders with images, has only 'ant'",
        ),
        (
            lambda root: paint(root / "val" / "cow" / "0.png", 1),
            "insects/val: 'cow' not in train/, so nothing could learn what it is",
        ),
        (flatten, "insects/val: no image lies in a class folder, so nothing says what it shows"),
        (bytes_folder, "its name is not UTF-8, so it can be written into no file"),
    ],
)
def test_a_wrong_layout_is_named(folder: Path, spoil: Callable[[Path], object], text: str) -> None:
    spoil(folder)
    with pytest.raises(DataError) as caught:
        laid_out(folder)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    (str(caught.value) + caught.value.hint).encode()


def test_a_folder_around_the_folder_is_noticed(folder: Path) -> None:
    outer = folder.parent / "outer"
    outer.mkdir()
    folder.rename(outer / "insects")
    with pytest.raises(DataError) as caught:
        laid_out(outer)
    assert caught.value.hint == f"give {outer / 'insects'}, which has train/"


@pytest.mark.parametrize("seed", range(8))
def test_what_is_known_is_used_as_before_also_where_there_are_copies(
    tmp_path: Path, seed: int
) -> None:
    """Copies within a class, across classes, and in the test folder."""
    for name, values in {"a": (*range(30), 100), "b": range(100, 104), "c": (7, 7)}.items():
        for split, some in (("train", values), ("val", list(values)[:2])):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number, value in enumerate(some):
                Image.new("RGB", (8, 8), (value, 0, 0)).save(folder / f"{number}.png")
    found = survey(tmp_path, tmp_path / "cache", seed=seed).record
    again = survey(tmp_path, tmp_path / "cache", seed=seed, known=found).record
    assert again.fingerprints() == found.fingerprints()


def test_files_beside_class_folders_are_counted_once(folder: Path) -> None:
    (folder / "train" / "notes.txt").write_text("mine")
    (folder / "train" / "ant" / "notes.txt").write_text("mine")
    for place in (folder / "train", folder):
        assert laid_out(place).notes[-1] == "left out 2 files: 2 not images"
