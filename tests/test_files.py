"""Files are written whole or not at all, and checked when they are read."""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from supernet import files
from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.files import (
    append_line,
    atomic_path,
    fill,
    nearest,
    read_as,
    read_document,
    sha256,
    write_document,
    write_text,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ConfigError(f"size: must be from 0, found {self.size}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner
    several: tuple[Inner, ...] = ()
    widths: tuple[int, ...] = (8,)
    kind: Literal["round", "square"] = "round"
    kinds: tuple[Literal["round", "square"], ...] = ()


ELSEWHERE = (
    "choose a folder that you may write to: runs go where --run says, tables and decoded images "
    "where SUPERNET_HOME says"
)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# ------------------------------------------------------------------ writing


def test_a_written_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "folder" / "a.txt", "ü")
    assert (tmp_path / "new" / "folder" / "a.txt").read_bytes() == "ü".encode()
    assert names(tmp_path / "new" / "folder") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (errno.ENOSPC, "no space is left on the disk", "free some space"),
        (errno.EDQUOT, "the disk quota is used up", "free some space"),
        (errno.EACCES, "writing there is not permitted", ELSEWHERE),
        (errno.EROFS, "the file system is read-only", ELSEWHERE),
        (errno.EIO, os.strerror(errno.EIO), ""),
    ],
)
def test_a_refused_write_names_the_file_the_reason_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str, hint: str
) -> None:
    def refuse(path: Path, content: bytes) -> int:
        raise OSError(code, os.strerror(code))

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StorageError) as caught:
        write_text(tmp_path / "a.txt", "new")
    assert str(caught.value) == f"cannot write {tmp_path / 'a.txt'}: {reason}"
    assert hint in caught.value.hint
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt"):
        write_text(tmp_path / "file" / "a.txt", "")


def test_lines_are_added_at_the_end(tmp_path: Path) -> None:
    for line in ("one", "zwei ü"):
        append_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "one\nzwei ü\n"
    with pytest.raises(StorageError, match=r"cannot write .*missing/log"):
        append_line(tmp_path / "missing" / "log", "line")


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == expected


# ------------------------------------------------------------------ documents


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_document_comes_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    body = {"text": "null: no", "numbers": (1, 2.5e-5), "nested": {"none": None, "yes": True}}
    write_document(path, "thing", 3, body)
    read = read_document(path, "thing", 3)
    assert read == {**body, "numbers": [1, 2.5e-5]}
    assert (
        path.read_text()
        .split("\n")[0 if suffix != "json" else 1]
        .startswith(("format: supernet.thing", ' "format": "supernet.thing"'))
    )


def test_an_older_version_is_read_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_document(path, "thing", 2, {})
    assert read_document(path, "thing", 5) == {}
    with pytest.raises(FileFormatError, match="version 2 is newer than 1") as caught:
        read_document(path, "thing", 1)
    assert "pip install -U supernet" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "not valid json"),
        ("[]", "the top level must be a mapping"),
        ("{}", "expected format 'supernet.thing', found None"),
        (
            '{"format": "supernet.other"}',
            "expected format 'supernet.thing', found 'supernet.other'",
        ),
        ('{"format": "supernet.thing"}', "version must be a whole number from 1, found None"),
        ('{"format": "supernet.thing", "version": true}', "whole number from 1, found True"),
        ('{"format": "supernet.thing", "version": 1.0}', "whole number from 1, found 1.0"),
        ('{"format": "supernet.thing", "version": 0}', "whole number from 1, found 0"),
        ('{"format": "supernet.thing", "version": 1, "a": NaN}', "NaN is not allowed"),
        ('{"format": "supernet.thing", "version": 1, "a": -Infinity}', "-Infinity is not allowed"),
    ],
)
def test_a_foreign_document_is_refused_by_its_reason(
    tmp_path: Path, content: str, text: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(FileFormatError) as caught:
        read_document(path, "thing", 1)
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)


