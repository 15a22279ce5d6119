"""Environments of their own, for converters whose packages would clash with ours."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from supernet.export.commands import run_converter

from supernet.errors import ExportError
from supernet.files import storage_error
from supernet.places import user_folder
from supernet.progress import Progress, silent

__all__ = ["Environment"]

_MAKE_S, _INSTALL_S = 180.0, 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Packages at fixed versions, installed when they are first needed and then kept.

    What is installed here is seen from there, too, behind what is installed there: torch is not
    installed again where this one serves.
    """

    name: str
    """Of the converter."""
    requirements: tuple[str, ...]
    """Each with its version."""

    @property
    def folder(self) -> Path:
        """Where it is kept: another one for other versions, of Python and torch, too."""
        told = [self.requirements, sys.version_info[:3], version("torch"), _seen_here()]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
        return user_folder() / "environments" / f"{self.name}-{digest}"

    def python(self, progress: Progress = silent) -> Path:
        """Its interpreter; the environment is made if it is not there.

        Raises:
            ExportError: it cannot be made; with the last lines of the installer.
            StorageError: the disk is full or refuses the write.
        """
        if not self.folder.is_dir():
            told = ", ".join(self.requirements)
            progress(0, 1, f"installing {told} into an environment of its own, once (minutes)")
            self._make()
        return _interpreter(self.folder)

    def _make(self) -> None:
        """Made beside its place and moved there, so that it is whole or not there."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._remove_unfinished()
            made = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.name}."))
            held = _held(made)
        except OSError as error:  # or another process took the new folder for one that was left
            raise storage_error(self.folder, error) from error
        try:
            self._fill(made)
            if not self.folder.is_dir():  # no other process was faster
                made.rename(self.folder)
        except OSError as error:
            if not self.folder.is_dir():
                raise storage_error(self.folder, error) from error
        finally:
            os.close(held)
            shutil.rmtree(made, ignore_errors=True)

    def _remove_unfinished(self) -> None:
        """Remove what was left where a process was killed while it made one."""
        for left in self.folder.parent.glob(f".{self.name}.*"):
            with contextlib.suppress(OSError):  # somebody is at it
                lock = _held(left)
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)

    def _fill(self, made: Path) -> None:
        title = f"environment of {self.name}"
        command = [sys.executable, "-m", "venv", str(made)]
        run_converter(command, title=title, folder=made, limit_s=_MAKE_S)
        (packages,) = made.glob("lib/python*/site-packages")
        (packages / "zz_behind.pth").write_text("\n".join(_seen_here()) + "\n", encoding="utf-8")
        pip = [str(_interpreter(made)), "-m", "pip", "install", "--no-input"]
        pip += ["--disable-pip-version-check", *self.requirements]
        try:
            run_converter(pip, title=title, folder=made, limit_s=_INSTALL_S)
        except ExportError as error:
            error.hint = "it installs packages: see whether this machine reaches a package index"
            raise


def _held(folder: Path) -> int:
    """A lock on a folder that is being filled; the system lets it go with this process.

    Raises:
        OSError: another process holds it.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _seen_here() -> list[str]:
    """Where the packages of this interpreter are."""
    return [part for part in sys.path if Path(part).name in ("site-packages", "dist-packages")]
