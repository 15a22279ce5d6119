"""What a search has measured, a line each few subnets: whatever ends it, whole lines stay."""

import hashlib
import json
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from supernet.errors import FileFormatError
from supernet.files import append_line, storage_error
from supernet.search.objective import Objective, Values, checked_values
from supernet.search.problem import Problem
from supernet.space import Genes

__all__ = ["Journal"]

_AT_ONCE = 16  # subnets that are measured between two lines, and lost where it is killed there


class Journal:
    """Measured figures of subnets.

    A search asks the same again for the same seed, so one that was stopped goes on by being
    started again with what is known looked up. Each line begins with a digest of itself and
    all lines before it. A line without an end was cut off when the search was killed; it is
    removed, and measured again.

    Args:
        path: of the file; made when something is measured.

    Raises:
        FileFormatError: a line that is not as it was written.
        StorageError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, dict[bytes, float]] = defaultdict(dict)
        self._digest = ""
        self._writing = threading.Lock()
        try:
            self._read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(path, error) from error

    def keeping(self, problem: Problem) -> Problem:
        """`problem`, with measured figures that are looked up here, else measured and kept."""

        def kept(objective: Objective) -> Objective:
            return _Kept(objective, self) if objective.measured else objective

        return replace(
            problem,
            objectives=tuple(map(kept, problem.objectives)),
            others=tuple(map(kept, problem.others)),
            ladder=tuple(replace(rung, function=kept(rung)) for rung in problem.ladder),
        )

    def values(self, objective: Objective, genes: Genes) -> Values:
        """The figure of a population ``(N, G)``, shape ``(N,)``; NaN where it failed."""
        known = self._known[objective.name]
        rows = [row.tobytes() for row in genes.astype(np.int8)]
        new = np.array([i for i, row in enumerate(rows) if row not in known], dtype=np.int64)
        for start in range(0, len(new), _AT_ONCE):
            some = genes[new[start : start + _AT_ONCE]]
            self._append(
                objective.name, some, checked_values(objective.name, objective(some), len(some))
            )
        return np.array([known[row] for row in rows], dtype=np.float64)

    def _append(self, name: str, genes: Genes, values: Values) -> None:
        figures = [value if np.isfinite(value) else None for value in values.tolist()]
        text = json.dumps({"figure": name, "genes": genes.tolist(), "values": figures})
        with self._writing:
            digest = _sealed(self._digest, text)
            append_line(self.path, f"{digest} {text}")
            self._take(text, digest)

    def _take(self, text: str, digest: str) -> None:
        line = json.loads(text)
        known = self._known[line["figure"]]
        for row, value in zip(line["genes"], line["values"], strict=True):
            key = np.array(row, dtype=np.int8).tobytes()
            known[key] = np.nan if value is None else float(value)
        self._digest = digest

    def _read(self) -> None:
        raw = self.path.read_bytes()
        *lines, cut_off = raw.split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                self._take(*_opened(self._digest, line))
            except (ValueError, TypeError, KeyError, OverflowError):
                raise FileFormatError(
                    f"{self.path}: line {number} is not as it was written; was it edited?",
                    hint="search anew, without resuming",
                ) from None
        if cut_off:
            with self.path.open("rb+") as handle:
                handle.truncate(len(raw) - len(cut_off))


@dataclass(frozen=True, eq=False, slots=True)
class _Kept:
    """A measured figure whose values are kept."""

    of: Objective
    journal: Journal
    measured: bool = True

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def unit(self) -> str:
        return self.of.unit

    @property
    def target(self) -> str:
        return self.of.target

    @property
    def maximise(self) -> bool:
        return self.of.maximise

    def __call__(self, genes: Genes) -> Values:
        return self.journal.values(self.of, genes)


def _sealed(before: str, text: str) -> str:
    """Digest of a line and of all before it."""
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()[:16]


def _opened(before: str, line: bytes) -> tuple[str, str]:
    """Content of a line, and its digest.

    Raises:
        ValueError: the digest is that of another.
    """
    digest, _, text = line.decode().partition(" ")
    if digest != _sealed(before, text):
        raise ValueError(digest)
    return text, digest
