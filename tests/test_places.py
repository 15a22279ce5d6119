"""Where things go without a home folder, or with one that cannot be written."""

import os
import pwd
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from supernet import places
from supernet.errors import StorageError
from supernet.places import FallbackWarning, can_write, check_writes, user_folder


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No names in the environment, and temporary files in a folder of the test."""
    for name in ("SUPERNET_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards, whoever sets it
        monkeypatch.delenv(name)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    places._default.cache_clear()
    yield folder
    places._default.cache_clear()


def unknown(uid: int) -> object:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def test_the_user_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".cache" / "supernet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_folder() == tmp_path / "cache" / "supernet"
    monkeypatch.setenv("SUPERNET_HOME", str(tmp_path / "mine"))
    assert user_folder() == tmp_path / "mine"


def test_without_a_home_a_temporary_folder_is_taken_and_told_once(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.warns(FallbackWarning, match="there is no home folder: .* SUPERNET_HOME") as told:
        folder = user_folder()
    assert folder == bare / f"supernet-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(told) == 1
    assert os.environ["SUPERNET_HOME"] == str(folder)  # for processes that are started from here
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert user_folder() == folder


def test_a_home_that_cannot_be_written_is_named(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")  # nobody writes below it, root neither
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.warns(FallbackWarning, match=r"file/\.cache cannot be written: .* SUPERNET_HOME"):
        assert user_folder().parent == bare


def test_a_home_that_may_only_be_read_is_left_alone_and_the_way_out_told(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As whoever is not root meets it."""
    plain = os.access

    def access(path: Path, mode: int) -> bool:
        return plain(path, mode) and not (mode & os.W_OK and Path(path).name == "home")

    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("supernet.places.os.access", access)
    with pytest.warns(FallbackWarning, match=r"home/\.cache cannot be written: .* SUPERNET_HOME"):
        assert user_folder().parent == bare
    assert not list((tmp_path / "home").iterdir())


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_left_alone(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    monkeypatch.setenv("HOME", str(home))
    with pytest.warns(FallbackWarning):
        assert user_folder().parent == bare


def test_the_temporary_folder_of_somebody_else_is_not_used(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    (bare / f"supernet-{os.getuid()}").symlink_to(tmp_path / "theirs")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.warns(FallbackWarning):
        folder = user_folder()
    assert folder.parent == bare
    assert folder.name != f"supernet-{os.getuid()}"
    assert not folder.is_symlink()


def test_without_any_place_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    with pytest.raises(StorageError, match="there is no home folder") as told:
        user_folder()
    assert "SUPERNET_HOME" in told.value.hint
    with pytest.raises(StorageError) as told:
        places.temporary_folder()
    assert "TMPDIR" in told.value.hint


def test_a_place_is_really_written_and_left_as_it_was(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "kept").write_text("")
    for folder in (there, tmp_path / "not" / "yet"):
        check_writes(folder)
        assert can_write(folder)
    assert [path.name for path in there.iterdir()] == ["kept"]
    assert not (tmp_path / "not").exists()
    with pytest.raises(StorageError, match="there is a file by that name"):
        check_writes(there / "kept" / "below")
    assert not can_write(there / "kept" / "below")
