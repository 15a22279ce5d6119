"""Searches that are not finished: what they were asked for lies in their folder until then.

==================  ===========================================================
``request.json``    what was asked for; there as long as the search can go on
``measured.jsonl``  what a function of the user has measured (`Journal`)
==================  ===========================================================

A search asks the same again for the same seed, so it goes on by being started again with the
same request: what was measured is looked up, what is only predicted is predicted again.
"""

import contextlib
import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from supernet import __version__
from supernet.errors import ConfigError, FileFormatError, InfeasibleError, SupernetError
from supernet.files import read_as, write_document
from supernet.locks import locked
from supernet.search._document import SpaceId
from supernet.search.journal import Journal
from supernet.search.limits import corners
from supernet.search.problem import Problem
from supernet.search.result import SearchResult
from supernet.search.saved import (
    REQUEST,
    load_result,
    new_result_folder,
    remove_result,
    result_folders,
    save_result,
)

__all__ = ["SearchFolder", "probed", "search_folder", "unfinished_folders"]

_KIND, _VERSION = "search_request", 1
_JOURNAL = "measured.jsonl"
_FREE = ("name", "seconds", "workers", "device", "engine", "ray_address", "fresh_table")
"""Of a request: they change no result."""
_PROBED = 16  # random subnets by which a table or predictor is known again
_TOLD = 3  # searches of other names
_SAME = 1e-6  # relative difference of their figures


@dataclass(slots=True)
class SearchFolder:
    """The folder of a search, which nobody else writes to."""

    path: Path
    scored: int = 0
    """Subnets that had been scored when the time was up before."""
    resumed: bool = False
    """Whether the search was stopped before and goes on."""
    complete: bool = field(default=False, init=False)
    """Whether its result is there, and final."""

    def journaled(self, problem: Problem) -> Problem:
        """`problem` with measurements that are kept here, and none that is made twice.

        Raises:
            FileFormatError: what was kept was edited.
        """
        if not problem.measures:
            return problem
        return Journal(self.path / _JOURNAL).keeping(problem)

    def save(self, result: SearchResult, **known: Any) -> None:
        """Keep the result, in place of an earlier one whose time was up; see `save_result`."""
        remove_result(self.path)
        save_result(result, self.path, **known)
        self.complete = result.complete


@contextlib.contextmanager
def search_folder(
    parent: Path, name: str, problem: Problem, request: Mapping[str, Any], *, resume: bool = False
) -> Iterator[SearchFolder]:
    """A folder for one search: a new one, or that of the same search which was stopped.

    Whatever stops the block before a complete result is saved, the search can be gone on with;
    but where an error ends it and nothing is kept, or nothing meets the limits, no folder stays.

    Args:
        parent: of the folder.
        name: of the folder; with a number where there is one of that name already.
        problem: what is searched for; its predicted figures may still be unknown (NaN).
        request: what was asked for, as plain values.
        resume: go on with a stopped search of this name and request.

    Raises:
        ConfigError: a request that is no plain values; with `resume` no stopped search of
            that name, another request, or another process that is at work on it.
        FileFormatError: a file of the stopped search that is damaged.
    """
    asked = _Asked.of(problem, request)
    if resume:
        path = _stopped(Path(parent), name, asked)
    else:
        path = new_result_folder(parent, name)
        write_document(path / REQUEST, _KIND, _VERSION, asdict(asked))
    with locked(path / REQUEST):
        known = path in result_folders(path.parent)
        scored = len(load_result(path).result) if known else 0
        folder = SearchFolder(path, scored=scored, resumed=resume)
        try:
            yield folder
        except SupernetError as error:
            if isinstance(error, InfeasibleError) or not (known or (path / _JOURNAL).exists()):
                _remove(path)  # it would end so again, or there is nothing to go on with
            raise
        if folder.complete:
            _finish(path)


def unfinished_folders(parent: Path) -> list[Path]:
    """The folders below `parent` of searches that were stopped or go on, the oldest first."""
    found = [path.parent for path in Path(parent).glob(f"*/{REQUEST}")]
    return sorted(found, key=lambda folder: ((folder / REQUEST).stat().st_mtime, folder.name))


