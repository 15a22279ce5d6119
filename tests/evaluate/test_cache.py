"""What was evaluated once is kept, whatever interrupts the collection."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from supernet.data import Dataset
from supernet.errors import FileFormatError, StorageError
from supernet.evaluate import Evaluations, Evaluator, Score, evaluate_all
from supernet.models import Supernet
from supernet.space import Domain, Space, Subnet, decode, smallest


@pytest.fixture
def subnets(tiny_space: Space) -> list[Subnet]:
    return decode(tiny_space, Domain.of(tiny_space).neighbours(smallest(tiny_space)))[:6]


def opened(path: Path, **changes: Any) -> Evaluations:
    known: dict[str, Any] = {
        "weights": "abc",
        "split": "holdout",
        "calibration_images": 100,
    } | changes
    return Evaluations(path, **known)


class Counting:
    """Stands in for the measuring; counts, and may be interrupted."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.measured: list[Subnet] = []
        self.stop_after = stop_after

    def __call__(self, subnet: Subnet, split: str) -> Score:
        if len(self.measured) == self.stop_after:
            raise KeyboardInterrupt
        self.measured.append(subnet)
        return Score(float(len(str(subnet))), 1.0)


@pytest.fixture
def evaluator(supernet: Supernet, dataset: Dataset) -> Evaluator:
    return Evaluator(supernet, dataset)


def test_an_accuracy_is_found_again_by_whoever_opens_the_file(
    tmp_path: Path, subnets: list[Subnet]
) -> None:
    path = tmp_path / "evaluations.sqlite"
    known = opened(path)
    assert known.get(subnets[0]) is None
    known.put(subnets[0], Score(71.25, 0.5))
    known.put(subnets[1], Score(60.0, 1.0))
    known.put(subnets[1], Score(61.0, 0.75))
    again = opened(path)
    assert [again.get(subnet) for subnet in subnets[:3]] == [(71.25, 0.5), (61.0, 0.75), None]


@pytest.mark.parametrize(
    "changes", [{"weights": "other"}, {"split": "test"}, {"calibration_images": 200}]
)
def test_an_accuracy_belongs_to_its_weights_images_and_statistics(
    tmp_path: Path, subnets: list[Subnet], changes: dict[str, Any]
) -> None:
    path = tmp_path / "evaluations.sqlite"
    opened(path).put(subnets[0], Score(71.25, 0.5))
    assert opened(path, **changes).get(subnets[0]) is None
    opened(path, **changes).put(subnets[0], Score(10.0, 2.0))
    assert opened(path).get(subnets[0]) == (71.25, 0.5)


def test_an_interrupted_collection_goes_on_where_it_stopped(
    tmp_path: Path,
    subnets: list[Subnet],
    evaluator: Evaluator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "evaluations.sqlite"
    first, second = Counting(stop_after=4), Counting()
    monkeypatch.setattr(evaluator, "subnet_score", first)
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(evaluator, subnets, "holdout", opened(path))
    monkeypatch.setattr(evaluator, "subnet_score", second)
    told: list[tuple[int, int, str]] = []
    found = evaluate_all(
        evaluator, subnets, "holdout", opened(path), lambda *values: told.append(values)
    )
    assert first.measured + second.measured == subnets
    assert found == [(float(len(str(subnet))), 1.0) for subnet in subnets]
    assert told[-1] == (6, 6, "evaluating subnets")
    assert len(told) == 6


def test_really_measured_accuracies_are_kept(
    tmp_path: Path, subnets: list[Subnet], evaluator: Evaluator
) -> None:
    known = opened(tmp_path / "evaluations.sqlite", split="test")
    found = evaluate_all(evaluator, subnets[:2], "test", known)
    assert found == [evaluator.subnet_score(subnet, "test") for subnet in subnets[:2]]
    assert [known.get(subnet) for subnet in subnets[:2]] == found


@pytest.mark.parametrize("length", [100, 4096, 5000])
def test_a_damaged_file_is_refused_with_the_way_out(
    tmp_path: Path, subnets: list[Subnet], length: int
) -> None:
    path = tmp_path / "evaluations.sqlite"
    opened(path).put(subnets[0], Score(50.0, 1.0))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FileFormatError, match=r"evaluations\.sqlite: ") as caught:
        opened(path).get(subnets[0])
    assert caught.value.hint == "remove the file; accuracies are measured again"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no database" * 100)
    with pytest.raises(FileFormatError, match="a: file is not a database"):
        opened(tmp_path / "a")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing/a.*: unable to open database file"):
        opened(tmp_path / "missing" / "a")


def test_two_processes_may_write_in_turn(tmp_path: Path, subnets: list[Subnet]) -> None:
    path = tmp_path / "evaluations.sqlite"
    first, second = opened(path), opened(path)
    first.put(subnets[0], Score(1.0, 1.0))
    second.put(subnets[1], Score(2.0, 1.0))
    assert [first.get(subnets[1]), second.get(subnets[0])] == [(2.0, 1.0), (1.0, 1.0)]
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT COUNT(*) FROM evaluations").fetchone()
    finally:
        connection.close()
    assert rows == (2,)
