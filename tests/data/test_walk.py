"""What is an image below a folder: by its suffix, by its content, or not at all."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from supernet.data import walk
from supernet.data.walk import Walk, image_suffixes
from supernet.errors import DataError
from tests.data.painted import paint


def names(folder: Path) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in Walk().images(folder)]


@pytest.mark.parametrize(
    "place",
    [
        ".ipynb_checkpoints/1.png",
        "deep/er/.git/1.png",
        "@eaDir/1.png",
        "__MACOSX/cat/1.png",
        "deep/__macosx/1.png",
        "#recycle/1.png",
        "lost+found/1.png",
        "._1.png",
    ],
)
def test_what_tools_leave_behind_is_passed_over_at_any_depth(tmp_path: Path, place: str) -> None:
    paint(tmp_path / "0.png", 1)
    paint(tmp_path / place, 2)
    found = Walk()
    assert found.images(tmp_path) == [str(tmp_path / "0.png")]
    assert found.told() == ""
    assert list(found.folders(tmp_path)) == (["deep"] if place.startswith("deep") else [])


def test_a_folder_that_is_called_like_an_image_is_a_folder(tmp_path: Path) -> None:
    paint(tmp_path / "x.jpg" / "1.png", 1)
    (tmp_path / "empty.png").mkdir()
    assert names(tmp_path) == ["x.jpg/1.png"]


def test_only_files_are_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    found = Walk()
    assert found.images(tmp_path) == []
    assert found.told() == "left out 1 file: 1 pipes or devices"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.JPG", "JPEG"),
        ("a.jfif", "JPEG"),
        ("a.jpe", "JPEG"),
        ("a.TIFF", "TIFF"),
        ("a.webp", "WEBP"),
        ("a", "PNG"),
        ("a", "JPEG"),
        ("a.dat", "GIF"),
        ("2024.08.12", "WEBP"),
        ("IMG.jpg~", "JPEG"),
    ],
)
def test_images_are_known_by_suffix_or_content(tmp_path: Path, name: str, kind: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / name, kind)
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("content", [b"", b"text", b"BM", b"P5 is a word", b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_counted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "README").write_bytes(content)
    found = Walk()
    assert found.images(tmp_path) == []
    assert found.told() == "left out 1 file: 1 not images"


def test_files_with_a_known_suffix_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.png", "2.jpg", "notes.txt", "boxes.xml", "clip.mp4"):
        (tmp_path / name).write_bytes(b"")
    image_suffixes()

    def refuse(path: str) -> bool:
        raise AssertionError(f"opened {path}")

    monkeypatch.setattr(walk, "_holds_image", refuse)
    found = Walk()
    assert [Path(path).name for path in found.images(tmp_path)] == ["1.png", "2.jpg"]
    assert found.left_out == {"not images": 3}


def test_one_line_says_what_was_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = image_suffixes() - {".heic"}  # as without a decoder
    monkeypatch.setattr(walk, "image_suffixes", lambda: known)
    for number in range(6):
        (tmp_path / f"{number}.HEIC").write_bytes(b"")
    for number in range(4):
        (tmp_path / f"{number}.txt").write_bytes(b"")
    found = Walk()
    found.images(tmp_path)
    assert found.told() == (
        "left out 10 files: 6 .heic (no decoder: pip install pillow-heif), 4 not images"
    )


def test_a_decoder_that_is_installed_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    class Package:
        @staticmethod
        def register_heif_opener() -> None:
            called.append("heif")

    def find(name: str) -> Any:
        return name if name == "pillow_heif" else None

    monkeypatch.setattr(walk, "find_spec", find)
    monkeypatch.setattr("importlib.import_module", lambda name: Package)
    image_suffixes.__wrapped__()
    assert called == ["heif"]


def test_formats_without_a_decoder_here_are_no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import features

    monkeypatch.setattr(features, "get_supported", list)
    without = image_suffixes.__wrapped__()
    assert not {".avif", ".webp", ".jp2"} & without
    assert {".jpg", ".png"} <= without


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    paint(tmp_path / "other" / "1.png", 1)
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "more").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "ant")
    (tmp_path / "ant" / "file.png").symlink_to(tmp_path / "other" / "1.png")
    assert names(tmp_path / "ant") == ["file.png", "more/1.png"]


@pytest.mark.parametrize("name", ["loop.png", "loop", "loop.txt"])
def test_links_that_lead_nowhere_or_to_themselves_are_counted(tmp_path: Path, name: str) -> None:
    paint(tmp_path / "ant" / "1.png", 1)
    for folder in (tmp_path, tmp_path / "ant"):
        (folder / name).symlink_to(folder / name)
        (folder / f"gone{name}").symlink_to(folder / "none")
    found = Walk()
    assert list(found.folders(tmp_path)) == ["ant"]
    assert found.images(tmp_path / "ant") == [str(tmp_path / "ant" / "1.png")]
    assert found.told() == "left out 4 files: 4 leading nowhere (links)"


def test_a_folder_that_cannot_be_listed_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: str | Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    for look in (Walk().folders, Walk().images):
        with pytest.raises(DataError, match=f"{tmp_path}: cannot be listed: Permission") as caught:
            look(tmp_path)
        assert f"chmod -R u+rX {tmp_path}" in caught.value.hint


def test_images_come_folder_by_folder(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a-1.png", "a.b/y.png"):
        paint(tmp_path / name, 1)
    expected = list(map(str, sorted(tmp_path.rglob("*.png"))))
    assert Walk().images(tmp_path) == expected


def test_images_that_lie_about_are_counted(tmp_path: Path) -> None:
    paint(tmp_path / "cat" / "1.png", 1)
    paint(tmp_path / "lost.png", 2)
    found = Walk()
    assert found.folders(tmp_path) == {"cat": tmp_path / "cat"}
    assert found.told() == "left out 1 file: 1 outside of class folders"
