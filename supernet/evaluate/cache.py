"""Accuracies that were measured once are kept in ``evaluations.sqlite``."""

import contextlib
import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.evaluate.evaluator import Evaluator, Score, Split
from supernet.progress import Progress, silent
from supernet.space import Subnet

__all__ = ["Evaluations", "evaluate_all"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluations (
    weights TEXT NOT NULL, split TEXT NOT NULL, calibration_images INTEGER NOT NULL,
    subnet TEXT NOT NULL, top1 REAL NOT NULL, loss REAL NOT NULL,
    PRIMARY KEY (weights, split, calibration_images, subnet)
)
"""


class Evaluations:
    """Subnet -> accuracy and loss, with what they were measured on.

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

    def get(self, subnet: Subnet) -> Score | None:
        """The score of `subnet`, if it was measured."""
        query = (
            "SELECT top1, loss FROM evaluations "
            "WHERE weights = ? AND split = ? AND calibration_images = ? AND subnet = ?"
        )
        with self._connect() as database:
            row = database.execute(query, (*self._key, str(subnet))).fetchone()
        return None if row is None else Score(*row)

    def put(self, subnet: Subnet, score: Score) -> None:
        """Keep the score of `subnet`.

        Raises:
            ConfigError: an accuracy that is not from 0 to 100 percent, or a loss that is
                not finite.
        """
        if not 0 <= score.top1 <= 100 or not math.isfinite(score.loss):
            raise ConfigError(
                f"score of {subnet}: accuracy must be from 0 to 100 percent and loss finite, "
                f"found {score.top1} and {score.loss}"
            )
        with self._connect() as database:
            values = (*self._key, str(subnet), *score)
            database.execute("INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?, ?)", values)

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
) -> list[Score]:
    """Scores of subnets, measured where not known yet.

    Args:
        evaluator: measures.
        subnets: to evaluate.
        split: on which images.
        known: looked up first, and told every new score at once, so that an
            interrupted collection goes on where it stopped.
        progress: told about every subnet.
    """
    found = []
    for done, subnet in enumerate(subnets, start=1):
        score = known.get(subnet)
        if score is None:
            score = evaluator.subnet_score(subnet, split)
            known.put(subnet, score)
        found.append(score)
        progress(done, len(subnets), "evaluating subnets")
    return found
