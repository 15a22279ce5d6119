"""Evidence is kept whole, whoever writes and whatever interrupts."""

import contextlib
import math
import multiprocessing
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.evaluate import Condition, Evaluation, Evidence
from supernet.space import Genes, Space, sample, subnet_keys, unique

CONDITION: dict[str, Any] = {
    "weights": "abc",
    "data": "noise",
    "split": "holdout",
    "images": 100,
    "calibration_images": 100,
    "precision": "fp32",
}
HINT = "remove the file; accuracies are measured again"


def condition(**changes: Any) -> Condition:
    return Condition(**(CONDITION | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluations.sqlite"


@pytest.fixture
def genes(tiny_space: Space, rng: np.random.Generator) -> Genes:
    return unique(sample(tiny_space, 40, rng))


def rows_of(space: Space, genes: Genes, top1: float = 50.0) -> list[Evaluation]:
    return [
        Evaluation(key=key, genes=tuple(row), top1=top1 + i / 8, loss=i / 16, seconds=0.5)
        for i, (key, row) in enumerate(zip(subnet_keys(space, genes), genes.tolist()))
    ]


def row(key: str = "a", top1: float = 50.0, loss: float = 1.0) -> Evaluation:
    return Evaluation(key=key, genes=(0, 1), top1=top1, loss=loss, seconds=0.0)


def test_what_one_adds_another_finds_as_arrays(path: Path, tiny_space: Space, genes: Genes) -> None:
    rows = rows_of(tiny_space, genes)
    Evidence(path).add(condition(), rows[1:])
    found = Evidence(path).lookup(condition(), [row.key for row in rows])
    assert math.isnan(found.top1[0])
    assert found.top1[1:].tolist() == [row.top1 for row in rows[1:]]
    assert found.loss[1:].tolist() == [row.loss for row in rows[1:]]
    assert found.seconds[1:].tolist() == [0.5] * (len(rows) - 1)


def test_pairs_come_back_with_their_genes(path: Path, tiny_space: Space, genes: Genes) -> None:
    rows = rows_of(tiny_space, genes)
    Evidence(path).add(condition(), rows)
    Evidence(path).add(condition(split="test"), rows_of(tiny_space, genes[:3], top1=9.0))
    pairs = Evidence(path).pairs(condition())
    assert pairs.genes.dtype == np.int8
    expected = {tuple(row.genes): (row.top1, row.loss) for row in rows}
    found = {tuple(g): (a, b) for g, a, b in zip(pairs.genes.tolist(), pairs.top1, pairs.loss)}
    assert found == expected
    assert Evidence(path).conditions() == [condition(), condition(split="test")]
    assert [len(values) for values in Evidence(path).pairs(condition(data="x"))] == [0, 0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": "other"},
        {"data": "/photos"},
        {"split": "test"},
        {"images": 0},
        {"calibration_images": 200},
        {"precision": "bf16"},
    ],
)
def test_an_evaluation_belongs_to_all_of_its_condition(path: Path, changes: dict[str, Any]) -> None:
    Evidence(path).add(condition(), [row(top1=71.25)])
    assert np.isnan(Evidence(path).lookup(condition(**changes), ["a"]).top1).all()
    Evidence(path).add(condition(**changes), [row(top1=10.0)])
    assert Evidence(path).lookup(condition(), ["a"]).top1.tolist() == [71.25]


def test_thousands_of_rows_take_one_transaction_and_come_in_any_order(path: Path) -> None:
    rows = [row(f"{i:016x}", top1=i / 100) for i in range(5000)]
    evidence = Evidence(path)
    evidence.add(condition(), rows)
    keys = [row.key for row in reversed(rows)]
    assert evidence.lookup(condition(), [*keys, keys[0], "unknown"]).top1[:-1].tolist() == [
        *(i / 100 for i in reversed(range(5000))),
        49.99,
    ]


def test_a_row_that_is_no_accuracy_is_refused_and_none_is_kept(path: Path) -> None:
    evidence = Evidence(path)
    for bad in (row("b", top1=101.0), row("b", top1=math.nan), row("b", loss=math.inf)):
        with pytest.raises(ConfigError, match="accuracy must be from 0 to 100 percent"):
            evidence.add(condition(), [row(), bad])
    assert len(evidence.pairs(condition()).top1) == 0


def write_many(path: Path, first: int) -> None:
    evidence = Evidence(path)
    for i in range(first, first + 20):
        evidence.add(condition(), [row(f"{i:016x}", top1=1.0)])


def test_processes_write_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, 20 * i)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(Evidence(path).pairs(condition()).top1) == 60


