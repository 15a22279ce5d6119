"""Where this user's things go, also where there is no home folder or none to write to."""

import functools
import os
import stat
import tempfile
import warnings
from pathlib import Path

from supernet.errors import StorageError
from supernet.files import storage_error

__all__ = ["FallbackWarning", "can_write", "check_writes", "temporary_folder", "user_folder"]

_HOME = "SUPERNET_HOME"


class FallbackWarning(UserWarning):
    """Something goes elsewhere than it would in an ordinary environment."""


def user_folder() -> Path:
    """Where this user's tables and decoded images are kept.

    ``$SUPERNET_HOME``, else ``supernet`` below ``$XDG_CACHE_HOME`` or ``~/.cache``. Where that
    cannot be written, a folder of this user's among the temporary ones, which is said once.

    Raises:
        StorageError: there is none of these.
    """
    named = os.environ.get(_HOME)
    return Path(named) if named else _default(os.environ.get("XDG_CACHE_HOME"), _home())


def _home() -> str | None:
    try:
        return str(Path.home())
    except RuntimeError:  # no HOME, and a user id that is in no list of users
        return None


@functools.cache
def _default(caches: str | None, home: str | None) -> Path:
    below = Path(caches) if caches else Path(home) / ".cache" if home else None
    if below is not None and can_write(below / "supernet"):
        return below / "supernet"
    why = f"{below} cannot be written" if below else "there is no home folder"
    instead = _own_temporary(why)
    warnings.warn(
        f"{why}: tables and decoded images are kept in {instead}; name a folder that stays by "
        f"{_HOME}",
        FallbackWarning,
        stacklevel=3,
    )
    os.environ[_HOME] = str(instead)  # processes that this one starts go there, and say nothing
    return instead


def _own_temporary(why: str) -> Path:
    """A folder among the temporary ones that no other user can have put something into."""
    try:
        below = temporary_folder()
        folder = below / f"supernet-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and can_write(folder):
            return folder
        return Path(tempfile.mkdtemp(prefix="supernet-"))
    except OSError as error:
        raise StorageError(
            f"no place for tables and decoded images: {why}, nor can a temporary folder be made "
            f"({error})",
            hint=f"name a folder that you may write to by {_HOME}",
        ) from None


def temporary_folder() -> Path:
    """Where temporary files go; never the working folder.

    Raises:
        StorageError: there is no such folder.
    """
    try:
        found = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise StorageError(
            f"no folder for temporary files: {error.strerror}",
            hint="name one that you may write to by TMPDIR",
        ) from None
    return found


def can_write(folder: Path) -> bool:
    """Whether a folder may be written, or made where it is not there yet; writes nothing."""
    try:
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except (OSError, StopIteration):
        return False


def check_writes(folder: Path) -> None:
    """Make a file in a folder, which is made too, and remove what was made.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    made: list[Path] = []
    try:
        for one in (*reversed(folder.absolute().parents), folder.absolute()):
            if not one.is_dir():
                one.mkdir()
                made.append(one)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".supernet-doctor-") as file:
            file.write(b"written")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        for one in reversed(made):
            one.rmdir()
