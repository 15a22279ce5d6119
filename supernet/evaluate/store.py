"""Evidence: every evaluation of a run in one SQLite file, ``evaluations.sqlite``.

One row per subnet and condition. Genes are kept beside the metrics, so that pairs for a
predictor are read back as arrays. Several processes may write at once: every write is one
short transaction, and waits for its turn.
"""

import contextlib
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.evaluate.task import Evaluation, Split
from supernet.space import Genes

__all__ = ["Condition", "Evidence", "Measured", "Pairs"]

Values = npt.NDArray[np.float64]

# SQLite's user_version; goes up when scores change, too. 1 did not set it; since 3 batches of
# large images are smaller, since 4 those of small ones larger, since 5 conditions have a
# fingerprint, since 6 calibration images are in random order.
_VERSION = 6
_WITH_FINGERPRINT, _MIXED = 5, 6  # versions that began something
_WAIT_S = 60.0  # for another process that writes
_CHUNK = 500  # keys in one query; SQLite takes 999 at least
_REMEASURE = "remove the file; accuracies are measured again"
_CONDITIONS = """(
    id INTEGER PRIMARY KEY, weights TEXT NOT NULL, data TEXT NOT NULL, split TEXT NOT NULL,
    images INTEGER NOT NULL, calibration_images INTEGER NOT NULL, precision TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    UNIQUE (weights, data, split, images, calibration_images, precision, fingerprint)
)"""
_SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS conditions {_CONDITIONS}",
    """CREATE TABLE IF NOT EXISTS evaluations (
    condition INTEGER NOT NULL REFERENCES conditions (id), subnet TEXT NOT NULL,
    genes BLOB NOT NULL, top1 REAL NOT NULL, loss REAL NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (condition, subnet)
)""",
)
_ADD_FINGERPRINT = (
    f"CREATE TABLE conditions_new {_CONDITIONS}",
    "INSERT INTO conditions_new SELECT id, weights, data, split, images, calibration_images, "
    "precision, '' FROM conditions",
    "DROP TABLE conditions",
    "ALTER TABLE conditions_new RENAME TO conditions",
)
"""What makes a database of versions 2 to 4 one of version 5: nothing is lost."""
_OF_FOLDERS = (
    "DELETE FROM evaluations WHERE condition IN (SELECT id FROM conditions "
    "WHERE fingerprint != '' OR data LIKE '/%')"
)
"""Of versions before 6, what is measured again: folders lie in the order of their classes, so that
a batch of calibration images had few of them, and the statistics were those of no mixture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What an evaluation depends on beside the subnet."""

    weights: str
    """SHA-256 of the supernet's weights; where subnets are finetuned first, of how as well."""
    data: str
    """The data set: its name; of a folder without a fingerprint the absolute path."""
    split: Split
    """Which of its images."""
    images: int = 0
    """How many of them at most; 0 for all."""
    calibration_images: int
    """Training images for the batch norm statistics, at most."""
    precision: str = "fp32"
    """Of the computation."""
    fingerprint: str = ""
    """Of the training images and of those evaluated; empty for data sets that cannot change,
    and for runs that kept none."""


class Measured(NamedTuple):
    """Metrics of a population, each of shape ``(N,)``; NaN where nothing is known."""

    top1: Values
    loss: Values
    seconds: Values


class Pairs(NamedTuple):
    """Subnets with what was measured of them."""

    genes: Genes
    """Shape ``(N, G)``."""
    top1: Values
    """Percent, shape ``(N,)``."""
    loss: Values
    """Mean cross-entropy in nats, shape ``(N,)``."""


