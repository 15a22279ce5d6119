"""Results of searches in folders: written whole or not at all, checked when they are read.

=================  ============================================================
``result.json``    request, figures, front, choice, predictor, targets
``scored.npz``     every scored subnet: genes, and one array a figure
``space.yaml``     the space
``front.csv``      the front for a spreadsheet
``subnet.json``    the chosen subnet, by whoever searched
``request.json``   of a search that was stopped (`supernet.search.unfinished`)
=================  ============================================================

``result.json`` is written last: a folder without it is no result.
"""

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from supernet import __version__
from supernet.arguments import checked
from supernet.arguments import path as named_path
from supernet.errors import ConfigError, FileFormatError
from supernet.files import read_as, sha256, write_document, write_text
from supernet.latency import LatencyTable
from supernet.locks import new_folder
from supernet.search._document import Document, SpaceId, impossible
from supernet.search._scored import HINT, read_scored, write_scored
from supernet.search.objective import latency_name
from supernet.search.records import MeasuredRecord, PredictorRecord, TargetRecord
from supernet.search.result import ProblemRecord, SearchResult
from supernet.space import (
    WHOLE,
    Space,
    Subnet,
    decode,
    load_space,
    macs_of,
    operator_indices,
    operators_of,
    params_of,
    save_space,
)
from supernet.space.layout import layout_of

__all__ = [
    "REQUEST",
    "SavedResult",
    "load_result",
    "new_result_folder",
    "remove_result",
    "result_folders",
    "save_result",
]

REQUEST = "request.json"
"""In the folder of a search that was stopped, or goes on right now."""

_KIND, _VERSION = "search_result", 1
_RESULT, _SCORED, _SPACE, _FRONT = "result.json", "scored.npz", "space.yaml", "front.csv"
_LONGEST_NAME = 100


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SavedResult:
    """A search as it lies in a folder."""

    folder: Path
    result: SearchResult
    request: Mapping[str, Any]
    """What was asked for, as the command or the caller gave it."""
    chosen: int
    """Index of the chosen subnet among the scored ones."""
    predictor: PredictorRecord | None = None
    """How accuracies were known; None where they were measured only."""
    targets: tuple[TargetRecord, ...] = ()
    """One for every latency, in the order of the request."""
    measured: tuple[MeasuredRecord, ...] = ()
    """Finalists that were measured, the winner first."""
    created: str = ""
    """When, UTC."""

    @property
    def name(self) -> str:
        """That of its folder."""
        return self.folder.name

    @property
    def subnet(self) -> Subnet:
        """The chosen one."""
        return self.result.subnet(self.chosen)

    def target(self, name: str) -> TargetRecord | None:
        """What is known of a target, by its name."""
        return next((target for target in self.targets if target.name == name), None)


# ---------------------------------------------------------------- folders


def new_result_folder(parent: Path, name: str) -> Path:
    """Make a folder for a result that nobody else has: ``name``, ``name-2``, ``name-3``...

    Raises:
        ConfigError: a name that is no name of a folder.
        StorageError: it cannot be made.
    """
    parent = Path(parent)
    if not _is_name(name):
        raise ConfigError(
            f"a result's name is a folder's: letters, digits and signs other than / and \\, at "
            f"most {_LONGEST_NAME}, not starting with a dot; found {name[:60]!r}"
        )
    return new_folder(parent, name)


def _is_name(name: str) -> bool:
    usable = name.isprintable() and not set(name) & set('/\\:*?"<>|')
    return (
        usable and 0 < len(name) <= _LONGEST_NAME and name[0] not in ". " and name[-1] not in ". "
    )


def result_folders(parent: Path) -> list[Path]:
    """The folders below `parent` that hold a result, the oldest first."""
    found = [path.parent for path in Path(parent).glob(f"*/{_RESULT}")]
    return sorted(found, key=lambda folder: ((folder / _RESULT).stat().st_mtime, folder.name))


# ---------------------------------------------------------------- writing


def save_result(
    result: SearchResult,
    folder: Path,
    *,
    request: Mapping[str, Any],
    chosen: int | None = None,
    predictor: PredictorRecord | None = None,
    tables: Mapping[str, LatencyTable] | None = None,
    measured: Sequence[MeasuredRecord] = (),
) -> Path:
    """Write a result into a folder of its own; the path of ``result.json``.

    Args:
        result: of a search.
        folder: a new one; see `new_result_folder`.
        request: what was asked for, as plain values.
        chosen: index of the chosen subnet; the best of the front when not given.
        predictor: how accuracies were known.
        tables: of the targets, by the name in ``latency@<target>``.
        measured: finalists, the winner first.

    Raises:
        ConfigError: the folder holds a result already, or a request that is no plain values.
        StorageError: it cannot be written; then nothing is left of it.
    """
    folder = Path(folder)
    if (folder / _RESULT).exists():
        raise ConfigError(f"{folder} holds a result already", hint="take another folder")
    targets = _targets(result, tables or {})
    try:
        write_scored(folder / _SCORED, result.genes, result.columns)
        save_space(result.problem.space, folder / _SPACE)
        write_text(folder / _FRONT, _front_csv(result))
        document = _document(result, request, chosen, sha256(folder / _SCORED))
        document = replace(document, predictor=predictor, targets=targets, measured=tuple(measured))
        written = asdict(document)
        for name, usual in (("body", WHOLE), ("measures", ())):
            if getattr(document, name) == usual:  # as results were before there was another
                del written[name]
        write_document(folder / _RESULT, _KIND, _VERSION, written)
    except (TypeError, ValueError) as error:
        remove_result(folder)
        if isinstance(error, ConfigError | FileFormatError):
            raise
        raise ConfigError(f"request: must hold plain, finite values: {error}") from error
    except BaseException:
        remove_result(folder)
        raise
    return folder / _RESULT


