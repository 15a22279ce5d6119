"""Run folders that one training, or one import, has for itself."""

import contextlib
import datetime
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from supernet.files import storage_error
from supernet.locks import LOCK, alone, new_folder
from supernet.runs import RUNS, Run, check_new
from supernet.space import Space
from supernet.train import Processes

__all__ = ["check_claimable", "claimed_run", "held_run"]


@contextlib.contextmanager
def claimed_run(
    folder: Path | None,
    space: Space,
    created: datetime.datetime,
    processes: Processes | None = None,
) -> Iterator[Run]:
    """A new run that no other process writes to; its folder goes again if it stays empty.

    Args:
        folder: for it; one below ``runs/``, named by the space and the time, when not given.
        space: of the run.
        created: when.
        processes: those that train together; the first one makes it.

    Raises:
        ConfigError: the folder holds a run already, or another process is at work in it.
        StorageError: it cannot be made or written.
    """
    with contextlib.ExitStack() as held:

        def claim() -> Path:
            first = folder or RUNS
            new = not first.exists()
            made = folder or new_folder(RUNS, f"{space.name}-{created:%Y%m%d-%H%M%S}")
            for one in dict.fromkeys([first] * new + [made] * (folder is None)):
                held.callback(_remove_if_empty, one)  # the last one first
            held.enter_context(alone(made / LOCK))
            check_new(made)
            return made

        yield Run((processes or Processes()).from_main(claim))


def check_claimable(folder: Path | None) -> None:
    """Refuse a folder that `claimed_run` would refuse, before time is spent; nothing is made.

    Args:
        folder: as of `claimed_run`.

    Raises:
        ConfigError: it holds a run already.
        StorageError: it cannot be made or written.
    """
    wanted = (folder or RUNS).absolute()
    if folder:
        check_new(folder)
    there = next(path for path in (wanted, *wanted.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise storage_error(wanted, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


@contextlib.contextmanager
def held_run(run: Run, processes: Processes) -> Iterator[None]:
    """Keep other processes from going on with a run.

    Raises:
        BusyError: another process is at work in it.
    """
    with contextlib.ExitStack() as held:
        processes.from_main(lambda: held.enter_context(alone(run.folder / LOCK)))
        yield


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # there is something in it
        folder.rmdir()