def test_connections_are_closed(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence = Evidence(path)
        evidence.add(condition(), [row()])
        evidence.lookup(condition(), ["a"])
        evidence.pairs(condition())
    path.rename(path.with_suffix(".moved"))
    assert [p.name for p in path.parent.iterdir()] == ["evaluations.moved"]


def test_a_file_of_an_older_version_is_recognised(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE evaluations (weights TEXT, split TEXT, calibration_images INTEGER, "
        "subnet TEXT, top1 REAL, loss REAL)"
    )
    database.close()
    with pytest.raises(FileFormatError, match="of an older supernet, which did not") as caught:
        Evidence(path)
    assert caught.value.hint == HINT


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(FileFormatError, match="version 99 of evaluations, this supernet reads 6"):
        Evidence(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("UPDATE evaluations SET top1 = 101.0", "an accuracy of 101.0 percent"),
        ("UPDATE evaluations SET loss = 'x'", "metrics .* are not finite numbers"),
        ("UPDATE evaluations SET loss = 9e999", "metrics .* are not finite numbers"),
        ("UPDATE evaluations SET genes = x'00' WHERE subnet = 'b'", "genes of different lengths"),
        ("UPDATE evaluations SET genes = 'text'", "genes of different lengths"),
        ("DROP TABLE evaluations", "not a database of accuracies: no such table"),
    ],
)
def test_an_edited_file_is_refused(path: Path, change: str, text: str) -> None:
    Evidence(path).add(condition(), [row("a"), row("b")])
    database = sqlite3.connect(path)
    with database:
        database.execute(change)
    database.close()
    with pytest.raises(FileFormatError, match=text) as caught:
        Evidence(path).pairs(condition())
    assert caught.value.hint == HINT


@pytest.mark.parametrize("length", [100, 4096, 5000])
def test_a_damaged_file_is_refused_with_the_way_out(path: Path, length: int) -> None:
    Evidence(path).add(condition(), [row()])
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FileFormatError, match=r"evaluations\.sqlite: ") as caught:
        Evidence(path).lookup(condition(), ["a"])
    assert caught.value.hint == HINT


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no database" * 100)
    with pytest.raises(FileFormatError, match="a: file is not a database"):
        Evidence(tmp_path / "a")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing/a.*: unable to open database file"):
        Evidence(tmp_path / "missing" / "a")


def test_what_a_version_without_fingerprints_measured_is_kept(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            CREATE TABLE conditions (id INTEGER PRIMARY KEY, weights TEXT NOT NULL, data TEXT
            NOT NULL, split TEXT NOT NULL, images INTEGER NOT NULL, calibration_images INTEGER
            NOT NULL, precision TEXT NOT NULL, UNIQUE (weights, data, split, images,
            calibration_images, precision));
            CREATE TABLE evaluations (condition INTEGER NOT NULL REFERENCES conditions (id),
            subnet TEXT NOT NULL, genes BLOB NOT NULL, top1 REAL NOT NULL, loss REAL NOT NULL,
            seconds REAL NOT NULL, PRIMARY KEY (condition, subnet));
            INSERT INTO conditions VALUES (7, 'abc', 'noise', 'holdout', 100, 100, 'fp32');
            INSERT INTO evaluations VALUES (7, 'a', x'0001', 51.5, 1.0, 0.5);
            INSERT INTO conditions VALUES (8, 'abc', '/photos', 'holdout', 100, 100, 'fp32');
            INSERT INTO evaluations VALUES (8, 'a', x'0001', 61.5, 1.0, 0.5);
            PRAGMA user_version = 4;
            """
        )
    known = Evidence(path)
    assert known.lookup(condition(), ["a"]).top1.tolist() == [51.5]
    # of a folder: with statistics of batches of few classes
    assert math.isnan(known.lookup(condition(data="/photos"), ["a"]).top1[0])
    other = condition(fingerprint="of other images")
    assert math.isnan(known.lookup(other, ["a"]).top1[0])
    known.add(other, [row("a", 33.0)])
    assert known.conditions() == [condition(), condition(data="/photos"), other]
    assert Evidence(path).lookup(condition(), ["a"]).top1.tolist() == [51.5]
    assert Evidence(path).lookup(other, ["a"]).top1.tolist() == [33.0]
