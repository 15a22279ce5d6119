"""What kits bring home may be cut off, edited, old or of another kind: named and survived."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.latency import make_plan, read_result, table_of
from supernet.latency.backends import Backend
from supernet.latency.kit.journal import VERSION
from supernet.latency.kit.machine import Machine
from supernet.latency.kit.run import measure_plan, result_document
from supernet.latency.kit.spec import Spec
from supernet.space import Space
from tests.latency.conftest import SHORT

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def document(tiny_space: Space, stopwatch: Backend) -> dict[str, Any]:
    plan = make_plan(tiny_space, [16], fit=4, hold_out=2)
    measured = measure_plan(plan, stopwatch, SHORT)
    before = Machine().conditions()
    found = result_document(plan, measured, stopwatch, SHORT, before=before, seconds=1.0)
    return dict(json.loads(json.dumps(found)))


def saved(document: dict[str, Any], folder: Path) -> Path:
    path = folder / "board.json"
    path.write_text(json.dumps(document))
    return path


def test_a_result_comes_back_as_it_was_written(document: dict[str, Any], tmp_path: Path) -> None:
    result = read_result(saved(document, tmp_path))
    assert len(result.timings) == len(document["operators"]) + 6
    assert result.timings["o3"].ms == document["operators"][3][0]
    assert result.plan.document() == document["plan"]
    assert result.device["runtime"] == "onnxruntime"
    assert table_of([result], "board").held_out.networks == 2


def test_a_result_that_was_cut_off_anywhere_is_refused(
    document: dict[str, Any], tmp_path: Path
) -> None:
    text = json.dumps(document)
    for end in range(0, len(text), len(text) // 40):
        path = tmp_path / "board.json"
        path.write_text(text[:end])
        with pytest.raises(FileFormatError, match=r"board\.json: not valid"):
            read_result(path)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([-0.5, 0.1, 4, 1, 0.5], r"operators\[2\]: ms must be above 0 and below 1e7, found -0.5"),
        ([0, 0.1, 4, 1, 0.5], "ms must be above 0"),
        ([1e9, 0.1, 4, 1, 0.5], "ms must be above 0 and below 1e7"),
        ([0.5, -0.1, 4, 1, 0.5], "spread_ms must be from 0 to 1e7, found -0.1"),
        ([0.5, 0.1, 0, 1, 0.5], "visits and slow must be at least 1, found 0"),
        ([0.5, 0.1, 4, 0.2, 0.5], "visits and slow must be at least 1, found 4.0, 0.2"),
        ([0.5, 0.1, 4, 1, -1], "least_ms must be above 0"),
        ([0.5, 0.1], "expected 5 numbers, found 2"),
        (["fast", 0.1, 4, 1, 0.5], "Expected `float`, got `str`"),
        ({"ms": 1}, "Expected `array | null`, got `object`"),
    ],
)
def test_impossible_times_are_named(
    document: dict[str, Any], tmp_path: Path, row: Any, text: str
) -> None:
    document["operators"][2] = row
    with pytest.raises(ConfigError, match=text):
        read_result(saved(document, tmp_path))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_times_that_are_no_numbers_are_refused(
    document: dict[str, Any], tmp_path: Path, value: str
) -> None:
    document["operators"][2][0] = 12345.678
    path = tmp_path / "board.json"
    path.write_text(json.dumps(document).replace("12345.678", value))
    with pytest.raises(FileFormatError, match="is not allowed"):
        read_result(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(version=2), "version 2 is newer than 1"),
        (lambda d: d.update(format="supernet.subnet"), "expected format 'supernet.kit_result'"),
        (lambda d: d["plan"].update(version=7), "version 7 of a plan, known here is 1"),
        (lambda d: d["plan"].pop("networks"), r"board\.json: plan\.networks: missing"),
        (lambda d: d["plan"].update(format="x"), "plan.format: expected 'supernet.kit_plan', fou"),
        (lambda d: d["plan"].update(networks=3), r"plan\.networks: expected a list, found 3"),
        (lambda d: d["plan"].update(space=[1]), r"plan\.space: expected text, found \[1\]"),
        (lambda d: d["plan"].update(resolutions=["a"]), r"resolutions\[0\]: expected a whole num"),
        (
            lambda d: d["plan"]["operators"][0].extend([1] * len(Spec._fields)),
            rf"plan\.operators\[0\]: expected 4 to {len(Spec._fields)} values, found \d\d",
        ),
        (lambda d: d["plan"]["operators"].insert(1, "x"), r"operators\[1\]: expected a list, fou"),
        (lambda d: d["plan"]["networks"].insert(0, []), r"networks\[0\]: expected a mapping"),
        (lambda d: d["plan"]["networks"][1].pop("use"), r"plan\.networks\[1\]\.use: missing"),
        (
            lambda d: d["plan"]["networks"][1]["operators"].append(1.5),
            r"plan\.networks\[1\]\.operators\[\d+\]: expected a whole number, found 1\.5",
        ),
    ],
)
def test_another_kind_or_version_is_refused(
    document: dict[str, Any], tmp_path: Path, change: Change, text: str
) -> None:
    change(document)
    with pytest.raises(FileFormatError, match=text):
        read_result(saved(document, tmp_path))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d["operators"].pop(), r"operators: \d+ rows for the \d+ of the plan"),
        (lambda d: d["networks"].append(None), "networks: 7 rows for the 6 of the plan"),
        (lambda d: d["plan"]["operators"][4].__setitem__(1, -8), r"plan\.operators\[4\]\."),
        (lambda d: d["plan"]["operators"][4].__setitem__(0, "fft"), r"plan\.operators\[4\]\.op"),
        (lambda d: d["plan"]["operators"][4].__setitem__(1, "8"), r"plan\.operators\[4\]\."),
        (lambda d: d["plan"]["networks"][0].update(use="both"), "must be fit or hold_out"),
        (lambda d: d["plan"]["networks"][0].update(operators=[]), r"networks\[0\].*none"),
        (lambda d: d["plan"]["networks"][1].update(operators=[9999]), "the plan lacks"),
        (lambda d: d["settings"].update(threads=0), "at least 1, found 0"),
        (lambda d: d.pop("device"), "device: missing"),
        (lambda d: d.update(speed=1), "speed: unknown key"),
    ],
)
def test_edited_results_are_named(
    document: dict[str, Any], tmp_path: Path, change: Change, text: str
) -> None:
    change(document)
    with pytest.raises(ConfigError, match=text):
        read_result(saved(document, tmp_path))


def test_many_problems_are_told_in_few_lines(document: dict[str, Any], tmp_path: Path) -> None:
    for row in document["operators"]:
        row[0] = -1
    with pytest.raises(ConfigError) as caught:
        read_result(saved(document, tmp_path))
    assert len(caught.value.problems) == 6
    assert f"and {len(document['operators']) - 5} more" in caught.value.problems[-1]


def test_models_without_a_time_are_counted(document: dict[str, Any], tmp_path: Path) -> None:
    document["operators"][1] = None
    result = read_result(saved(document, tmp_path))
    with pytest.raises(ConfigError, match=r"1 of .* operators were not measured"):
        table_of([result], "board")


# ------------------------------------------------------------------ interrupted


def test_an_interrupted_run_says_how_much_is_missing(
    tiny_space: Space, stopwatch: Backend, tmp_path: Path
) -> None:
    plan, part = make_plan(tiny_space, [16], fit=4, hold_out=2), tmp_path / "board.json.part"
    models = len(plan.operators) + len(plan.networks)

    def stop(done: int, *_: object) -> None:
        if done == 10:
            raise KeyboardInterrupt

    from supernet.latency.kit.run import Reporter

    with pytest.raises(KeyboardInterrupt):
        measure_plan(plan, stopwatch, SHORT, journal=part, reporter=Reporter(progress=stop))
    for path in (part, tmp_path / "board.json"):
        with pytest.raises(FileFormatError, match=f"10 of {models} models were visited") as caught:
            read_result(path)
        assert "python3 kit.pyz -o board.json" in caught.value.hint


def test_a_run_interrupted_after_a_first_round_says_that_more_are_needed(tmp_path: Path) -> None:
    header = {"format": "supernet.kit_journal", "version": VERSION, "models": 1}
    part = tmp_path / "board.json.part"
    part.write_text(f'{json.dumps(header)}\n["o0", 1.0, 0.1, 0.1]\n')
    with pytest.raises(FileFormatError, match="1 of 1 models were visited, not often enough"):
        read_result(part)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe\x00\n", b"[]\n" * 3, b'{"format"'])
def test_a_damaged_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "board.json.part").write_bytes(content)
    with pytest.raises(FileFormatError, match="not the journal of a kit"):
        read_result(tmp_path / "board.json")
