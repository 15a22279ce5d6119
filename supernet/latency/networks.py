"""Files of whole networks and their measured latencies: NPZ or CSV.

Networks are written as Once-for-All does: ``ks`` and ``e`` hold the kernel and the expand
ratio of every block that a stage may have at most, ``d`` the depth of every stage, ``r``
the input size. Entries of blocks beyond the depth mean nothing. In an NPZ they are arrays
of shapes ``(N, blocks)``, ``(N, stages)`` and ``(N,)``; in a CSV a cell holds a list such
as ``7 3 5``, or there is one column a value (``ks0`` or ``ks1`` first). A CSV may name
``subnet.json`` files instead, in a column ``subnet``.
"""

import csv
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, FileFormatError
from supernet.files import nearest
from supernet.space import Genes, Space, SubnetFile, encode
from supernet.space.encodings import STAGE_CHOICES, encode_choices, encode_stage_choices

__all__ = ["MeasuredNetworks", "encode_choices", "read_columns", "read_networks"]

Numbers = npt.NDArray[np.float64]

_MAX_BYTES = 256 << 20
_MAX_ROWS = 1_000_000
_CHOICES = ("ks", "e", "d", "r")
_DAMAGED = (
    EOFError,
    NotImplementedError,  # a compression that Python does not know
    OSError,
    RuntimeError,  # encrypted
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_SEPARATORS = re.compile(r"[\s,;|]+")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MeasuredNetworks:
    """Subnets of one space and their latencies."""

    genes: Genes
    """Shape ``(N, G)``."""
    ms: Numbers
    """Milliseconds, shape ``(N,)``."""


def read_networks(path: Path, space: Space, column: str) -> MeasuredNetworks:
    """The networks of a file, and the latencies in one of its columns.

    Args:
        path: an ``.npz`` or a ``.csv``.
        space: that the networks are of.
        column: that holds the milliseconds.

    Raises:
        FileFormatError: not such a file, or a column or an array is missing.
        ConfigError: a network that the space has not, or a latency that is none.
    """
    columns = read_columns(path)
    if column not in columns:
        known = [name for name in columns if name not in (*_CHOICES, "subnet")]
        raise FileFormatError(f"{path}: no column {column!r}; {nearest(column, known)}")
    ms = _numbers(path, column, columns[column])
    if ms.ndim != 1 or not 0 < len(ms) <= _MAX_ROWS:
        raise FileFormatError(f"{path}: {column}: expected 1 to {_MAX_ROWS} values in a row")
    wrong = np.flatnonzero(~((ms > 0) & (ms < 1e7)))
    if len(wrong):
        raise ConfigError(
            f"{path}: {column}[{wrong[0]}]: a latency must be above 0 and below 1e7 ms, "
            f"found {ms[wrong[0]]:g} (as {len(wrong)} of {len(ms)} are)"
        )
    try:
        genes = _genes(path, space, columns, len(ms))
    except ConfigError as error:
        problems = [f"{path}: {problem}" for problem in error.problems]
        raise ConfigError(problems, hint=error.hint) from None
    return MeasuredNetworks(genes=genes, ms=ms)


def read_columns(path: Path) -> dict[str, Any]:
    """All arrays of an ``.npz``, or all columns of a ``.csv``, by name.

    Raises:
        FileFormatError: neither of them, or damaged.
    """
    return _read_npz(path) if path.suffix == ".npz" else _read_csv(path)


def _genes(path: Path, space: Space, columns: Mapping[str, Any], count: int) -> Genes:
    if "subnet" in columns:
        return _from_files(path, space, columns["subnet"])
    if "ks" not in columns and {"k", "l"} <= set(columns):
        given = [name for name in (*STAGE_CHOICES, "r") if name in columns]
        return encode_stage_choices(
            space, {name: _numbers(path, name, columns[name]) for name in given}
        )
    missing = [name for name in _CHOICES if name not in columns]
    if missing:
        raise FileFormatError(
            f"{path}: no {', '.join(missing)}; found {', '.join(list(columns)[:20]) or 'nothing'}",
            hint="see docs/latency_table.md for what such a file holds",
        )
    choices = {name: _numbers(path, name, columns[name]) for name in _CHOICES}
    for name, values in choices.items():
        if len(values) != count:
            raise FileFormatError(f"{path}: {name}: {len(values)} rows, expected {count}")
    return encode_choices(space, **choices)


def _from_files(path: Path, space: Space, names: Sequence[str]) -> Genes:
    """Subnets of files whose paths are relative to the folder of the CSV."""
    folder = path.resolve().parent
    found = []
    for name in names:
        file = (folder / name).resolve()
        if not file.is_relative_to(folder):
            raise FileFormatError(f"{path}: {name[:80]!r} is outside the folder of the file")
        found.append(SubnetFile.load(file).subnet)
    return encode(space, found)


# ------------------------------------------------------------------ files


def _numbers(path: Path, name: str, values: Any) -> Numbers:
    try:
        found: Numbers = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError):
        raise FileFormatError(
            f"{path}: {name}: not all of it are numbers, or of one length"
        ) from None
    return found


