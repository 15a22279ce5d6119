"""Targets by name, and the machine this runs on."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.latency import (
    LatencyTable,
    build_table,
    list_targets,
    load_target,
    own_tables,
    targets,
    this_machine,
)
from supernet.latency.targets import HERE
from supernet.space import Space, operators_of


@pytest.fixture
def kept(home: Path) -> Path:
    return home / "latency_tables" / "this_machine.json"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def test_the_first_time_everything_is_measured_and_kept(
    tiny_space: Space, kept: Path, stopwatch: Any
) -> None:
    table = this_machine(tiny_space)
    assert len(stopwatch.asked["operators"]) == len(operators_of(tiny_space))
    assert LatencyTable.load(kept).rows == table.rows
    assert table.target == "this_machine"


def test_the_second_time_nothing_is_measured(tiny_space: Space, kept: Path, stopwatch: Any) -> None:
    first = this_machine(tiny_space)
    stopwatch.asked.clear()
    again = this_machine(tiny_space)
    assert stopwatch.asked == {}
    assert (again.rows, again.held_out) == (first.rows, first.held_out)


def test_only_what_is_missing_is_measured(tiny_space: Space, kept: Path, stopwatch: Any) -> None:
    part = replace(tiny_space, name="part", resolutions=(16,))
    first = this_machine(part)
    stopwatch.asked.clear()
    whole = this_machine(tiny_space)
    missing = len(operators_of(tiny_space)) - len(operators_of(part))
    assert len(stopwatch.asked["operators"]) == missing > 0
    assert {operator: whole.rows[operator] for operator in first.rows} == first.rows
    stopwatch.asked.clear()
    assert this_machine(tiny_space).missing(part) == []
    assert stopwatch.asked == {}


@pytest.mark.parametrize("key", ["processor", "runtime_version", "machine", "runtime"])
def test_a_table_of_another_machine_or_runtime_is_not_used(
    tiny_space: Space, kept: Path, stopwatch: Any, key: str
) -> None:
    this_machine(tiny_space)
    edit(kept, lambda body: body["device"].update({key: "another"}))
    stopwatch.asked.clear()
    table = this_machine(tiny_space)
    assert len(stopwatch.asked["operators"]) == len(operators_of(tiny_space))
    assert table.device[key] != "another"
    assert LatencyTable.load(kept).device[key] == table.device[key]


@pytest.mark.parametrize(("key", "value"), [("precision", "int8"), ("threads", 2), ("batch", 8)])
def test_a_table_of_other_settings_is_not_used(
    tiny_space: Space, kept: Path, stopwatch: Any, key: str, value: Any
) -> None:
    this_machine(tiny_space)
    edit(kept, lambda body: body.update({key: value}))
    stopwatch.asked.clear()
    assert not targets.is_measured(tiny_space)
    table = this_machine(tiny_space)
    assert len(stopwatch.asked["operators"]) == len(operators_of(tiny_space))
    assert (table.precision, table.threads, table.batch) == ("fp32", 1, 1)


@pytest.mark.parametrize("content", ["", "no json", "{}", "[]", '{"format": "supernet.subnet"}'])
def test_a_damaged_table_is_measured_anew(
    tiny_space: Space, kept: Path, stopwatch: Any, content: str
) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text(content)
    table = this_machine(tiny_space)
    assert LatencyTable.load(kept).rows == table.rows


def test_a_truncated_table_is_measured_anew(tiny_space: Space, kept: Path, stopwatch: Any) -> None:
    this_machine(tiny_space)
    kept.write_text(kept.read_text()[:3000])
    this_machine(tiny_space)
    assert LatencyTable.load(kept).missing(tiny_space) == []


def test_fresh_measures_everything_again(tiny_space: Space, kept: Path, stopwatch: Any) -> None:
    this_machine(tiny_space)
    stopwatch.asked.clear()
    this_machine(tiny_space, fresh=True)
    assert len(stopwatch.asked["operators"]) == len(operators_of(tiny_space))


def test_an_interrupted_measurement_keeps_nothing_half_done(
    tiny_space: Space, kept: Path, stopwatch: Any
) -> None:
    def interrupt(model: Any) -> float:
        raise KeyboardInterrupt

    stopwatch.ms = interrupt
    with pytest.raises(KeyboardInterrupt):
        this_machine(tiny_space)
    assert not kept.exists()


# ------------------------------------------------------------------ names


def test_own_tables_are_found_by_their_name(tiny_space: Space, home: Path, stopwatch: Any) -> None:
    assert own_tables() == home / "latency_tables"
    assert "this_machine" in list_targets()
    table = this_machine(tiny_space)
    replace(table, target="board").save(own_tables() / "board.json")
    assert "board" in list_targets()
    assert load_target("board").rows == table.rows
    assert load_target(str(own_tables() / "board.json")).target == "board"


def test_shipped_tables_load(home: Path) -> None:
    for name in list_targets():
        if name not in HERE:
            assert load_target(name).target == name


def test_an_unknown_target_suggests_a_known_one(home: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'this_machine'") as caught:
        load_target("this_machin")
    assert "supernet targets" in caught.value.hint


@pytest.mark.parametrize("name", ["this_machine", "missing.json"])
def test_a_table_that_is_not_there_yet_is_named(home: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match=r"\.json: no such file"):
        load_target(name)


def test_two_at_once_measure_once(
    tiny_space: Space, kept: Path, stopwatch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside another measurement both would be wrong."""
    begun, told, measured = threading.Event(), threading.Event(), list[str]()

    def build(*args: Any, **options: Any) -> LatencyTable:
        measured.append(options["target"])
        begun.set()
        assert told.wait(60)  # until the other one says that it waits
        return build_table(*args, **options)

    monkeypatch.setattr(targets, "build_table", build)
    found: list[LatencyTable] = []
    first = threading.Thread(target=lambda: found.append(this_machine(tiny_space)))
    first.start()
    assert begun.wait(60)

    def progress(done: int, total: int, text: str) -> None:
        assert text == "waiting for another process that measures this machine"
        told.set()

    second = this_machine(tiny_space, progress=progress)
    first.join()
    assert measured == ["this_machine"]
    assert second.rows == found[0].rows
    assert [path.name for path in kept.parent.iterdir()] == ["this_machine.json"]
