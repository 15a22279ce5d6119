"""Searches that were stopped, by whatever, and go on without measuring anything twice."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, FileFormatError, InfeasibleError
from supernet.predict import AccuracyPairs, fit_predictor
from supernet.search import SearchResult, load_result, unfinished_folders
from supernet.search.api import search
from supernet.space import Genes, sample

SCRIPT = Path(__file__).with_name("measuring.py")
DEADLINE_S = 120.0
AT_ONCE = 16  # measured between two lines of the journal

_spec = importlib.util.spec_from_file_location("measuring", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
measuring = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(measuring)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """The search that nobody stopped."""
    result: SearchResult = measuring.measured_search(
        None, tmp_path_factory.mktemp("whole") / "calls", 0.0
    )
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "searches" / "mine"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def start(folder: Path, calls: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts the search in a process of its own, and waits until it has kept something."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, SCRIPT, folder, calls], stderr=subprocess.PIPE)
        started.append(process)
        until = time.monotonic() + DEADLINE_S
        while len(lines(folder / "measured.jsonl")) < 2:
            assert process.poll() is None, "ended before it could be stopped"
            assert time.monotonic() < until
            time.sleep(0.01)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def resumed(folder: Path, calls: Path, **options: Any) -> SearchResult:
    result: SearchResult = measuring.measured_search(folder, calls, 0.0, resume=True, **options)
    return result


def assert_same(one: SearchResult, other: SearchResult) -> None:
    np.testing.assert_array_equal(one.genes, other.genes)
    np.testing.assert_array_equal(one.front, other.front)
    for name, values in one.columns.items():
        np.testing.assert_array_equal(values, other.columns[name])


@pytest.fixture
def stopped(folder: Path, calls: Path) -> Path:
    """A folder of a search that ended in the middle."""

    def failing(genes: Genes) -> Any:
        if len(lines(calls)) > 40:
            raise KeyboardInterrupt
        return measure(genes)

    def measure(genes: Genes) -> Any:
        with calls.open("a") as handle:
            handle.writelines(f"{row}\n" for row in genes.tolist())
        return measuring.top1(genes)

    with pytest.raises(KeyboardInterrupt):
        search(
            measuring.SPACE,
            accuracy=failing,
            folder=folder,
            limits=measuring.LIMITS,
            budget=measuring.BUDGET,
            objectives=["macs"],
            algorithm=measuring.ALGORITHM,
            seed=3,
        )
    assert len(lines(folder / "measured.jsonl")) >= 3
    return folder


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_search_goes_on_as_if_nothing_had_been(
    number: signal.Signals,
    start: Callable[[], subprocess.Popen[bytes]],
    folder: Path,
    calls: Path,
    whole: SearchResult,
) -> None:
    process = start()
    process.send_signal(number)
    process.wait(timeout=DEADLINE_S)
    kept = [row for line in lines(folder / "measured.jsonl") for row in _genes(line)]
    before = len(lines(calls))
    assert 0 < len(kept) < len(whole)
    assert before - len(kept) <= AT_ONCE

    result = resumed(folder, calls)
    assert_same(result, whole)
    assert result.complete
    again = [json.loads(line) for line in lines(calls)[before:]]
    assert not [row for row in again if row in kept]
    assert len({*lines(calls)}) == int(np.isfinite(whole.columns["top1"]).sum())
    saved = load_result(folder)
    assert_same(saved.result, whole)
    assert saved.result.complete
    assert not (folder / "request.json").exists()
    assert not (folder / "measured.jsonl").exists()


def _genes(line: str) -> list[list[int]]:
    try:
        rows: list[list[int]] = json.loads(line.partition(" ")[2])["genes"]
    except ValueError:  # a line that was cut off
        return []
    return rows


def test_a_search_whose_time_was_up_goes_on_in_its_folder(
    folder: Path, calls: Path, whole: SearchResult
) -> None:
    first = measuring.measured_search(folder, calls, 0.01, seconds=0.05)
    assert not first.complete
    assert len(first) < len(whole)
    assert not load_result(folder).result.complete
    second = resumed(folder, calls, seconds=100.0)
    assert_same(second, whole)
    assert load_result(folder).result.complete
    assert len(lines(calls)) == len({*lines(calls)})
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_scoring_again_takes_none_of_the_time(folder: Path) -> None:
    """A predicted search gets farther by each part of its time, however short that is."""
    genes = sample(measuring.SPACE, 60, np.random.default_rng(0))
    pairs = AccuracyPairs(space=measuring.SPACE, genes=genes, top1=measuring.top1(genes))
    predictor = fit_predictor(pairs, "ridge")
    counts = []
    for part in range(3):
        result = search(
            measuring.SPACE,
            predictor=predictor,
            objectives=["macs"],
            budget=50_000,
            seconds=1e-9,
            folder=folder,
            resume=part > 0,
        )
        counts.append(len(result))
        assert not result.complete
    assert counts[0] < counts[1] < counts[2]
    assert not (folder / "measured.jsonl").exists()


def test_failed_measurements_stay_failed(folder: Path, calls: Path) -> None:
    def accuracy(genes: Genes) -> Any:
        values = measuring.top1(genes)
        values[genes.sum(axis=1) % 5 == 0] = np.nan
        with calls.open("a") as handle:
            handle.writelines(f"{row}\n" for row in genes.tolist())
        return values

    asked: dict[str, Any] = {"objectives": ["macs"], "budget": 100, "folder": folder}
    asked["algorithm"] = measuring.ALGORITHM
    first = search(measuring.SPACE, accuracy=accuracy, seconds=1e-9, **asked)
    assert np.isnan(first.columns["top1"]).any()
    second = search(measuring.SPACE, accuracy=accuracy, resume=True, **asked)
    assert len(first) < len(second)
    assert len(lines(calls)) == len({*lines(calls)}) == len(second)


# ---------------------------------------------------------------- two at once


def test_only_one_process_goes_on_with_a_search(
    start: Callable[[], subprocess.Popen[bytes]], folder: Path, calls: Path
) -> None:
    process = start()
    with pytest.raises(ConfigError, match="mine: another process is at work there"):
        resumed(folder, calls)
    assert process.poll() is None


def test_a_second_search_of_the_name_gets_a_folder_of_its_own(
    start: Callable[[], subprocess.Popen[bytes]], folder: Path, tmp_path: Path, whole: SearchResult
) -> None:
    process = start()
    result = measuring.measured_search(folder, tmp_path / "others", 0.0)
    assert process.poll() is None
    assert_same(result, whole)
    assert_same(load_result(folder.with_name("mine-2")).result, whole)
    assert unfinished_folders(folder.parent) == [folder]


# ---------------------------------------------------------------- what cannot go on


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 121}, "mine was asked for something else: budget 120, now 121"),
        ({"seed": 4}, "seed 3, now 4"),
        ({"limits": {"macs": 2e6}}, r"limits {'macs': 3000000.0}, now {'macs': 2000000.0}"),
        ({"fix": {"stage2.kernel": [3]}}, r"fix {}, now {'stage2\..*kernel': \[3\]"),
    ],
)
def test_another_request_is_refused(
    stopped: Path, calls: Path, options: dict[str, Any], message: str
) -> None:
    count = len(lines(calls))
    with pytest.raises(ConfigError, match=message):
        resumed(stopped, calls, **options)
    assert len(lines(calls)) == count


def test_another_predictor_is_noticed(folder: Path) -> None:
    genes = sample(measuring.SPACE, 60, np.random.default_rng(0))
    top1 = measuring.top1(genes)
    asked: dict[str, Any] = {"objectives": ["macs"], "budget": 3000, "folder": folder}
    for resume, labels in ((False, top1), (True, top1[::-1].copy())):
        pairs = AccuracyPairs(space=measuring.SPACE, genes=genes, top1=labels)
        predictor = fit_predictor(pairs, "ridge")
        if resume:
            with pytest.raises(ConfigError, match="top1 of the same subnets is another now"):
                search(measuring.SPACE, predictor=predictor, resume=True, **asked)
        else:
            search(measuring.SPACE, predictor=predictor, seconds=1e-9, **asked)


def test_what_is_not_there_or_finished_says_what_is(stopped: Path, calls: Path) -> None:
    with pytest.raises(ConfigError, match="is not there") as caught:
        resumed(stopped.with_name("other"), calls)
    assert caught.value.hint == f"{stopped.name} is the same search: --name {stopped.name}"
    with pytest.raises(ConfigError) as caught:
        resumed(stopped.with_name("other"), calls, budget=7)
    assert f"{stopped.name} was asked for other things (budget " in caught.value.hint
    resumed(stopped, calls)
    with pytest.raises(ConfigError, match=r"'mine' is finished; unfinished below .*: none"):
        resumed(stopped, calls)
    with pytest.raises(ConfigError, match="needs the folder"):
        search(measuring.SPACE, accuracy=measuring.top1, objectives=["macs"], resume=True)


def test_a_search_that_finds_nothing_leaves_nothing(folder: Path) -> None:
    with pytest.raises(InfeasibleError, match="none of 20 scored subnets"):
        search(
            measuring.SPACE,
            accuracy=measuring.top1,
            objectives=["macs"],
            limits={"top1": 99.0},
            budget=20,
            folder=folder,
        )
    assert not folder.exists()


def test_an_accuracy_of_another_shape_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"accuracy: must give one number for each of \d+"):
        search(
            measuring.SPACE,
            accuracy=lambda genes: measuring.top1(genes)[:0],
            objectives=["macs"],
            budget=20,
            folder=folder,
        )
    assert not folder.exists()


# ---------------------------------------------------------------- damage


def test_a_line_that_was_cut_off_is_measured_again(
    stopped: Path, calls: Path, whole: SearchResult
) -> None:
    journal = stopped / "measured.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert_same(resumed(stopped, calls), whole)
    assert len(lines(calls)) - len({*lines(calls)}) <= AT_ONCE


def _value(text: str) -> str:
    return text.replace('"values": [4', '"values": [9', 1)


def _second_out(text: str) -> str:
    own = text.splitlines(keepends=True)
    return "".join([own[0], *own[2:]])


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (_value, 1),
        (_second_out, 2),
        (lambda text: text.replace("\n", "\n\n", 1), 2),
        (lambda text: f"{text}[]\n", None),
        (lambda text: text[30:], 1),
        (lambda text: f"\x00{text[1:]}", 1),
    ],
)
def test_an_edited_journal_is_named(
    stopped: Path, calls: Path, damage: Callable[[str], str], line: int | None
) -> None:
    journal = stopped / "measured.jsonl"
    before = journal.read_text()
    number = line or len(before.splitlines()) + 1
    journal.write_text(damage(before))
    assert journal.read_text() != before
    count = len(lines(calls))
    with pytest.raises(FileFormatError, match=rf"measured\.jsonl: line {number} is not as it was"):
        resumed(stopped, calls)
    assert len(lines(calls)) == count


def test_an_edited_request_is_named(stopped: Path, calls: Path) -> None:
    request = stopped / "request.json"
    whole = request.read_text()
    request.write_text(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"request\.json: not valid json"):
        resumed(stopped, calls)
    request.write_text(whole.replace('"supernet"', '"supernett"'))
    with pytest.raises(ConfigError, match=r"request\.json: .*unknown key"):
        resumed(stopped, calls)
