"""Converters that die or hang say so, with their last lines."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supernet.export import environment
from supernet.export.commands import run_converter
from supernet.export.environment import Environment

from supernet.errors import ExportError, StorageError


def converter(code: str, folder: Path, limit_s: float = 60) -> str:
    command = [sys.executable, "-c", code]
    return run_converter(command, title="Format", folder=folder, limit_s=limit_s)


def test_what_it_printed_is_given_back(tmp_path: Path) -> None:
    assert converter("import os; print(os.getcwd())", tmp_path).strip() == str(tmp_path)


def test_one_that_dies_is_quoted(tmp_path: Path) -> None:
    code = "print('layer 7'); print('no such operator: Mish'); raise SystemExit(3)"
    with pytest.raises(ExportError, match=r"(?s)Format: .* status 3.*layer 7\nno such.*Mish"):
        converter(code, tmp_path)


def test_one_that_is_killed_names_the_signal(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="was killed by SIGSEGV; it printed nothing"):
        converter("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)


def test_one_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    child = "import time; time.sleep(3); open('alive', 'w')"
    code = (
        "import subprocess, sys, time; print('pass 3 of 5', flush=True); "
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    since = time.monotonic()
    with pytest.raises(ExportError, match=r"(?s)ended after 1\.5 s; .*pass 3 of 5"):
        converter(code, tmp_path, limit_s=1.5)
    assert time.monotonic() - since < 20
    time.sleep(3)
    assert not (tmp_path / "alive").exists()


def test_one_ends_with_who_started_it(tmp_path: Path) -> None:
    code = "import time, os; open('started', 'w'); time.sleep(3); open('alive', 'w')"
    starts = (
        "import sys; from pathlib import Path; "
        "from supernet.export.commands import run_converter; "
        f"run_converter([sys.executable, '-c', {code!r}], title='Format', "
        f"folder=Path({str(tmp_path)!r}), limit_s=60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", starts])
    until = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert (tmp_path / "started").exists()
    starter.kill()
    starter.wait()
    time.sleep(4)
    assert not (tmp_path / "alive").exists()


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no-such-program cannot be started"):
        run_converter(["no-such-program"], title="Format", folder=tmp_path, limit_s=1)


@pytest.fixture
def own(home: Path) -> Environment:
    return Environment(name="converter", requirements=("some-converter==1.0",))


def test_an_environment_is_made_once_and_told(
    own: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], *, folder: Path, **_: object) -> str:
        commands.append(command)
        (folder / "lib/python3/site-packages").mkdir(parents=True, exist_ok=True)
        return ""

    monkeypatch.setattr(environment, "run_converter", run)
    told: list[str] = []
    python = own.python(lambda done, total, text: told.append(text))
    assert python == own.folder / "bin/python"
    assert own.python(lambda done, total, text: told.append(text)) == python
    assert len(told) == 1
    assert "some-converter==1.0" in told[0]
    assert [command[2] for command in commands] == ["venv", "pip"]
    behind = next(own.folder.glob("lib/*/site-packages/zz_behind.pth")).read_text()
    assert "site-packages" in behind
    assert [path.name for path in own.folder.parent.iterdir()] == [own.folder.name]


def test_what_a_killed_process_left_is_removed(
    own: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], *, folder: Path, **_: object) -> str:
        (folder / "lib/python3/site-packages").mkdir(parents=True, exist_ok=True)
        return ""

    monkeypatch.setattr(environment, "run_converter", run)
    left, held = (own.folder.parent / f".converter.{name}" for name in ("left", "held"))
    for folder in (left, held):
        folder.mkdir(parents=True)
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    own.python()
    os.close(lock)
    assert {path.name for path in own.folder.parent.iterdir()} == {held.name, own.folder.name}


def test_an_environment_that_cannot_be_filled_leaves_nothing(
    own: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], *, title: str, folder: Path, **_: object) -> str:
        (folder / "lib/python3/site-packages").mkdir(parents=True, exist_ok=True)
        if "pip" in command:
            raise ExportError(f"{title}: the converter failed; its last lines:\nno such version")
        return ""

    monkeypatch.setattr(environment, "run_converter", run)
    with pytest.raises(ExportError, match="no such version") as caught:
        own.python()
    assert "package index" in caught.value.hint
    assert list(own.folder.parent.iterdir()) == []


def test_other_versions_are_another_environment(own: Environment) -> None:
    other = Environment(name="converter", requirements=("some-converter==1.1",))
    assert other.folder != own.folder
    assert other.folder.parent == own.folder.parent


def test_a_folder_that_cannot_be_made_is_named(home: Path, own: Environment) -> None:
    home.write_text("no folder")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        own.python()
