"""``scored.npz``: every scored subnet as arrays, checked before anything is trusted."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from supernet.errors import FileFormatError
from supernet.files import atomic_path, sha256
from supernet.search.objective import Values
from supernet.space import Genes

__all__ = ["HINT", "read_scored", "write_scored"]

HINT = "search again; nothing of a damaged result is used"

_MOST_BYTES = 2**30  # in the file and in memory
_Kind: TypeAlias = tuple[Any, tuple[int, ...]]  # type and shape of an array


def write_scored(path: Path, genes: Genes, columns: Mapping[str, Values]) -> None:
    """Write ``genes`` and one array a figure; uncompressed, so no larger than what it holds."""
    arrays: dict[str, Any] = {"genes": genes.astype(np.int8)}
    arrays |= {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name, array in arrays.items():
            with packed.open(f"{name}.npy", "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)


def read_scored(
    path: Path, digest: str, genes: tuple[int, int], names: list[str]
) -> tuple[Genes, dict[str, Values]]:
    """The genes, and the figures by name.

    Args:
        path: of the file.
        digest: its SHA-256.
        genes: shape of the genes.
        names: of all figures.

    Raises:
        FileFormatError: missing, damaged, edited, or of other shapes.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file", hint=HINT)
    if path.stat().st_size > _MOST_BYTES:
        raise FileFormatError(f"{path}: larger than {_MOST_BYTES} bytes", hint=HINT)
    if sha256(path) != digest:
        raise FileFormatError(
            f"{path}: damaged or edited: its SHA-256 is not that of result.json", hint=HINT
        )
    try:
        found = _arrays(path)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        line = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path}: not arrays as they were written: {line}", hint=HINT
        ) from None
    expected: dict[str, _Kind] = {"genes": (np.dtype(np.int8), genes)}
    expected |= {name: (np.dtype(np.float64), genes[:1]) for name in names}
    kinds: dict[str, _Kind] = {name: (array.dtype, array.shape) for name, array in found.items()}
    for name in sorted({*kinds, *expected}):
        if kinds.get(name) != expected.get(name):
            raise FileFormatError(
                f"{path}: array {name[:60]!r} is {_shown(kinds.get(name))}, "
                f"expected {_shown(expected.get(name))}",
                hint=HINT,
            )
    return found["genes"], {name: found[name] for name in names}


def _arrays(path: Path) -> dict[str, Any]:
    """All arrays of a file that unpacks to what it may; nothing in it is executed."""
    with zipfile.ZipFile(path) as packed:
        size = sum(entry.file_size for entry in packed.infolist())
    if size > _MOST_BYTES:
        raise ValueError(f"unpacks to {size} bytes, more than {_MOST_BYTES}")
    with np.load(path, allow_pickle=False) as loaded:
        return {name: np.asarray(loaded[name]) for name in loaded.files}


def _shown(kind: _Kind | None) -> str:
    return f"{kind[0]} {kind[1]}" if kind else "not there"
