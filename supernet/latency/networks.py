"""Files of whole networks and what was measured of them: NPZ or CSV.

Networks are written as Once-for-All does: ``ks`` and ``e`` hold the kernel and the expand
ratio of every block that a stage may have at most, ``d`` the depth of every stage, ``r``
the input size. Entries of blocks beyond the depth mean nothing. In an NPZ they are arrays
of shapes ``(N, blocks)``, ``(N, stages)`` and ``(N,)``; in a CSV a cell holds a list such
as ``7 3 5``, or there is one column a value (``ks0`` or ``ks1`` first). A CSV may name
``subnet.json`` files instead, in a column ``subnet``. Spaces whose stages share their choices
are also written with one value a stage, ``k e l se`` (`encode_stage_choices`).

A column holds milliseconds or images per second; NaN, or an empty cell, where a network was
not measured.
"""

import csv
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, FileFormatError
from supernet.files import nearest
from supernet.metrics import kendall_tau
from supernet.space import Genes, Space, SubnetFile, encode, macs_of
from supernet.space.encodings import STAGE_CHOICES, encode_choices, encode_stage_choices

__all__ = ["MeasuredNetworks", "Unit", "read_columns", "read_networks"]

Numbers = npt.NDArray[np.float64]
Unit: TypeAlias = Literal["ms", "images/s"]

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
_MANY = 60  # networks from which on a rank correlation with the multiply-adds is sure
_ENOUGH = 1000  # networks that it is taken from
_FALLING = -0.25  # a Kendall tau that no device has: at batch 1 GPUs still have 0.15 to 0.2
_SEPARATORS = re.compile(r"[\s,;|]+")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MeasuredNetworks:
    """Subnets of one space and their latencies."""

    genes: Genes
    """Shape ``(N, G)``."""
    ms: Numbers
    """Milliseconds of a batch, shape ``(N,)``."""
    left_out: int = 0
    """Networks of the file that were not measured."""


def read_networks(
    path: Path, space: Space, column: str, *, unit: Unit = "ms", batch: int = 1
) -> MeasuredNetworks:
    """The networks of a file, and their latencies from one of its columns.

    Args:
        path: an ``.npz`` or a ``.csv``.
        space: that the networks are of.
        column: that holds what was measured.
        unit: of the column. ``images/s`` become the time of a batch, ``1000 * batch / x`` ms.
        batch: images at a time; milliseconds are taken as those of a batch already.

    Raises:
        FileFormatError: not such a file, or a column or an array is missing.
        ConfigError: a network that the space has not, a value that is no latency, nothing
            measured, or larger networks are faster, as in a column of the other unit.
    """
    columns = read_columns(path)
    if column not in columns:
        known = [name for name in columns if name not in (*_CHOICES, *STAGE_CHOICES, "subnet")]
        raise FileFormatError(f"{path}: no column {column!r}; {nearest(column, known)}")
    values = _measured(path, column, columns[column], unit)
    try:
        genes = _genes(path, space, columns, len(values))
    except ConfigError as error:
        problems = [f"{path}: {problem}" for problem in error.problems]
        raise ConfigError(problems, hint=error.hint) from None
    if len(genes) != len(values):
        raise FileFormatError(f"{path}: {len(genes)} networks, but {len(values)} rows of {column}")
    there = np.isfinite(values)
    genes, values = genes[there], values[there]
    ms = 1000.0 * batch / values if unit == "images/s" else values
    if _falls(space, genes, ms):
        other = "ms" if unit == "images/s" else "images/s"
        raise ConfigError(
            f"{path}: {column}: taken as {unit}, larger networks are faster than smaller ones",
            hint=f"if the column holds {other}: --unit {other}",
        )
    return MeasuredNetworks(genes=genes, ms=ms, left_out=int((~there).sum()))


def _falls(space: Space, genes: Genes, ms: Numbers) -> bool:
    """Whether times fall as networks grow."""
    some = slice(None, None, 1 + len(ms) // _ENOUGH)
    macs = macs_of(space, genes[some]).astype(np.float64)
    return len(macs) >= _MANY and kendall_tau(macs, ms[some]) < _FALLING


def _measured(path: Path, column: str, cells: Any, unit: Unit) -> Numbers:
    """The values of a column as they are; NaN where nothing was measured."""
    if isinstance(cells, list):  # of a CSV
        cells = [cell or "nan" for cell in cells]
    values = _numbers(path, column, cells)
    if values.ndim != 1 or not 0 < len(values) <= _MAX_ROWS:
        raise FileFormatError(f"{path}: {column}: expected 1 to {_MAX_ROWS} values in a row")
    wrong = np.flatnonzero(~((values > 0) & (values < 1e7)) & ~np.isnan(values))
    if len(wrong):
        kind = "a throughput" if unit == "images/s" else "a latency"
        raise ConfigError(
            f"{path}: {column}[{wrong[0]}]: {kind} must be above 0 and below 1e7 {unit}, "
            f"found {values[wrong[0]]:g} (as {len(wrong)} of {len(values)} are)"
        )
    if np.isnan(values).all():
        raise ConfigError(f"{path}: {column}: none of {len(values)} networks was measured")
    return values


def read_columns(path: Path) -> dict[str, Any]:
    """All arrays of an ``.npz``, or all columns of a ``.csv``, by name.

    Raises:
        FileFormatError: neither of them, or damaged.
    """
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)


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
            hint="docs/latency.md, Whole networks only, says what such a file holds",
        )
    choices = {name: _numbers(path, name, columns[name]) for name in _CHOICES}
    for name, values in choices.items():
        if len(values) != count:
            raise FileFormatError(f"{path}: {name}: {len(values)} rows, expected {count}")
    return encode_choices(space, **choices)


def _from_files(path: Path, space: Space, names: Any) -> Genes:
    """Subnets of files whose paths are relative to the folder of the CSV."""
    folder = path.resolve().parent
    if isinstance(names, np.ndarray) and (names.ndim != 1 or names.dtype.kind != "U"):
        raise FileFormatError(f"{path}: subnet: expected a name of a file for each network")
    found = []
    for name in names:
        if "\0" in name:
            raise FileFormatError(f"{path}: {name[:80]!r} is no name of a file")
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
    if not found.ndim:
        raise FileFormatError(f"{path}: {name}: expected a row for each network, found one value")
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
    if kind.hasobject or kind.kind not in "biufU":
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
    for name in ("ks", "e", "d", "k", "l", "se", "genes"):
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
