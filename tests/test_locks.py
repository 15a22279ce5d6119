"""One process gets a folder or file, the others are told; nothing stays locked."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from supernet.errors import BusyError, StorageError
from supernet.locks import LOCK, alone, locked, new_folder, remove_folder

HOLD = """
import sys
from pathlib import Path
from supernet.locks import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    """Another process that holds `path` until its input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_many_threads_make_a_folder_each(tmp_path: Path) -> None:
    made: list[Path] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        made.append(new_folder(tmp_path / "runs", "demo"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = ["demo", *(f"demo-{number}" for number in range(2, 9))]
    assert sorted(path.name for path in made) == expected


def test_a_held_folder_is_refused_and_free_when_its_process_is_killed(tmp_path: Path) -> None:
    child = holder(tmp_path / LOCK)
    with pytest.raises(BusyError, match="another process is at work there"), alone(tmp_path / LOCK):
        pass
    (tmp_path / "kept.txt").write_text("of the other process")
    with pytest.raises(BusyError):
        remove_folder(tmp_path)
    assert (tmp_path / "kept.txt").exists()
    child.kill()
    child.communicate()
    assert (tmp_path / LOCK).exists()  # left by who was killed, and in nobody's way
    with alone(tmp_path / LOCK):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    remove_folder(tmp_path)
    assert not tmp_path.exists()


def test_who_waits_is_told_so_once_and_comes_next(tmp_path: Path) -> None:
    child, told = holder(tmp_path / LOCK), []

    def waiting() -> None:
        told.append("waiting")
        assert child.stdin is not None
        child.stdin.close()

    with alone(tmp_path / LOCK, waiting=waiting):
        assert child.wait(60) == 0  # it removed its file, so this one made another
        assert (tmp_path / LOCK).exists()
        with pytest.raises(BusyError), alone(tmp_path / LOCK):
            pass
    assert told == ["waiting"]
    assert list(tmp_path.iterdir()) == []
    assert child.stdout is not None
    child.stdout.close()


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file by that name"), alone(tmp_path / "file" / LOCK):
        pass
    with pytest.raises(StorageError, match="cannot write"), locked(tmp_path / "missing"):
        pass


def test_a_file_system_without_locks_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def refuse(handle: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path / LOCK):
        assert (tmp_path / LOCK).exists()
