"""Several targets and limits, narrowed spaces, searches without a run, kept results."""

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.latency import LatencyTable, own_tables
from supernet.predict import AccuracyPairs, fit_predictor
from supernet.predict.fitted import load_fitted
from supernet.runs import Run
from supernet.search import ALGORITHMS, load_result
from supernet.space import SubnetFile, largest, load_space, macs_of, sample, smallest

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

DEADLINE_S = 200.0
BRIEF = ("--budget", 1500, "--json")


@pytest.fixture
def predictor(tmp_path: Path) -> Path:
    """Of the demo's space: more work is better."""
    space = load_space("demo")
    genes = sample(space, 60, np.random.default_rng(0))
    top1 = 40 + 10 * np.log10(macs_of(space, genes) / 1e5)
    pairs = AccuracyPairs(space=space, genes=genes, top1=top1)
    path = tmp_path / "acc.json"
    fit_predictor(pairs, "ridge").save(path)
    return path


@pytest.fixture
def search(supernet: Command, predictor: Path) -> Command:
    """A search of the demo's space without a run."""

    def run(*options: object) -> Any:
        return supernet("search", "--space", "demo", "--predictor", predictor, *BRIEF, *options)

    return run


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            ["--max-latency-ms", "phone=3"],
            "phone is no target of this search; targets: this_machine",
        ),
        (["--fix", "stage9.kernel=3"], "unknown dimension 'stage9.kernel'"),
        (["--objective", "power"], "unknown cost 'power'"),
        (["--max-macs", "1k"], "has macs within 1000; the least is"),
        (["--start", "nothere.json"], "nothere.json"),
        (["--algorithm", "grid"], "subnets, the budget is 1,500"),
        (["--algorithm", "optuna:grid"], "subnets, the budget is 1,500"),
        (["--algorithm", "optuna:grid", "--budget", 10**12], "so 2,000 is the most"),
        (["--algorithm", "asha"], "asha climbs a ladder"),
    ],
)
def test_what_is_wrong_is_said_before_this_machine_is_measured(
    search: Command, monkeypatch: pytest.MonkeyPatch, wrong: list[str], text: str
):
    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured first")

    monkeypatch.setattr("supernet.search.setup.this_machine", measured)
    result = search("--target", "this_machine", *wrong)
    assert result.code != 0
    assert text in result.stderr


def test_two_targets_and_all_kinds_of_limits_at_once(search: Command):
    result = search(
        *("--target", "mobile_cpu", "--target", "x86_server_cpu"),
        *("--max-latency-ms", "mobile_cpu=0.6", "--max-latency-ms", "x86_server_cpu=0.2"),
        *("--max-macs", "3M", "--max-params", "285k"),
        *("--max-peak-memory", "256KiB", "--max-file-size", "1.2MB"),
        *("--max-peak-memory", "int8=64KiB", "--max-file-size", "int8=0.4MB"),
    )
    assert result.code == 0, result.stderr
    limits = result.json["limits"]
    assert limits == {
        "latency@mobile_cpu": 0.6,
        "latency@x86_server_cpu": 0.2,
        "macs": 3e6,
        "params": 285e3,
        "peak_memory": 256 * 1024,
        "file_size": 1.2e6,
        "peak_memory@int8": 64 * 1024,
        "file_size@int8": 0.4e6,
    }
    saved = load_result(Path(result.json["files"]["result"]))
    figures = saved.result.figures(saved.chosen)
    assert all(figures[name] <= limit for name, limit in limits.items())
    assert saved.result.problem.axis("macs").limit == 3e6
    objectives = [axis.name for axis in saved.result.problem.axes if axis.objective]
    assert objectives == ["top1", "latency@mobile_cpu", "latency@x86_server_cpu"]
    assert result.json["bound"] >= result.json["predicted"]["top1"]


def test_a_certified_answer_is_the_best_there_is(search: Command):
    result = search("--target", "mobile_cpu", "--max-latency-ms", 0.6, "--certify")
    assert result.code == 0, result.stderr
    best = result.json["predicted"]["top1"]
    assert result.json["bound"] == best  # a ridge regression is a sum: nothing is left open
    above = np.ceil(round(100 * best, 6)) / 100
    words = (
        f"proven: the best there is, no subnet within the limits is predicted above {above:.2f} %"
    )
    assert words in result.stdout.splitlines()


