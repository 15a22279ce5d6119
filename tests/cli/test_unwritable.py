"""Folders that may only be read: a line that names the way out, and nothing half-written."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.cli

CHOSEN = ("--space", "tiny.yaml", "--recipe", "recipe.yaml", "--batch-size", 16)


def no_way_in(monkeypatch: pytest.MonkeyPatch, folder: Path, code: int) -> None:
    """Let nothing be made in a folder; root may write everywhere."""

    def within(path: Any) -> bool:
        return Path(path).absolute().is_relative_to(folder)

    access, mkdir = os.access, Path.mkdir

    def may(path: Any, mode: int, **how: Any) -> bool:
        return access(path, mode, **how) and not (mode & os.W_OK and within(path))

    def make(path: Path, *how: Any, **more: Any) -> None:
        if within(path) and path.absolute() != folder and not path.exists():
            raise OSError(code, os.strerror(code), str(path))
        mkdir(path, *how, **more)

    monkeypatch.setattr(os, "access", may)
    monkeypatch.setattr(Path, "mkdir", make)


@pytest.mark.parametrize("command", [CHOSEN, ()])
def test_a_working_folder_that_cannot_be_written_names_run_before_anything_is_looked_at(
    supernet: Command,
    pictures: str,
    tiny_yaml: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[object, ...],
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("looked at")

    no_way_in(monkeypatch, tiny_yaml, errno.EACCES)
    monkeypatch.setattr("supernet.workflow.plan.look_at", refuse)
    monkeypatch.setattr("supernet.data.store._decode_all", refuse)
    before = sorted(tiny_yaml.rglob("*"))
    refused = supernet("train", "--data", pictures, *command)
    assert refused.code == 1
    (told,) = refused.stderr.splitlines()
    assert told.startswith(f"error: cannot write {tiny_yaml / 'runs'}: writing there is not perm")
    assert "runs go where --run says" in told
    assert sorted(tiny_yaml.rglob("*")) == before


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_home_that_cannot_be_written_names_its_variable(
    supernet: Command, pictures: str, tiny_yaml: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (tiny_yaml / "home").mkdir()
    no_way_in(monkeypatch, tiny_yaml / "home", code)
    refused = supernet("train", "--data", pictures, *CHOSEN)
    assert refused.code == 1
    told = refused.stderr.splitlines()[-1]
    assert told.startswith(f"error: cannot write {tiny_yaml / 'home'}")
    assert "decoded images where SUPERNET_HOME says" in told
    assert not list((tiny_yaml / "home").iterdir())
    assert not Path("runs").exists()
