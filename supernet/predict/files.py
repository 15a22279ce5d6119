"""Files of measured subnets (NPZ or CSV), and of predictions.

Three ways to write a subnet are understood: ``ks``, ``e``, ``d``, ``r`` as Once-for-All
writes them; ``k``, ``e``, ``l``, ``se`` with one choice a stage; and one column for each
dimension of the space, such as ``stage2.block1.kernel``. Other arrays are ignored.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, FileFormatError
from supernet.files import nearest, write_text
from supernet.latency.networks import read_columns
from supernet.predict.contract import AccuracyPairs, Predicted, Values
from supernet.space import Genes, Space, canonical
from supernet.space.encodings import STAGE_CHOICES, encode_choices, encode_stage_choices
from supernet.space.layout import Dimension, layout_of

__all__ = ["read_genes", "read_pairs", "write_predictions"]

_MOST_PAIRS = 50_000
GENES = "genes"
_UNIT, _UNITS = "top1_unit", ("percent", "share")
_UNIT_HINT = f"say which in {_UNIT}, an array or a column: percent, or share (of 1)"
_MIXED = "must be a percentage, but shares of 1 and percentages are mixed"
_BLOCK_CHOICES = ("ks", "e", "d")


def read_pairs(path: Path, space: Space) -> AccuracyPairs:
    """Subnets and their accuracies: columns of the subnets, ``top1`` (percent), ``loss``.

    ``top1_unit`` may say ``percent`` or ``share``, where values of at most 1 would be unclear.

    Raises:
        FileFormatError: not such a file, or a column is missing.
        ConfigError: a subnet that the space has not, or values that are no percentages.
    """
    columns = read_columns(path)
    if "top1" not in columns:
        raise FileFormatError(f"{path}: no column 'top1'; {nearest('top1', columns)}")
    top1 = _percent(path, columns)
    loss = _numbers(path, "loss", columns["loss"]) if "loss" in columns else None
    genes = _genes(path, space, columns, len(top1))
    try:
        return AccuracyPairs(space=space, genes=genes, top1=top1, loss=loss)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None


def read_genes(path: Path, space: Space) -> Genes:
    """The subnets of a file, shape ``(N, G)``; accuracies are not needed.

    Raises:
        FileFormatError: not such a file, or a column is missing.
        ConfigError: a subnet that the space has not.
    """
    columns = read_columns(path)
    return _genes(path, space, columns, _count(path, space, columns))


def write_predictions(path: Path, source: Path, predicted: Predicted) -> None:
    """Write a CSV: the columns of `source`, then ``predicted`` and, where known, ``std``."""
    table: dict[str, Any] = {}
    count = len(predicted.mean)
    for name, values in read_columns(source).items():
        array = np.asarray(values)
        array = array.astype(np.int8) if array.dtype == np.bool_ else array
        if name in ("space", _UNIT) and array.ndim == 0:  # of all rows
            array = np.full(count, array)
        if name in ("predicted", "std") or array.ndim == 0 or len(array) != count:
            continue
        if array.ndim == 1:
            table[name] = array.tolist()
        elif array.ndim == 2:
            table |= {f"{name}_{i}": column for i, column in enumerate(array.T.tolist())}
    table["predicted"] = [f"{value:.4f}" for value in predicted.mean.tolist()]
    if predicted.std is not None:
        table["std"] = [f"{value:.4f}" for value in predicted.std.tolist()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values()))
    write_text(path, text.getvalue())


def _percent(path: Path, columns: Mapping[str, Any]) -> Values:
    """The accuracies in percent, naming the first row that cannot be one.

    A file that says its unit, and one of `supernet predictor collect`, is believed: networks of
    many classes that have learned little do have less than 1 percent. Of others, what looks like
    shares is refused, as either could be meant.
    """
    top1 = _numbers(path, "top1", columns["top1"])
    if top1.ndim != 1 or not 0 < len(top1) <= _MOST_PAIRS:
        raise FileFormatError(f"{path}: top1: expected 1 to {_MOST_PAIRS} values in a row")

    def refuse(wrong: npt.NDArray[np.bool_], rule: str) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            raise ConfigError(
                f"{path}: top1[{row}]: {rule}, found {top1[row]:g} "
                f"(as in {int(wrong.sum())} of {len(top1)} rows)",
                hint=_UNIT_HINT if rule == _MIXED else "",
            )

    unit = _unit(path, columns)
    refuse(np.isnan(top1), "must be a number")
    if unit == "share":
        refuse(~((top1 >= 0) & (top1 <= 1)), f"must be from 0 to 1, as {_UNIT} is share")
        return 100 * top1
    refuse(~((top1 >= 0) & (top1 <= 100)), "must be from 0 to 100 percent")
    small = (top1 > 0) & (top1 <= 1)
    if unit or not small.any():
        return top1
    if top1.max() <= 1:
        raise ConfigError(
            f"{path}: top1: all values are at most 1; give percent, not shares", hint=_UNIT_HINT
        )
    refuse(small, _MIXED)
    return top1


def _unit(path: Path, columns: Mapping[str, Any]) -> str:
    """The unit of the accuracies, empty where the file does not say it."""
    if _UNIT not in columns:
        return "percent" if {GENES, "space"} <= columns.keys() else ""
    found = sorted({str(value).strip() for value in np.atleast_1d(columns[_UNIT]).ravel()})
    if len(found) != 1 or found[0] not in _UNITS:
        raise ConfigError(
            f"{path}: {_UNIT}: must be one of {', '.join(_UNITS)} in all rows, found "
            f"{', '.join(found)[:60] or 'nothing'!r}"
        )
    return found[0]


def _count(path: Path, space: Space, columns: Mapping[str, Any]) -> int:
    names = (GENES, *_BLOCK_CHOICES, *STAGE_CHOICES, *(g.name for g in layout_of(space).genes))
    present = [name for name in names if name in columns]
    if not present:
        raise FileFormatError(
            f"{path}: no column tells a choice of space {space.name!r}; found "
            f"{', '.join(list(columns)[:20]) or 'nothing'}",
            hint="see docs/predictor.md for what such a file holds",
        )
    first = np.ndim(columns[present[0]]) and len(columns[present[0]])
    if not first:
        raise FileFormatError(f"{path}: {present[0]}: holds no subnets")
    return first


def _genes(path: Path, space: Space, columns: Mapping[str, Any], count: int) -> Genes:
    try:
        genes = _encoded(path, space, columns, count)
    except ConfigError as error:
        problems = [f"{path}: {problem}" for problem in error.problems]
        raise ConfigError(problems, hint=error.hint) from None
    return genes


def _encoded(path: Path, space: Space, columns: Mapping[str, Any], count: int) -> Genes:
    layout = layout_of(space)

    def arrays(*names: str) -> dict[str, Values]:
        found = {name: _numbers(path, name, columns[name]) for name in names if name in columns}
        for name, values in found.items():
            if len(values) != count:
                raise FileFormatError(f"{path}: {name}: {len(values)} rows, expected {count}")
        return found

    if GENES in columns:
        return _as_collected(path, space, columns)
    if any(gene.name in columns for gene in layout.genes if gene.name != "resolution"):
        return _by_dimension(path, space, columns, count)
    if "k" in columns or "l" in columns:
        return encode_stage_choices(space, arrays(*STAGE_CHOICES, "r"))
    missing = [name for name in _BLOCK_CHOICES if name not in columns]
    if "r" not in columns and layout.resolution.column >= 0:
        missing.append("r")
    if missing:
        raise FileFormatError(
            f"{path}: no column {', '.join(missing)}; found "
            f"{', '.join(list(columns)[:20]) or 'nothing'}",
            hint="see docs/predictor.md for what such a file holds",
        )
    given = arrays(*_BLOCK_CHOICES, "r")
    size = given.pop("r", np.full(count, float(layout.resolution.choices[0])))
    return encode_choices(space, **given, r=size)


def _as_collected(path: Path, space: Space, columns: Mapping[str, Any]) -> Genes:
    """Genes themselves, shape ``(N, G)``, as `supernet predictor collect` writes them."""
    spaces = {str(own) for own in np.atleast_1d(columns.get("space", space.hash)).ravel()}
    other = sorted(spaces - {space.hash})
    if other:
        raise FileFormatError(
            f"{path}: its genes are of the space {other[0][:20]}, not of {space.name!r} "
            f"({space.hash})"
        )
    genes = _numbers(path, GENES, columns[GENES])
    if genes.ndim != 2 or genes.shape[1] != len(layout_of(space).genes):
        raise FileFormatError(
            f"{path}: {GENES}: has the shape {genes.shape}, space {space.name!r} has "
            f"{len(layout_of(space).genes)} genes"
        )
    choices = layout_of(space).num_choices
    outside = np.argwhere(~((genes >= 0) & (genes < choices) & (genes == np.floor(genes))))
    if len(outside):
        row, column = outside[0].tolist()
        name = layout_of(space).genes[column].name
        raise ConfigError(
            f"{GENES}[{row}]: {name} must be a whole number from 0 to {choices[column] - 1}, "
            f"found {genes[row, column]:g}"
        )
    return canonical(space, genes.astype(np.int8))


def _by_dimension(path: Path, space: Space, columns: Mapping[str, Any], count: int) -> Genes:
    """One column for each dimension; what has no effect may be empty."""
    layout = layout_of(space)
    missing = [gene.name for gene in layout.genes if gene.name not in columns]
    if missing:
        raise FileFormatError(f"{path}: no column {', '.join(missing[:5])}")
    genes: Genes = np.zeros((count, len(layout.genes)), dtype=np.int8)
    wrong = np.zeros(genes.shape, dtype=bool)
    for gene in layout.genes:
        values = columns[gene.name]
        if len(values) != count:
            raise FileFormatError(f"{path}: {gene.name}: {len(values)} rows, expected {count}")
        index = [_index(gene, value) for value in np.asarray(values).tolist()]
        genes[:, gene.column] = np.maximum(index, 0)
        wrong[:, gene.column] = np.array(index) < 0
    # a gene without effect becomes 0 whatever it was
    effect = canonical(space, np.where(wrong, np.int8(1), genes)) != 0
    if (wrong & effect).any():
        row, column = np.argwhere(wrong & effect)[0].tolist()
        gene = layout.genes[column]
        raise ConfigError(
            f"row {row}: {gene.name}: must be one of {', '.join(map(str, gene.choices))}, "
            f"found {str(columns[gene.name][row])[:60]!r}"
        )
    return canonical(space, genes)


def _index(gene: Dimension, value: Any) -> int:
    """Place of a value among the choices; -1 where it is none of them."""
    for index, choice in enumerate(gene.choices):
        if isinstance(choice, str):
            if value == choice:
                return index
            continue
        try:
            if abs(float(value) - choice) <= 1e-4 * abs(choice):
                return index
        except (TypeError, ValueError):
            return -1
    return -1


def _numbers(path: Path, name: str, values: Any) -> Values:
    try:
        found: Values = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError):
        raise FileFormatError(
            f"{path}: {name}: not all of it are numbers, or of one length"
        ) from None
    return found