def test_the_last_line_holds_what_scripts_read(search: Command):
    result = search("--target", "mobile_cpu", "--max-latency-ms", 0.6)
    assert result.code == 0, result.stderr
    assert {"top1", "latency_ms", "target"} <= set(result.json["predicted"])
    assert result.json["scored"] == 1500
    assert 0 < result.json["seconds"] < 300
    assert result.json["predicted"]["latency_ms"] <= 0.6


def test_without_a_target_costs_are_enough(search: Command):
    result = search("--objective", "macs", "--max-params", "290k")
    assert result.code == 0, result.stderr
    assert result.json["files"]["result"] == "searches/costs"


def test_a_narrowed_space_is_searched_and_nothing_else(search: Command):
    fixed = ("--fix", "resolution=32", "--fix", "stage2.kernel=3")
    result = search("--objective", "macs", *fixed)
    assert result.code == 0, result.stderr
    subnet = SubnetFile.load(Path(result.json["files"]["subnet"])).subnet
    assert subnet.resolution == 32
    assert {block.kernel for block in subnet.stages[1].blocks} == {3}


def test_a_second_search_keeps_the_first(search: Command):
    first = search("--objective", "macs")
    second = search("--objective", "macs", "--max-macs", "2M")
    assert first.json["files"]["result"] == "searches/costs"
    assert second.json["files"]["result"] == "searches/costs-2"
    assert load_result(Path("searches/costs")).result.problem.axis("macs").limit is None


def test_the_same_seed_finds_the_same(search: Command):
    options = ("--objective", "macs", "--max-macs", "2M", "--seed", 5)
    first, second = (load_result(Path(search(*options).json["files"]["result"])) for _ in "ab")
    np.testing.assert_array_equal(first.result.genes, second.result.genes)


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--fix", "stage9.kernel=3"], 2, "unknown dimension 'stage9.kernel'"),
        (["--fix", "resolution=31"], 2, "resolution: 31.0 is no choice"),
        (["--objective", "power"], 2, "unknown cost 'power'"),
        (["--max-macs", "1k"], 4, "has macs within 1000; the least is"),
        (["--max-peak-memory", "1KiB"], 4, "has peak_memory within 1024 bytes"),
        (["--max-latency-ms", "phone=3"], 2, "phone is no target of this search; targets: none"),
        (["--max-latency-ms", "3"], 2, "a latency limit needs the name of its target"),
        (["--confirm", "2"], 2, "finalists can be measured in a run only"),
        (["--name", "a/b"], 2, "name: letters, digits"),
    ],
)
def test_wrong_wishes_are_answered_in_one_line(
    search: Command, options: list[str], code: int, text: str
):
    result = search("--objective", "params", *options)
    assert result.code == code
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert text in last
    assert not Path("searches").exists()


def test_the_help_names_every_algorithm(supernet: Command):
    words = set(re.sub(r"[,.;]", " ", supernet("search", "--help").stdout).split())
    assert {name.removeprefix("optuna:") for name in ALGORITHMS} <= words


def test_finalists_are_measured_before_the_winner_is_named(in_trained: Command):
    result = in_trained("search", "--pairs", 12, "--budget", 1000, "--confirm", 2, "--json")
    assert result.code == 0, result.stderr
    confirmed = result.json["confirmed"]
    assert 2 <= len(confirmed) <= 4  # with what was measured before and is better
    assert all({"top1", "latency_ms"} <= set(one) for one in confirmed)
    file = SubnetFile.load(Path(result.json["files"]["subnet"]))
    assert file.measured["top1"] == confirmed[0]["top1"]
    both = [one for one in confirmed if one["within"]] or confirmed
    assert confirmed[0]["top1"] == max(one["top1"] for one in both)
    saved = load_result(Path(result.json["files"]["result"]))
    assert saved.measured[0].index == saved.chosen
    assert [one.figures["top1"] for one in saved.measured] == [one["top1"] for one in confirmed]
    assert all(one.figures["latency@this_machine"] > 0 for one in saved.measured)
    page = Path(result.json["files"]["report"]).read_text()
    assert "found, measured" in page
    assert "finalist, measured" in page