def _read_npz(path: Path) -> dict[str, Any]:
    """All numeric arrays of an archive; what holds code or lies about sizes is refused."""
    found: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > _MAX_BYTES:
                raise FileFormatError(f"{path}: holds more than {_MAX_BYTES >> 20} MB")
            for member in members:
                with archive.open(member) as stream:
                    found[member.filename.removesuffix(".npy")] = _read_array(
                        stream, member.file_size
                    )
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: not an archive of arrays: {reason}") from None
    return found


def _read_array(stream: Any, size: int) -> npt.NDArray[Any]:
    """One array; its header is checked before anything is allocated."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of the array format")
    shape, fortran, kind = read[version](stream)
    if kind.hasobject or kind.kind not in "biuf":
        raise ValueError(f"it holds {kind}, not numbers")
    count = int(np.prod([int(length) for length in shape], dtype=object)) if shape else 1
    if count * kind.itemsize > size:
        raise ValueError("an array is shorter than it says")
    values = np.frombuffer(stream.read(count * kind.itemsize), dtype=kind)
    return values.reshape(shape, order="F" if fortran else "C")


def _read_csv(path: Path) -> dict[str, Any]:
    """Its columns by name; those with numbers at the end of their names are put together."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path}: larger than {_MAX_BYTES >> 20} MB")
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(text.splitlines(), strict=True))
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: cannot be read as CSV: {error}") from None
    rows = [row for row in rows if row]
    if len(rows) < 2:
        raise FileFormatError(f"{path}: expected a line of names and lines of values")
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise FileFormatError(
                f"{path}, line {number}: {len(row)} values, the first line has {len(names)} names"
            )
    if len(set(names)) < len(names):
        raise FileFormatError(f"{path}: a name is there twice in the first line")
    columns: dict[str, list[Any]] = {
        name: [row[i].strip() for row in rows[1:]] for i, name in enumerate(names)
    }
    for name in ("ks", "e", "d", "k", "l", "se"):
        if name in columns:
            columns[name] = [_list(cell) for cell in columns[name]]
        else:
            _join(columns, name)
    return columns


def _list(cell: str) -> list[str]:
    return [part for part in _SEPARATORS.split(cell.strip("[]() ")) if part]


def _join(columns: dict[str, list[Any]], name: str) -> None:
    """``ks0``, ``ks1``, … become ``ks``."""
    own = [column for column in columns if re.fullmatch(rf"{name}_?\d{{1,3}}", column)]
    own.sort(key=lambda column: int(re.sub(r"\D", "", column)))
    if own:
        columns[name] = [list(values) for values in zip(*(columns[column] for column in own))]
