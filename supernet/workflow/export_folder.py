"""The folder of an export: made beside its place, then moved there as a whole."""

import contextlib
import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from supernet.data import Dataset
from supernet.errors import (
    ConfigError,
    ExportError,
    FileFormatError,
    MissingPackageError,
    StorageError,
)
from supernet.export import Exporter, format_of
from supernet.export.handover import sample_files
from supernet.export.int8.telling import BESIDE_FLOAT
from supernet.files import read_document, storage_error
from supernet.locks import LOCK, alone
from supernet.space import SubnetFile

__all__ = [
    "SUBNET_FILE",
    "Earlier",
    "Written",
    "check_folder",
    "files_in",
    "images_told",
    "onnx_files",
    "staged",
    "write_each",
    "written_files",
]

SUBNET_FILE = "subnet.json"

_USUAL_ENDS = {"pixels": False, "output": "logits"}  # of files whose facts do not tell
_STAGE = ".export"  # how folders end that are being made
_LEFT_S = 86_400.0  # after which nobody is at work in one any more
_VERSION = 1  # of the documents of exports
_DOCUMENTS = (SUBNET_FILE, "bundle.json", "backbone.json")
_AROUND = ("README.md", "labels.txt", "predict.py", "pictures.py", "adaptive.py", "samples")
_IN_CARD = {"bytes": int, "precision": str, "notes": list}
"""What cards tell of each file."""

_OF_ONE_FILE = (ExportError, FileFormatError, MissingPackageError)

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[Facts]):
    """What came of the files of one network."""

    files: dict[str, Facts]
    """What is known of each, by name."""
    failed: dict[str, str]
    """Why others could not be written, by name."""
    interrupted: bool = False
    """Whether some were not begun, or not ended."""


def write_each(folder: Path, wanted: Mapping[str, Callable[[], Facts]]) -> Written[Facts]:
    """Write one file after the other; of those that fail nothing stays, and the others follow.

    An interrupt ends it once there is a file to keep: raise it again when that is done.

    Args:
        folder: of the files.
        wanted: what writes each, by name.

    Raises:
        ExportError, FileFormatError, MissingPackageError: none could be written; that of the first.
        KeyboardInterrupt: before there was a file.
    """
    files: dict[str, Facts] = {}
    failed: dict[str, ExportError | FileFormatError | MissingPackageError] = {}
    interrupted = False
    for name, write in wanted.items():
        before = set(folder.rglob("*"))
        try:
            files[name] = write()
        except (*_OF_ONE_FILE, KeyboardInterrupt) as error:
            for part in sorted(set(folder.rglob("*")) - before, reverse=True):
                part.rmdir() if part.is_dir() else part.unlink()
            if not isinstance(error, KeyboardInterrupt):
                failed[name] = error
                continue
            if not files:
                raise
            interrupted = True
            break
    if not files:
        raise next(iter(failed.values()))
    told = {
        name: str(error) + (f" ({error.hint})" if error.hint else "")
        for name, error in failed.items()
    }
    return Written(files=files, failed=told, interrupted=interrupted)


def files_in(folder: Path) -> set[Path]:
    """All files below a folder: a format may write several."""
    return {path for path in folder.rglob("*") if path.is_file()}


def check_folder(
    folder: Path,
    marker: str = SUBNET_FILE,
    exporters: Iterable[Exporter] = (),
    given: Path | None = None,
) -> None:
    """Refuse a folder that holds something else than an export.

    Args:
        folder: to be written.
        marker: name of the document that such an export has.
        exporters: that will write there.
        given: the subnet file that is exported.

    Raises:
        ConfigError: a file is there, or a folder that is not empty and that no export made.
        ExportError: a file of the user's would be replaced.
    """
    if folder.is_file() or folder.suffix in (".onnx", ".tflite", ".xml", ".pte"):
        raise ConfigError(
            f"output: must be a folder, found {folder}",
            hint="the files in it are called model.onnx, model_int8.onnx and so on",
        )
    if (
        folder.is_dir()
        and any(path.name != LOCK for path in folder.iterdir())
        and not _made_by_export(folder, marker, given)
    ):
        raise ConfigError(
            f"output: {folder} holds other things than an export",
            hint="give a new folder by -o",
        )
    for exporter in exporters:
        exporter.check_folder(folder)


def _made_by_export(folder: Path, marker: str, given: Path | None) -> bool:
    """Whether its document tells networks, and they or their samples are there.

    Searches have a ``subnet.json`` too, and anybody may copy one. Of an export that was killed the
    document may be there alone.
    """
    names, here = _told_by(folder / marker), {path.name for path in folder.iterdir()}
    if not names:
        return False
    if not here.isdisjoint(names) or sample_files(folder):
        return True
    alone = given is None or given.resolve() != (folder / marker).resolve()
    return alone and here.isdisjoint(_AROUND)


def _told_by(document: Path) -> list[str]:
    """Names of the networks that the document of an export tells; none where it is of another."""
    try:
        body: Any = read_document(document, document.stem, _VERSION)
        if document.name == SUBNET_FILE:
            body = body["measured"]
        if "levels" in body:
            return [str(level["file"]) for level in body["levels"] if "file" in level]
        return [str(name) for name in dict(body["files"])]
    except (FileFormatError, KeyError, TypeError, ValueError):
        return []


def images_told(dataset: Dataset) -> str:
    """In a few characters the images that files were made and checked with.

    Files of others have other batch norm statistics and accuracies, and may name other classes.
    """
    if dataset.record is None:  # a data set that cannot change
        return dataset.name
    told = dataset.record.fingerprints()
    return hashlib.sha256(f"{told['train']} {told['test']}".encode()).hexdigest()[:16]


