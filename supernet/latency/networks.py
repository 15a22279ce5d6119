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
from supernet.space import Genes, Space, Stage, SubnetFile, canonical, encode
from supernet.space.layout import Dimension, layout_of
from supernet.space.spec import EXPANDING

__all__ = ["MeasuredNetworks", "encode_choices", "read_networks"]

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
_TOLD = re.compile(r"resolution|stage\d+\.(block\d+\.)?(depth|kernel|expand)")
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
    read = _read_npz if path.suffix == ".npz" else _read_csv
    columns = read(path)
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


def _genes(path: Path, space: Space, columns: Mapping[str, Any], count: int) -> Genes:
    if "subnet" in columns:
        return _from_files(path, space, columns["subnet"])
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


# ------------------------------------------------------------------ encodings


def encode_choices(space: Space, ks: Numbers, e: Numbers, d: Numbers, r: Numbers) -> Genes:
    """Genes of networks written as kernels, expand ratios, depths and sizes.

    Args:
        space: that has them.
        ks: kernel of every block of every stage with more than one choice, ``(N, B)``.
        e: expand ratios, ``(N, B)``.
        d: depths of these stages, ``(N, S)``; those of stages with one depth may be left out.
        r: input sizes, ``(N,)``.

    Raises:
        ConfigError: wrong shapes, or a value that the space has not; names the first.
    """
    layout = layout_of(space)
    untold = [g.name for g in layout.genes if not _TOLD.fullmatch(g.name)]
    if untold:
        raise ConfigError(
            f"space {space.name!r} has choices that ks, e, d and r do not tell: "
            f"{', '.join(untold[:4])}{', …' * (len(untold) > 4)}",
            hint="write a CSV that names subnet.json files in a column `subnet`",
        )
    chosen = [(own, stage) for own, stage in zip(layout.stages, space.stages) if _open(stage)]
    blocks = sum(stage.max_depth for _, stage in chosen)
    elastic = [own.depth for own, stage in chosen if len(stage.depth) > 1]
    depths = elastic if d.ndim == 2 and d.shape[1] == len(elastic) else [s.depth for s, _ in chosen]
    shapes = {"ks": (ks, blocks), "e": (e, blocks), "d": (d, len(depths))}
    for name, (values, width) in shapes.items():
        if values.shape != (len(r), width):
            raise ConfigError(
                f"{name}: space {space.name!r} needs the shape ({len(r)}, {width}), "
                f"found {values.shape}"
            )
    genes: Genes = np.zeros((len(r), len(layout.genes)), dtype=np.int8)
    _put(genes, layout.resolution, r, "r")
    for index, dimension in enumerate(depths):
        _put(genes, dimension, d[:, index], f"d[{index}]")
    at = 0
    for own, stage in chosen:
        # the depth of a stage with one choice is that
        depth = np.array(stage.depth)[genes[:, own.depth.column] if own.depth.column >= 0 else 0]
        for block, (kernel, expand) in enumerate(zip(own.kernel, own.expand)):
            there = np.broadcast_to(block < depth, len(r))
            _put(genes, kernel, ks[:, at], f"ks[{at}]", there)
            if set(stage.block) & set(EXPANDING):
                _put(genes, expand, e[:, at], f"e[{at}]", there)
            at += 1
    return canonical(space, genes)


def _open(stage: Stage) -> bool:
    """Whether there is anything to choose: other stages are not written."""
    return max(len(stage.depth), len(stage.kernel), len(stage.expand)) > 1


def _put(
    genes: Genes,
    dimension: Dimension,
    values: Numbers,
    name: str,
    there: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Write the indices of `values` into their column, where the block is there."""
    choices = np.array(dimension.choices, dtype=np.float64)
    same = np.isclose(values[:, None], choices, rtol=1e-4, atol=0)  # float32 holds 0.35 nearly
    wrong = ~same.any(axis=1) & (True if there is None else there)
    if wrong.any():
        row = int(wrong.argmax())
        allowed = ", ".join(f"{choice:g}" for choice in choices)
        raise ConfigError(
            f"row {row}: {name}: must be one of {allowed}, found {values[row]:g} "
            f"(as in {int(wrong.sum())} rows)"
        )
    if dimension.column >= 0:
        genes[:, dimension.column] = same.argmax(axis=1)


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
    if kind.hasobject or kind.kind not in "iuf":
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
    for name in ("ks", "e", "d"):
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
