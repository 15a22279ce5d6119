"""The folder of an export: made beside its place, then moved there as a whole."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.files import storage_error
from supernet.space import SubnetFile

__all__ = ["SUBNET_FILE", "Earlier", "check_folder", "staged"]

SUBNET_FILE = "subnet.json"


def check_folder(folder: Path, marker: str = SUBNET_FILE) -> None:
    """Refuse a folder that holds something else than an export.

    Args:
        folder: to be written.
        marker: name of the file that such an export has.

    Raises:
        ConfigError: a file is there, or a folder without the marker that is not empty.
    """
    if folder.is_file() or folder.suffix in (".onnx", ".tflite", ".xml", ".pte"):
        raise ConfigError(
            f"output: must be a folder, found {folder}",
            hint="the files in it are called model.onnx, model_int8.onnx and so on",
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise ConfigError(
            f"output: {folder} holds other things than an export",
            hint="give a new folder by -o",
        )


@contextlib.contextmanager
def staged(folder: Path, stale: Sequence[str] = ()) -> Iterator[Path]:
    """A new folder beside `folder`; when the block ends well, its files are moved there.

    Args:
        folder: where they go.
        stale: stems of files that are removed from it then.

    Raises:
        StorageError: it cannot be made or written.
    """
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        temporary.chmod(0o755)
        yield temporary
        _move(temporary, folder, stale)
    except OSError as error:
        if isinstance(error, StorageError) or error.filename is None:
            raise
        raise storage_error(folder, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _move(source: Path, folder: Path, stale: Sequence[str]) -> None:
    folder.mkdir(exist_ok=True)
    for stem in stale:
        for path in folder.glob(f"{stem}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in source.iterdir():
        target = folder / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier export left in a folder."""

    kept: Mapping[str, Any]
    """Facts of each file of the same network, by name, as in ``subnet.json``."""
    stale: tuple[str, ...] = ()
    """Stems of the files of another network, which a new export replaces."""

    @classmethod
    def of(cls, folder: Path, file: SubnetFile, weights: str) -> "Earlier":
        """That in `folder`, before a subnet with these weights (SHA-256) is exported there."""
        try:
            earlier = SubnetFile.load(folder / SUBNET_FILE)
        except (FileFormatError, ConfigError):
            return cls(kept={})
        files: dict[str, Any] = dict(earlier.measured.get("files", {}))
        known = (earlier.checkpoint or {}).get("sha256")
        if earlier.subnet == file.subnet and known == weights:
            return cls(kept={name: files[name] for name in files if (folder / name).exists()})
        return cls(kept={}, stale=tuple({Path(name).stem for name in files}))
