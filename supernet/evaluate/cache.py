"""Accuracies that were measured once are kept in ``evaluations.sqlite``."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.evaluate.evaluator import Evaluator, Split
from supernet.progress import Progress, silent
from supernet.space import Subnet

__all__ = ["Evaluations", "evaluate_all"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
    weights TEXT NOT NULL, split TEXT NOT NULL, calibration_images INTEGER NOT NULL,
    subnet TEXT NOT NULL, top1 REAL NOT NULL,
    PRIMARY KEY (weights, split, calibration_images, subnet)
)
"""


class Evaluations:
    """Subnet -> accuracy in percent, with what it was measured on.

    Args:
        path: the database; made when missing.
        weights: identity of the supernet's weights, such as their SHA-256.
        split: the images.
        calibration_images: how many gave the batch norm statistics.
    """

    def __init__(self, path: Path, *, weights: str, split: Split, calibration_images: int) -> None:
        self._path, self._key = path, (weights, split, calibration_images)
        with self._connect() as database:
            database.execute(_SCHEMA)

    def get(self, subnet: Subnet) -> float | None:
        """The accuracy of `subnet`, if it was measured."""
        query = (
            "SELECT top1 FROM evaluations "
            "WHERE weights = ? AND split = ? AND calibration_images = ? AND subnet = ?"
        )
        with self._connect() as database:
            row = database.execute(query, (*self._key, str(subnet))).fetchone()
        return None if row is None else float(row[0])

    def put(self, subnet: Subnet, top1: float) -> None:
        """Keep the accuracy of `subnet`.

        Raises:
            ConfigError: it is not from 0 to 100 percent.
        """
        if not 0 <= top1 <= 100:
            raise ConfigError(f"accuracy of {subnet}: must be from 0 to 100 percent, found {top1}")
        with self._connect() as database:
            values = (*self._key, str(subnet), top1)
            database.execute("INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?)", values)

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits at the end and is closed."""
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=60)) as database, database:
                yield database
        except sqlite3.OperationalError as error:
            if "no such column" not in str(error) and "no such table" not in str(error):
                raise StorageError(f"{self._path}: {error}") from None
            raise FileFormatError(
                f"{self._path}: not a database of accuracies: {error}",
                hint="remove the file; accuracies are measured again",
            ) from None
        except sqlite3.DatabaseError as error:
            raise FileFormatError(
                f"{self._path}: {error}", hint="remove the file; accuracies are measured again"
            ) from None


def evaluate_all(
    evaluator: Evaluator,
    subnets: Sequence[Subnet],
    split: Split,
    known: Evaluations,
    progress: Progress = silent,
) -> list[float]:
    """Accuracies of subnets in percent, measured where not known yet.

    Args:
        evaluator: measures.
        subnets: to evaluate.
        split: on which images.
        known: looked up first, and told every new accuracy at once, so that an
            interrupted collection goes on where it stopped.
        progress: told about every subnet.
    """
    found = []
    for done, subnet in enumerate(subnets, start=1):
        top1 = known.get(subnet)
        if top1 is None:
            top1 = evaluator.subnet_top1(subnet, split)
            known.put(subnet, top1)
        found.append(top1)
        progress(done, len(subnets), "evaluating subnets")
    return found
