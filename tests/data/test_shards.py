"""Tar files of images in place of class folders."""

import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.data import absolute_source, load_dataset, load_folder, survey_source
from supernet.data.layout import find_layout
from supernet.errors import DataError
from supernet.reading import Reading
from tests.data.painted import insects

LABELS = {"ant": 0, "bee": 1}


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(folder: Path) -> list[tuple[str, bytes, int]]:
    """Key, image and label of each file of class folders."""
    return [
        (f"{name}_{path.stem}", path.read_bytes(), label)
        for name, label in LABELS.items()
        for path in sorted((folder / name).iterdir())
    ]


def packed(images: Path, target: Path, *, labels: str = "cls", names: bool = True) -> Path:
    """Class folders as tar files: two to train on, one to test on."""
    for split in ("train", "val"):
        own = samples(images / split)
        for number, some in enumerate((own[::2], own[1::2]) if split == "train" else (own,)):
            files: dict[str, bytes] = {}
            for key, image, label in some:
                files[f"{key}.png"] = image
                text = str(label) if labels == "cls" else json.dumps({"label": label, "of": "x"})
                files[f"{key}.{labels}"] = text.encode()
            write_tar(target / f"{split}-{number:03d}.tar", files)
    if names:
        (target / "classnames.txt").write_text("ant\nbee\n")
    return target


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Classes `ant` and `bee`: five training and two test images each."""
    return insects(tmp_path / "insects")


@pytest.fixture
def tars(images: Path) -> Path:
    return packed(images, images.parent / "tars")


def contents(dataset: Any) -> dict[str, dict[bytes, int]]:
    return {
        split: {
            pixels.tobytes(): int(label)
            for pixels, label in zip(images.pixels(slice(None)), images.labels)
        }
        for split in ("train", "holdout", "test")
        for images in [getattr(dataset, split)]
    }


@pytest.mark.parametrize("labels", ["cls", "json"])
def test_tar_files_hold_what_class_folders_hold(images: Path, tmp_path: Path, labels: str) -> None:
    tars = packed(images, tmp_path / "tars", labels=labels)
    expected = load_folder(images, resolution=14, cache=tmp_path / "cache")
    found = load_folder(tars, resolution=14, cache=tmp_path / "cache")
    assert found.classes == expected.classes
    assert contents(found) == contents(expected)
    assert found.record is not None
    assert expected.record is not None
    assert found.record.fingerprints() == expected.record.fingerprints()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("*.tar", (10, 4)),
        ("{train-{000..001},val-000}.tar", (10, 4)),
        ("train-{000..001}.tar", (10, 0)),
        ("train-001.tar", (5, 0)),
        ("val-000.tar", (4, 0)),
    ],
)
def test_a_name_stands_for_tar_files(tars: Path, name: str, counts: tuple[int, int]) -> None:
    found = find_layout(tars / name, tars.parent / "cache")
    assert found.classes == ("ant", "bee")
    assert tuple(sum(map(len, part)) for part in (found.train, found.test)) == counts


def test_folders_of_tar_files_are_splits(tars: Path) -> None:
    for split in ("train", "val"):
        (tars / split).mkdir()
        for number, path in enumerate(sorted(tars.glob(f"{split}-*.tar"))):
            path.rename(tars / split / f"{number}.tar")
    found = find_layout(tars, tars.parent / "cache")
    assert found.classes == ("ant", "bee")
    assert [sum(map(len, part)) for part in (found.train, found.test)] == [10, 4]


def test_val_and_test_beside_train_are_to_choose_by_and_to_test_on(tars: Path) -> None:
    (tars / "train-001.tar").rename(tars / "test-0.tar")
    found = find_layout(tars, tars.parent / "cache")
    assert [sum(map(len, p)) for p in (found.train, found.holdout, found.test)] == [5, 4, 5]


def test_classes_without_names_are_numbers_in_their_order(tmp_path: Path) -> None:
    files = {
        f"k{n}{end}": text for n in (10, 2) for end, text in ((".jpg", b"x"), (".cls", b"%d" % n))
    }
    found = find_layout(write_tar(tmp_path / "a" / "0.tar", files).parent, tmp_path / "cache")
    assert found.classes == ("2", "10")


def test_classes_of_one_name_stay_apart(tars: Path) -> None:
    (tars / "classnames.txt").unlink()
    (tars / "classnames.json").write_text('{"0": "crane", "1": "crane"}')
    found = find_layout(tars, tars.parent / "cache")
    assert found.classes == ("crane (0)", "crane (1)")


def test_headers_are_read_once(tars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_layout(tars, tars.parent / "cache")
    monkeypatch.setattr(tarfile, "open", None)
    assert find_layout(tars, tars.parent / "cache") == before


def test_commands_find_tar_files_from_anywhere(
    tars: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tars.parent)
    name = absolute_source("tars/train-{000..001}.tar")
    monkeypatch.chdir("/")
    assert load_dataset(name, resolution=14).classes == ("ant", "bee")
    for path in tars.glob("*.tar"):
        path.unlink()
    assert survey_source(name) is None


def test_broken_images_in_tar_files_are_named_and_left_out(tars: Path, tmp_path: Path) -> None:
    files = {"x.png": b"no image", "x.cls": b"1"}
    write_tar(tars / "train-002.tar", files)
    with pytest.raises(DataError, match=r"1 of 15 images .*train-002\.tar/x\.png \(cannot"):
        load_folder(tars, resolution=14, cache=tmp_path / "cache")
    reading = Reading(skip_broken=True)
    found = load_folder(tars, resolution=14, cache=tmp_path / "cache", reading=reading)
    assert found.reading.left_out == ("train-002.tar/x.png",)
    assert len(found.train) + len(found.holdout) == 10


def test_members_that_are_no_images_are_counted(tars: Path) -> None:
    write_tar(tars / "train-002.tar", {"a.npy": b"", "b.npy": b"", "c.cls": b"0", "d.txt": b""})
    found = find_layout(tars, tars.parent / "cache")
    assert found.notes[-1] == ("left out 3 files: 2 .npy in tar files, 1 labels without an image")


def cut(tars: Path, size: int) -> None:
    path = tars / "train-001.tar"
    path.write_bytes(path.read_bytes()[:size])


def add(name: str, files: Mapping[str, bytes]) -> Any:
    return lambda tars: write_tar(tars / name, files)


IMAGE = b"x"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tars: cut(tars, 5000), r"train-001\.tar: is cut off after 3 images"),
        (lambda tars: cut(tars, 5 * 2048), r"train-001\.tar: is cut off after 5 images"),
        (lambda tars: cut(tars, 0), r"train-001\.tar: is no tar file: empty file"),
        (
            lambda tars: (tars / "train-001.tar").write_bytes(b"\x1f\x8b" + bytes(5000)),
            r"train-001\.tar: is compressed",
        ),
        (
            lambda tars: (tars / "train-001.tar").write_bytes(b"text " * 500),
            r"train-001\.tar: is no tar file",
        ),
        (
            add("train-002.tar", {"a/k.jpg": IMAGE, "k.cls": b"0", "l.jpg": IMAGE}),
            r"train-002\.tar: 2 of 2 images have no label, the first is a/k\.jpg",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.json": b'{"caption": "a bee"}'}),
            r"1 of 1 images have no label, the first is k\.jpg",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.cls": b"bee"}),
            r"k\.cls must hold a whole number from 0, the number of a class, found 'bee'",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.json": b"{"}),
            r"k\.json must hold JSON, the number of a class, found '\{'",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.seg.png": IMAGE, "k.cls": b"0"}),
            r"k\.jpg and k\.seg\.png are two images of one key",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.cls": b"0", "k.json": b'{"label": 1}'}),
            r"k has two labels, 0 and 1",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.json": b'{"label": "cat"}'}),
            r"some images are labelled by number \(0\), others by name \('cat'\)",
        ),
        (
            add("train-002.tar", {"k.jpg": IMAGE, "k.cls": b"2"}),
            r"classnames\.txt: has no name for class 2; it names 2 classes",
        ),
        (
            add("more.tar", {"k.jpg": IMAGE, "k.cls": b"0"}),
            r"more\.tar: its name says neither train, val nor test, as that of .*tar does",
        ),
        (
            add("train-val.tar", {"k.jpg": IMAGE, "k.cls": b"0"}),
            r"train-val\.tar: its name says train and val",
        ),
        (
            lambda tars: [path.unlink() for path in tars.glob("train*.tar")],
            r"tars: has val tar files but none to train on",
        ),
        (
            lambda tars: (tars / "classnames.txt").write_bytes(b"\xff\xfe"),
            r"classnames\.txt: not the names of classes: ",
        ),
        (
            lambda tars: (tars / "classnames.txt").write_text("ant\n\nbee\n"),
            r"classnames\.txt: line 2 is empty, so it is not clear which class has the name on",
        ),
        (
            lambda tars: (tars / "classnames.txt").write_text("\nant\nbee\n"),
            r"classnames\.txt: line 1 is empty",
        ),
    ],
)
def test_wrong_tar_files_are_one_line(tars: Path, change: Any, message: str) -> None:
    change(tars)
    with pytest.raises(DataError, match=message) as caught:
        find_layout(tars, tars.parent / "cache")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train-{000..003}.tar", r"train-002\.tar: no such file, named by .*train-\{000\.\.003\}"),
        ("test-*.tar", r"test-\*\.tar: no such file"),
        ("train-{3..1}.tar", r"\{3\.\.1\} must count up, to 100,000 files at most"),
        ("train-000.tar.gz", r"train-000\.tar\.gz: is compressed"),
    ],
)
def test_names_without_files_are_one_line(tars: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_layout(tars / name, tars.parent / "cache")


def test_tar_files_beside_class_folders_are_no_images(images: Path) -> None:
    for place in (images, images / "train"):
        write_tar(place / "backup.tar", {"k.jpg": IMAGE, "k.cls": b"0"})
    assert find_layout(images, images.parent / "cache").classes == ("ant", "bee")


@pytest.mark.parametrize("place", ["extra", "extra/deep", "__MACOSX", "train"])
def test_folders_without_images_beside_tar_files_change_nothing(tars: Path, place: str) -> None:
    expected = find_layout(tars, tars.parent / "cache")
    (tars / place).mkdir(parents=True)
    (tars / place / "README.txt").write_text("of this data set")
    assert find_layout(tars, tars.parent / "cache") == expected


def test_folders_of_splits_may_have_others_beside_their_tar_files(tars: Path) -> None:
    for split in ("train", "val"):
        (tars / split / "logs").mkdir(parents=True)
        for path in tars.glob(f"{split}-*.tar"):
            path.rename(tars / split / path.name)
    found = find_layout(tars, tars.parent / "cache")
    assert [sum(map(len, part)) for part in (found.train, found.test)] == [10, 4]


def test_suffixes_may_be_in_capitals(tars: Path, home: Path) -> None:
    expected = find_layout(tars, tars.parent / "cache")
    for path in tars.glob("*.tar"):
        path.rename(path.with_suffix(".TAR"))
    found = find_layout(tars, tars.parent / "cache")
    assert list(map(len, found.train)) == list(map(len, expected.train))
    assert list(map(len, found.test)) == list(map(len, expected.test))
    assert load_dataset(str(tars / "train-*.TAR"), resolution=14).classes == ("ant", "bee")


@pytest.mark.parametrize("text", ["\ufeffant\nbee\n", "ant\r\nbee\r\n\r\n", "ant\nbee\n \n\n"])
def test_marks_and_empty_lines_at_the_end_are_no_part_of_names(tars: Path, text: str) -> None:
    (tars / "classnames.txt").write_bytes(text.encode())
    assert find_layout(tars, tars.parent / "cache").classes == ("ant", "bee")


@pytest.mark.parametrize("suffix", ["cls", "json"])
def test_labels_may_begin_with_a_mark(tmp_path: Path, suffix: str) -> None:
    files = {
        f"k{n}{end}": text
        for n in (0, 1)
        for end, text in ((".jpg", b"x"), (f".{suffix}", b"\xef\xbb\xbf%d" % n))
    }
    found = find_layout(write_tar(tmp_path / "a" / "0.tar", files).parent, tmp_path / "cache")
    assert found.classes == ("0", "1")


def test_pixels_come_from_where_they_are(tars: Path, tmp_path: Path) -> None:
    found = load_folder(tars, resolution=14, cache=tmp_path / "cache")
    colours = {
        (int(label), tuple(pixels[8, 8].tolist()))
        for images in (found.train, found.holdout, found.test)
        for pixels, label in zip(images.pixels(slice(None)), images.labels)
    }
    numbers = {0: [1, 2, 3, 4, 5, 50, 51], 1: [11, 12, 13, 14, 15, 60, 61]}
    assert colours == {(k, (n, 2 * n, 100)) for k, own in numbers.items() for n in own}
    assert re.fullmatch(r"\w+", found.name)
    assert np.concatenate([i.labels for i in (found.train, found.holdout)]).sum() == 5