@contextlib.contextmanager
def staged(folder: Path, stale: Sequence[Path] = ()) -> Iterator[Path]:
    """A new folder beside `folder`; when the block ends well, its files are moved there.

    Args:
        folder: where they go.
        stale: what an earlier export wrote, which is removed then.

    Raises:
        BusyError: another process exports into it.
        StorageError: it cannot be made or written.
    """
    new = not folder.exists()
    try:
        with alone(folder / LOCK), _made_beside(folder) as temporary:
            yield temporary
            _move(temporary, folder, stale)
    except OSError as error:
        if isinstance(error, StorageError) or error.filename is None:
            raise
        raise storage_error(folder, error) from error
    finally:
        if new:
            with contextlib.suppress(OSError):  # there is an export in it
                folder.rmdir()


@contextlib.contextmanager
def _made_beside(folder: Path) -> Iterator[Path]:
    """Beside it; what processes that were killed days ago left there goes."""
    prefix = f".{folder.name}."
    ours = re.compile(rf"{re.escape(prefix)}\w{{8}}{re.escape(_STAGE)}")
    with contextlib.suppress(OSError):  # of a folder that may not be listed
        for left in [path for path in folder.parent.iterdir() if ours.fullmatch(path.name)]:
            if time.time() - left.stat().st_mtime > _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix, suffix=_STAGE))
    try:
        temporary.chmod(0o755)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def onnx_files(stage: Path, folder: Path, names: Iterable[str]) -> list[Path]:
    """ONNX files of an export: the new ones in its stage, the others in the folder."""
    found = []
    for name in names:
        if name.endswith(".onnx"):
            found.append(stage / name if (stage / name).exists() else folder / name)
    return found


def written_files(folder: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """Networks of an export and what belongs to them; and its sample images.

    Args:
        folder: of the export.
        names: of the networks, as a document in the folder tells them. Those that are no plain
            names of files are left out.
    """
    found: list[Path] = sample_files(folder)
    for name in names:
        if name not in {"", ".", ".."} and Path(name).name == name:
            found += [part for part in _parts(folder / name) if part.parent == folder]
    return tuple(found)


def _parts(path: Path) -> list[Path]:
    try:
        return format_of(path).load().parts(path)
    except FileFormatError:  # of no format that there is
        return []


def _move(source: Path, folder: Path, stale: Sequence[Path]) -> None:
    """Nothing goes but what is stale and what is replaced: a folder may hold other files, too.

    Documents come first, then networks: whenever a process is killed, what a document tells of a
    file that is there is true of it, and the folder is known for an export.
    """
    folder.mkdir(exist_ok=True)
    for path in stale:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in sorted(source.iterdir(), key=_turn):
        target = folder / path.name
        if path.is_dir() and not path.suffix:  # a plain folder; others are networks
            _move(path, target, ())
            continue
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)


def _turn(path: Path) -> tuple[bool, bool, bool]:
    return path.name not in _DOCUMENTS, path.suffix != ".json", path.name in _AROUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an earlier export left in a folder."""

    kept: Mapping[str, Any]
    """Facts of each file of the same network, by name, as in ``subnet.json``."""
    stale: tuple[Path, ...] = ()
    """Files of another network, or that read or give something else; a new export replaces them."""

    @classmethod
    def of(cls, folder: Path, file: SubnetFile, weights: str, ends: Mapping[str, Any]) -> "Earlier":
        """That in `folder`, before a subnet is exported there.

        Args:
            folder: of the export.
            file: of the subnet.
            weights: their SHA-256.
            ends: what the new files read and give (`Job.ends`).
        """
        try:
            earlier = SubnetFile.load(folder / SUBNET_FILE)
        except (FileFormatError, ConfigError):
            return cls(kept={})
        told = earlier.measured.get("files")
        files: dict[str, Any] = dict(told) if isinstance(told, dict) else {}
        known = (earlier.checkpoint or {}).get("sha256")
        if earlier.subnet == file.subnet and known == weights:
            usual = {**ends, **_USUAL_ENDS}
            alike = {
                name: facts
                for name, facts in files.items()
                if _is_whole(name, facts) and {k: facts.get(k, v) for k, v in usual.items()} == ends
            }
            kept = {name: facts for name, facts in alike.items() if (folder / name).exists()}
            return cls(kept=kept, stale=written_files(folder, files.keys() - alike.keys()))
        return cls(kept={}, stale=written_files(folder, files))


def _is_whole(name: str, facts: Any) -> bool:
    """Whether facts of a file are those that a card is made of; older versions told fewer."""
    if not isinstance(facts, dict):
        return False
    own: dict[str, type] = dict(_IN_CARD)
    if name.endswith(".onnx"):
        own["lowest_onnxruntime"] = str
    if "top1" in facts:
        own |= dict.fromkeys(("top1", "torch_top1", "agreement", "max_abs_diff"), float)
        own["images"] = int
    if "sensitivity" in facts:
        own |= {"weights_bits": int, "calibrator": str}
        layers = facts["sensitivity"]
        if not isinstance(layers, dict) or not all(isinstance(v, float) for v in layers.values()):
            return False
    if not isinstance(facts.get("latency_ms"), float | None):
        return False
    if "beside_float" in facts and not _has(facts["beside_float"], BESIDE_FLOAT):
        return False
    return _has(facts, own)


def _has(facts: Any, kinds: Mapping[str, type]) -> bool:
    return isinstance(facts, dict) and all(isinstance(facts.get(k), v) for k, v in kinds.items())