class Evidence:
    """All evaluations of a run.

    Args:
        path: of the database; made when missing.

    Raises:
        FileFormatError: another file, a damaged one, or one of another version.
        StorageError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connect() as database:
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            if version != _VERSION:
                self._make(database)

    def lookup(self, condition: Condition, keys: Sequence[str]) -> Measured:
        """What is known of subnets, in the order of `keys` (`supernet.space.subnet_keys`)."""
        known: dict[str, tuple[float, float, float]] = {}
        with self._connect() as database:
            number = self._number(database, condition)
            if number is None:
                keys_asked: Sequence[str] = ()
            else:
                keys_asked = list(dict.fromkeys(keys))
            for start in range(0, len(keys_asked), _CHUNK):
                some = keys_asked[start : start + _CHUNK]
                marks = ", ".join("?" * len(some))
                query = (
                    "SELECT subnet, top1, loss, seconds FROM evaluations "  # noqa: S608  # marks only
                    f"WHERE condition = ? AND subnet IN ({marks})"
                )
                for key, *metrics in database.execute(query, (number, *some)):
                    known[key] = self._checked(metrics)
        unknown = (math.nan,) * 3
        table = np.array([known.get(key, unknown) for key in keys], dtype=np.float64)
        return Measured(*table.reshape(-1, 3).T)

    def add(self, condition: Condition, rows: Sequence[Evaluation]) -> None:
        """Keep evaluations, all of them or none; one that is known already is replaced.

        Raises:
            ConfigError: an accuracy that is not from 0 to 100 percent, or a loss that is
                not finite.
        """
        for row in rows:
            if not 0 <= row.top1 <= 100 or not math.isfinite(row.loss):
                raise ConfigError(
                    f"evaluation of subnet {row.key}: accuracy must be from 0 to 100 percent "
                    f"and loss finite, found {row.top1} and {row.loss}"
                )
        with self._connect() as database:
            database.execute("BEGIN IMMEDIATE")  # a reader that begins to write may not wait
            names = ", ".join(_COLUMNS)
            marks = ", ".join("?" * len(_COLUMNS))
            database.execute(
                f"INSERT OR IGNORE INTO conditions ({names}) VALUES ({marks})",  # noqa: S608  # names of fields
                astuple(condition),
            )
            number = self._number(database, condition)
            database.executemany(
                "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, row.key, bytes(row.genes), row.top1, row.loss, row.seconds)
                    for row in rows
                ],
            )

    def pairs(self, condition: Condition) -> Pairs:
        """All that was measured under a condition, in the order of the keys."""
        with self._connect() as database:
            number = self._number(database, condition)
            rows = database.execute(
                "SELECT genes, top1, loss, seconds FROM evaluations WHERE condition = ? "
                "ORDER BY subnet",
                (number,),
            ).fetchall()
        if any(not isinstance(row[0], bytes) or len(row[0]) != len(rows[0][0]) for row in rows):
            raise self._damaged("genes of different lengths")
        metrics = np.array([self._checked(row[1:]) for row in rows]).reshape(-1, 3)
        genes = np.array([np.frombuffer(row[0], dtype=np.int8) for row in rows], dtype=np.int8)
        return Pairs(genes.reshape(len(rows), -1) if rows else genes.reshape(0, 0), *metrics.T[:2])

    def conditions(self) -> list[Condition]:
        """Those under which something was measured."""
        with self._connect() as database:
            query = f"SELECT {', '.join(_COLUMNS)} FROM conditions ORDER BY id"  # noqa: S608  # names of fields
            rows = database.execute(query).fetchall()
        return [Condition(**dict(zip(_COLUMNS, row))) for row in rows]

    def _make(self, database: sqlite3.Connection) -> None:
        """Write the tables into an empty file, or bring those of an older version up to date.

        Raises:
            FileFormatError: it holds others.
        """
        database.execute("BEGIN IMMEDIATE")
        # another process may have done it while this one waited
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > _VERSION:
            raise FileFormatError(
                f"{self.path}: version {version} of evaluations, this supernet reads {_VERSION}",
                hint="update supernet",
            )
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "evaluations" in tables and "conditions" not in tables:
            raise FileFormatError(
                f"{self.path}: of an older supernet, which did not keep on which images "
                "accuracies were measured",
                hint=_REMEASURE,
            )
        if "conditions" in tables and version < _WITH_FINGERPRINT:
            for statement in _ADD_FINGERPRINT:
                database.execute(statement)
        if "conditions" in tables and version < _MIXED:
            database.execute(_OF_FOLDERS)
        for statement in _SCHEMA:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_VERSION}")

    def _number(self, database: sqlite3.Connection, condition: Condition) -> int | None:
        where = " AND ".join(f"{name} = ?" for name in _COLUMNS)
        query = f"SELECT id FROM conditions WHERE {where}"  # noqa: S608  # names of fields
        row = database.execute(query, astuple(condition)).fetchone()
        return None if row is None else int(row[0])

    def _checked(self, metrics: Sequence[object]) -> tuple[float, float, float]:
        if not all(isinstance(value, float) and math.isfinite(value) for value in metrics):
            raise self._damaged(f"metrics {list(metrics)} are not finite numbers")
        top1, loss, seconds = metrics
        assert isinstance(top1, float)
        assert isinstance(loss, float)
        assert isinstance(seconds, float)
        if not 0 <= top1 <= 100:
            raise self._damaged(f"an accuracy of {top1} percent")
        return top1, loss, seconds

    def _damaged(self, what: object) -> FileFormatError:
        return FileFormatError(f"{self.path}: {what}", hint=_REMEASURE)

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits at the end and is closed."""
        try:
            opened = sqlite3.connect(self.path, timeout=_WAIT_S)
            with contextlib.closing(opened) as database, database:
                yield database
        except sqlite3.OperationalError as error:
            if "no such column" not in str(error) and "no such table" not in str(error):
                raise StorageError(f"{self.path}: {error}") from None
            raise self._damaged(f"not a database of accuracies: {error}") from None
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None


_COLUMNS = tuple(field.name for field in fields(Condition))
