"""Folders and files that several processes want at once: one gets them, the others are told.

Locks are the system's own: one that a killed process held is free again at once.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from supernet.errors import BusyError, ConfigError
from supernet.files import storage_error

__all__ = ["LOCK", "alone", "locked", "new_folder", "remove_folder"]

LOCK = ".lock"
"""In a folder that a process is at work in."""

_MOST_FOLDERS = 10_000
_CANNOT = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""Of file systems that know no locks."""


def new_folder(parent: Path, name: str) -> Path:
    """Make a folder that nobody else has: ``name``, ``name-2``, ``name-3``...

    Raises:
        ConfigError: there are too many.
        StorageError: it cannot be made.
    """
    for number in range(1, _MOST_FOLDERS):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)  # another process may remove an empty parent meanwhile
        except FileExistsError:
            continue
        except OSError as error:
            raise storage_error(folder, error) from error
        return folder
    raise ConfigError(f"{parent}: holds {_MOST_FOLDERS} folders named {name!r}; remove some")


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, unless a process is at work there.

    Raises:
        BusyError: one is.
        StorageError: it cannot be locked.
    """
    if folder.is_dir():
        with alone(folder / LOCK):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file for this process alone, until the block or the process ends.

    Without effect on Windows, and where the file system knows no locks.

    Raises:
        BusyError: another process holds it.
        StorageError: it cannot be opened or locked.
    """
    with _opened(path, "rb+") as handle:
        _lock(handle, path, None)
        yield


@contextlib.contextmanager
def alone(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Make a file for this process alone and remove it when the block ends.

    Whoever comes second is refused, or waits. Without effect where `locked` is.

    Args:
        path: of the file; its folder is made.
        waiting: called once if another process holds it, whose end is then waited for.

    Raises:
        BusyError: another process holds it, and nothing was said of waiting.
        StorageError: it cannot be made or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path.parent, error) from error
    with contextlib.ExitStack() as stack:
        while True:
            handle = stack.enter_context(_opened(path, "ab"))
            _lock(handle, path, waiting)
            if _is_still(handle, path):  # who held it may have removed it since
                break
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[bytes]]:
    try:
        handle: IO[bytes] = path.open(mode)
    except OSError as error:
        raise storage_error(path, error) from error
    with handle:
        yield handle


def _lock(handle: IO[bytes], path: Path, waiting: Callable[[], None] | None) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise BusyError(
                    f"{path.parent}: another process is at work there",
                    hint="wait until it has ended",
                ) from None
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise storage_error(path, error) from error


def _is_still(handle: IO[bytes], path: Path) -> bool:
    """Whether the open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