def test_a_predictor_learned_for_it_is_not_believed_before_what_was_measured(
    in_trained: Command, trained: Path
):
    asked = ("search", "--objective", "macs", "--pairs", 12, "--budget", 1000, "--json")
    run = Run(next((trained / "runs").iterdir()))
    space = run.space()
    limit = round(float(macs_of(space, np.concatenate([largest(space), smallest(space)])).mean()))
    result = in_trained(*asked, "--max-macs", limit)
    assert result.code == 0, result.stderr
    grid = in_trained("search", "--objective", "macs", "--algorithm", "grid", "--budget", 20)
    assert grid.code == 2
    assert "grid: the space has" in grid.stderr
    assert "evaluating" not in grid.stderr
    confirmed = result.json["confirmed"]
    assert 4 <= len(confirmed) <= 6
    assert re.search(r"also measured: top1 \d+\.?\d*: (--pick \d+|\d+px, )", result.stdout)
    pairs = load_fitted(run.predictor, space).pairs
    within = macs_of(space, pairs.genes) <= limit
    assert within.any()
    assert not within.all()
    assert result.json["measured"]["top1"] >= pairs.top1[within].max()
    believed = in_trained(*asked, "--max-macs", limit, "--confirm", 0)
    assert believed.json["confirmed"] == []
    known = in_trained(*asked, "--max-macs", limit, "--predictor", run.predictor)
    assert known.json["confirmed"] == []


def test_finalists_are_measured_in_the_runtime_of_each_target_that_is_here(
    in_trained: Command, tmp_path: Path
):
    own = LatencyTable.load(own_tables() / "this_machine.json")
    others: dict[str, dict[str, Any]] = {
        "int8": {"precision": "int8"},
        "elsewhere": {"device": {**own.device, "processor": "another"}},
        "gpu": {"device": {**own.device, "gpu": "one that is not here"}},
    }
    for name, changes in others.items():
        replace(own, target=name, **changes).save(tmp_path / f"{name}.json")
    targets = [f"--target={tmp_path / name}.json" for name in ("elsewhere", "int8", "gpu")]
    result = in_trained(
        *("search", "--pairs", 12, "--budget", 1000, "--confirm", 1, "--name", "several"),
        *("--target", "this_machine", *targets, "--max-latency-ms", "this_machine=9", "--json"),
    )
    assert result.code == 0, result.stderr
    one = result.json["confirmed"][0]
    assert set(one) == {"index", "within", "top1", "latency_ms", "latency_ms@int8"}
    assert one["latency_ms"] != one["latency_ms@int8"]
    file = SubnetFile.load(Path(result.json["files"]["subnet"]))
    assert file.measured["latency_ms@int8"] == one["latency_ms@int8"]
    saved = load_result(Path(result.json["files"]["result"]))
    assert set(saved.measured[0].figures) == {"top1", "latency@this_machine", "latency@int8"}


# ---------------------------------------------------------------- stopped and gone on with


def test_a_search_whose_time_was_up_goes_on(search: Command, supernet: Command):
    asked = ("--objective", "macs", "--max-params", "290k")
    whole = load_result(Path(search(*asked).json["files"]["result"]))
    first = search(*asked, "--budget-seconds", "1e-9", "--name", "brief")
    assert first.code == 0, first.stderr
    assert not first.json["complete"]
    assert "the same command with --resume goes on" in first.stdout
    assert "unfinished: brief; " in supernet("results").stdout
    assert supernet("results", "--json").json["unfinished"] == ["brief"]

    second = search(*asked, "--name", "brief", "--resume")
    assert second.code == 0, second.stderr
    assert second.json["complete"]
    assert second.json["files"]["result"] == "searches/brief"
    saved = load_result(Path("searches/brief"))
    np.testing.assert_array_equal(saved.result.genes, whole.result.genes)
    assert saved.chosen == whole.chosen
    assert supernet("results", "--json").json["unfinished"] == []