def _targets(result: SearchResult, tables: Mapping[str, LatencyTable]) -> tuple[TargetRecord, ...]:
    """The records of targets, with the times of all operators that the front needs."""
    space, body = result.problem.space, result.problem.body
    used = np.unique(operator_indices(space, result.genes[result.front], body))
    known = operators_of(space, body)
    needed = [known[index] for index in used.tolist() if index >= 0]
    whole = body == WHOLE
    return tuple(
        TargetRecord.of(name, table, needed, space.name, whole=whole)
        for name, table in tables.items()
    )


def remove_result(folder: Path) -> None:
    """Remove what `save_result` wrote; what makes it a result goes first."""
    for name in (_RESULT, _SCORED, _SPACE, _FRONT):
        (folder / name).unlink(missing_ok=True)


def _front_csv(result: SearchResult) -> str:
    space, genes = result.problem.space, result.genes[result.front]
    body = result.problem.body
    counts = {"macs": macs_of(space, genes, body), "params": params_of(space, genes, body)}
    columns: dict[str, Any] = {n: values[result.front] for n, values in result.columns.items()}
    columns |= {name: values for name, values in counts.items() if name not in columns}
    subnets = decode(space, genes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "key", "subnet"])
    for row, subnet in zip(zip(*(values.tolist() for values in columns.values())), subnets):
        writer.writerow([*(f"{value:.10g}" for value in row), subnet.key, subnet])
    return text.getvalue()


def _document(
    result: SearchResult,
    request: Mapping[str, Any],
    chosen: int | None,
    digest: str,
) -> Document:
    problem = result.problem
    now = datetime.datetime.now(datetime.UTC)
    return Document(
        created=f"{now:%Y-%m-%d %H:%M:%S}",
        supernet=__version__,
        space=SpaceId.of(problem.space),
        request=dict(request),
        fixed=dict(problem.fixed),
        axes=problem.axes,
        scored=len(result),
        scored_sha256=digest,
        front=tuple(result.front.tolist()),
        chosen=result.best() if chosen is None else int(chosen),
        seconds=result.seconds,
        bound=result.bound,
        body=problem.body,
        measures=problem.measures,
    )


# ---------------------------------------------------------------- reading


def load_result(folder: Path) -> SavedResult:
    """Read and check a result.

    Raises:
        FileFormatError: not a result, damaged, or edited.
        ConfigError: values that break rules; all problems at once.
    """
    folder = Path(checked({"folder": folder}, {"folder": named_path})["folder"])
    path = folder / _RESULT
    if not path.is_file():
        raise FileFormatError(
            f"{folder}: no result of a search (no {_RESULT} in it)",
            hint="list them with `supernet results`",
        )
    document = _with_targets(read_as(Document, path, _KIND, _VERSION))
    space = _read_space(folder / _SPACE, document.space)
    genes, columns = read_scored(
        folder / _SCORED,
        document.scored_sha256,
        (document.scored, len(layout_of(space).genes)),
        [axis.name for axis in document.axes],
    )
    result = SearchResult(
        problem=ProblemRecord(
            space=space,
            fixed=document.fixed,
            axes=document.axes,
            body=document.body,
            measures=document.measures,
        ),
        genes=genes,
        columns=columns,
        front=np.array(document.front, dtype=np.int64),
        seconds=document.seconds,
        complete=not (folder / REQUEST).exists(),
        bound=document.bound,
    )
    wrong = next(impossible(result, document), "")
    if wrong:
        raise FileFormatError(f"{path}: {wrong}; was it edited?", hint=HINT)
    return SavedResult(
        folder=folder,
        result=result,
        request=document.request,
        chosen=document.chosen,
        predictor=document.predictor,
        targets=document.targets,
        measured=document.measured,
        created=document.created,
    )


def _with_targets(document: Document) -> Document:
    """A result whose figures say their target; those of earlier versions did not."""
    known = {latency_name(target.name): target.name for target in document.targets}
    axes = [replace(axis, target=axis.target or known.get(axis.name, "")) for axis in document.axes]
    return replace(document, axes=tuple(axes))


def _read_space(path: Path, known: SpaceId) -> Space:
    space = load_space(path)
    if SpaceId.of(space) != known:
        raise FileFormatError(
            f"{path}: not the space of {_RESULT}: {asdict(SpaceId.of(space))}, expected "
            f"{asdict(known)}; was it edited?",
            hint=HINT,
        )
    return space
