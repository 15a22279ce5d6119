"""Several files that belong together are written whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from supernet.files import storage_error

__all__ = ["staged"]


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, whose content moves there if the block ends well.

    What has the name of `path` moves last: where it is new, all that it needs is new, too.
    Whatever interrupts the block, older files stay as they were.

    Raises:
        StorageError: the folder cannot be made or written, or the disk is full.
    """
    folder: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        yield folder
        made = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
        for file in made:
            _flush(file)
        for file in made:
            _replace(file, path.parent / file.name, folder)
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(path.parent)):
            raise storage_error(path, error) from error
        raise
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _flush(file: Path) -> None:
    for part in file.rglob("*") if file.is_dir() else [file]:
        if part.is_file():
            part.chmod(0o644)
            with part.open("rb+") as handle:
                os.fsync(handle.fileno())


def _replace(made: Path, place: Path, aside: Path) -> None:
    """A folder cannot replace another one: the old one steps aside, and is removed with `aside`."""
    if place.is_dir() and not place.is_symlink():
        place.rename(aside / f"{place.name}.old")
    made.replace(place)