def probed(problem: Problem) -> dict[str, tuple[float | None, ...]]:
    """Figures of the corners and some random subnets, by name.

    By them a table or predictor that has changed is noticed. None where a figure is measured,
    or not known yet.
    """
    some = problem.domain.sample(_PROBED, np.random.default_rng(0))
    figures = problem.cheap(np.concatenate([corners(problem), some]))
    return {
        name: tuple(value if np.isfinite(value) else None for value in values.tolist())
        for name, values in figures.items()
    }


def _remove(path: Path) -> None:
    _finish(path)
    remove_result(path)
    with contextlib.suppress(OSError):  # something that others put there
        path.rmdir()


def _finish(path: Path) -> None:
    (path / REQUEST).unlink(missing_ok=True)
    (path / _JOURNAL).unlink(missing_ok=True)


def _stopped(parent: Path, name: str, asked: "_Asked") -> Path:
    """The folder of the stopped search of a name and request; of several the newest."""
    unfinished = unfinished_folders(parent)
    own = re.compile(rf"{re.escape(name)}(-\d+)?")
    folders = [folder for folder in unfinished if own.fullmatch(folder.name)][::-1]
    if not folders:
        done = [folder.name for folder in result_folders(parent)]
        word = "is finished" if name in done else "is not there"
        names = ", ".join(folder.name for folder in unfinished) or "none"
        raise ConfigError(
            f"no search to go on with: {name[:60]!r} {word}; unfinished below {parent}: {names}",
            hint="; ".join(_ways_on(unfinished[::-1][:_TOLD], asked)),
        )
    differences = {folder: asked.differences(folder) for folder in folders}
    same = [folder for folder, different in differences.items() if not different]
    if same:
        return same[0]
    raise ConfigError(
        f"{folders[0].name} was asked for something else: {'; '.join(differences[folders[0]])}",
        hint="ask for the same, or search anew without resuming",
    )


def _ways_on(unfinished: Sequence[Path], asked: "_Asked") -> list[str]:
    """What would go on with searches of other names, one line each."""
    lines = []
    for folder in unfinished:
        try:
            different = asked.differences(folder)
        except (ConfigError, FileFormatError):  # damaged, and not the one that was asked for
            continue
        if different:
            lines.append(f"{folder.name} was asked for other things ({', '.join(different)})")
        else:
            lines.append(f"{folder.name} is the same search: --name {folder.name}")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """``request.json``."""

    created: str
    """When, UTC."""
    supernet: str
    """Version of this library."""
    space: SpaceId
    request: dict[str, Any]
    figures: dict[str, tuple[float | None, ...]]
    """As `probed`."""

    @classmethod
    def of(cls, problem: Problem, request: Mapping[str, Any]) -> "_Asked":
        """What is asked for now."""
        now = datetime.datetime.now(datetime.UTC)
        try:
            plain = json.loads(json.dumps(request, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"request: must hold plain, finite values: {error}") from error
        return cls(
            created=f"{now:%Y-%m-%d %H:%M:%S}",
            supernet=__version__,
            space=SpaceId.of(problem.domain.space),
            request=plain,
            figures=probed(problem),
        )

    def differences(self, folder: Path) -> list[str]:
        """What a stopped search was asked for that is not asked for now, one line each.

        Raises:
            FileFormatError: its file is damaged.
            ConfigError: values that break rules.
        """
        before = read_as(_Asked, folder / REQUEST, _KIND, _VERSION)
        found = [
            f"{key} {before.request.get(key)!r}, now {self.request.get(key)!r}"
            for key in sorted({*before.request, *self.request} - {*_FREE})
            if before.request.get(key) != self.request.get(key)
        ]
        if found:
            return found
        if before.space != self.space:
            return [f"space {before.space.name!r} ({before.space.hash}), now {self.space.hash}"]
        return [
            f"{name} of the same subnets is another now, by another table or predictor"
            for name in sorted({*before.figures, *self.figures})
            if not _same(before.figures.get(name, ()), self.figures.get(name, ()))
        ]


def _same(before: tuple[float | None, ...], now: tuple[float | None, ...]) -> bool:
    first, second = (np.array(values, dtype=np.float64) for values in (before, now))
    return first.shape == second.shape and np.allclose(
        first, second, rtol=_SAME, atol=0, equal_nan=True
    )