def test_what_is_not_a_text_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        read_document(tmp_path / "missing.json", "thing", 1)
    with pytest.raises(FileFormatError, match="cannot be read as text"):
        read_document(tmp_path, "thing", 1)
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="cannot be read as text"):
        read_document(tmp_path / "a.json", "thing", 1)


def test_a_giant_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "a.json").write_text(json.dumps({"a": "long enough"}))
    with pytest.raises(FileFormatError, match="larger than 10 bytes"):
        read_document(tmp_path / "a.json", "thing", 1)


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system [id]", "!!python/name:os.system ''", "!custom {}"]
)
def test_yaml_tags_make_no_objects(tmp_path: Path, tag: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"format: supernet.thing\nversion: 1\na: {tag}\n")
    with pytest.raises(FileFormatError, match="could not determine a constructor"):
        read_document(path, "thing", 1)


def test_yaml_is_1_2_so_that_exponents_are_numbers_and_no_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("format: supernet.thing\nversion: 1\nlr: 1e-3\nanswer: no\n")
    assert read_document(path, "thing", 1) == {"lr": 1e-3, "answer": "no"}


# ------------------------------------------------------------------ dataclasses


def test_fill_builds_nested_values() -> None:
    data = {"name": "a", "inner": {"size": 1}, "several": [{"size": 2}, {"size": 3}], "widths": 4}
    assert fill(Outer, data) == Outer(
        name="a", inner=Inner(size=1), several=(Inner(size=2), Inner(size=3)), widths=(4,)
    )


def test_a_whole_number_is_read_as_a_fraction_but_not_the_reverse() -> None:
    assert fill(Inner, {"size": 1, "share": 1}).share == 1.0
    with pytest.raises(ConfigError, match=r"size: Expected `int`, got `float`, found 1.0"):
        fill(Inner, {"size": 1.0})


def test_fill_reports_every_problem_with_its_key_path() -> None:
    data: dict[str, Any] = {
        "nam": "a",
        "inner": {"size": "8", "share": True},
        "several": [{"size": 1}, {"size": -1}, 3],
        "widths": [8, None],
    }
    with pytest.raises(ConfigError) as caught:
        fill(Outer, data)
    assert caught.value.problems == [
        "nam: unknown key; did you mean 'name'?",
        "name: missing",
        "inner.size: Expected `int`, got `str`, found '8'",
        "inner.share: Expected `float`, got `bool`, found True",
        "several[1].size: must be from 0, found -1",
        "several[2]: expected a mapping, found 3",
        "widths[1]: Expected `int`, got `null`, found None",
    ]


def test_an_unknown_choice_lists_the_known_ones() -> None:
    data = {"name": "a", "inner": {"size": 1}, "kind": "rond", "kinds": ["square", 3]}
    with pytest.raises(ConfigError) as caught:
        fill(Outer, data)
    assert caught.value.problems == [
        "kind: must be one of round, square; found 'rond'",
        "kinds[1]: must be one of round, square; found 3",
    ]


def test_read_as_says_which_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_document(path, "thing", 1, {"size": -1, "extra": 1})
    with pytest.raises(ConfigError) as caught:
        read_as(Inner, path, "thing", 1)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)


def test_nearest_names_something_close_or_all_there_is() -> None:
    assert nearest("kernal", ["kernel", "width"]) == "did you mean 'kernel'?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "known: none"
    many = [f"net{number}" for number in range(100)]
    assert nearest("zzz", many[:12]) == f"known: {', '.join(sorted(many[:12]))}"
    assert nearest("87", many, most=99).startswith("the nearest of 100: net87, net")
    assert nearest("87", many).count(",") == 5
    assert nearest("87", many, most=100).count(",") == 99
    assert nearest("nsga3", ["nsga2", "optuna:nsga3"]) == "did you mean 'optuna:nsga3'?"