def test_nothing_to_go_on_with_is_answered_in_one_line(search: Command):
    asked = ("--objective", "macs", "--budget-seconds", "1e-9")
    never = search(*asked, "--resume")
    assert never.code == 2
    assert "no search to go on with: 'costs' is not there; unfinished below searches: none" in (
        never.stderr
    )
    assert search(*asked).code == 0
    other = search(*asked, "--max-macs", "2M", "--resume")
    assert other.code == 2
    assert "costs was asked for something else: " in other.stderr
    assert "limits {}, now {'macs': 2000000.0}" in other.stderr
    assert search("--objective", "macs", "--resume").code == 0
    finished = search(*asked, "--resume")
    assert finished.code == 2
    assert "'costs' is finished" in finished.stderr


def test_nothing_is_measured_before_a_resumption_is_refused(
    search: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("SUPERNET_HOME", str(tmp_path / "nothing measured"))
    refused = search("--target", "this_machine", "--resume")
    assert refused.code == 2
    assert "no search to go on with: this_machine was not measured" in refused.stderr
    assert not list(tmp_path.glob("nothing measured/**/*.json"))


def _measured(run: Path) -> dict[str, float]:
    """How long each evaluation took, by subnet: told apart from another of the same subnet."""
    if not (run / "evaluations.sqlite").is_file():
        return {}
    with closing(sqlite3.connect(run / "evaluations.sqlite", timeout=60)) as database:
        query = "SELECT subnet, seconds FROM evaluations"
        return dict(database.execute(query)) if _has_rows(database) else {}


def _has_rows(database: sqlite3.Connection) -> bool:
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    return "evaluations" in names


def test_a_search_killed_while_it_measures_measures_nothing_twice(in_trained: Command):
    run = next(Path("runs").iterdir())
    asked = ("--pairs", 40, "--budget", 1000, "--seed", 7)  # all that the space has
    for file in run.glob("evaluations.sqlite*"):  # of the tests before: little might be left
        file.unlink()
    command = [sys.executable, "-m", "supernet", "search", *map(str, asked), "--name", "killed"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + DEADLINE_S
        while len(_measured(run)) < 5:
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)
    before = _measured(run)
    folder = run / "search" / "killed"
    assert json.loads((folder / "request.json").read_text())["request"]["pairs"] == 40
    assert not (folder / "result.json").exists()

    result = in_trained("search", *asked, "--name", "killed", "--resume", "--json")
    assert result.code == 0, result.stderr
    assert Path(result.json["files"]["result"]) == folder
    after = _measured(run)
    assert len(after) > len(before)
    assert {key: after[key] for key in before} == before
    again = in_trained("search", *asked, "--name", "whole", "--json")
    assert again.json["predicted"] == result.json["predicted"]
    assert _measured(run) == after


def test_a_search_of_known_pairs_loads_no_torch(in_trained: Command):
    asked = ["search", "--pairs", "12", "--budget", "500"]
    code = (
        "import sys\n"
        "from supernet.cli.main import main\n"
        f"try: main({asked!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print('heavy:', *sorted({'torch', 'torchvision', 'onnx', 'onnxscript'} & {*sys.modules}))"
    )
    in_trained(*asked)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_what_was_learned_is_not_learned_again(
    in_trained: Command, monkeypatch: pytest.MonkeyPatch
):
    asked = ("search", "--pairs", 12, "--budget", 500, "--json")
    first = in_trained(*asked)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("learned")

    monkeypatch.setattr("supernet.workflow.learn.fit_predictor", refuse)
    second = in_trained(*asked)
    assert second.code == 0, second.stderr
    assert second.json["predicted"] == first.json["predicted"]
    other = in_trained(*asked, "--seed", 1)
    assert other.json["error"]["message"].endswith("learned")
    (predictor,) = Path("runs").glob("*/predictor/predictor.json")
    predictor.write_text(predictor.read_text() + " ")
    edited = in_trained(*asked)
    assert edited.json["error"]["message"].endswith("learned")


def test_a_wrong_predictor_is_refused_before_anything_is_measured(
    supernet: Command, predictor: Path, monkeypatch: pytest.MonkeyPatch
):
    def measured(*arguments: object, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr("supernet.search.setup.this_machine", measured)
    result = supernet("search", "--space", "mobilenet_v3", "--predictor", predictor)
    assert result.code == 2
    assert "not of 'mobilenet_v3'" in result.stderr
