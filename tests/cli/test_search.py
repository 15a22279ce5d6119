"""Several targets and limits, narrowed spaces, searches without a run, kept results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.predict import AccuracyPairs, fit_predictor
from supernet.search import load_result
from supernet.space import SubnetFile, load_space, macs_of, sample

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

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
        (["--max-latency-ms", "phone=3"], 2, "unknown cost 'latency@phone'"),
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


def test_finalists_are_measured_before_the_winner_is_named(in_trained: Command):
    result = in_trained("search", "--pairs", 12, "--budget", 1000, "--confirm", 2, "--json")
    assert result.code == 0, result.stderr
    confirmed = result.json["confirmed"]
    assert len(confirmed) == 2
    assert all({"top1", "latency_ms"} <= set(one) for one in confirmed)
    file = SubnetFile.load(Path(result.json["files"]["subnet"]))
    assert file.measured["top1"] == confirmed[0]["top1"]
    both = [one for one in confirmed if one["within"]] or confirmed
    assert confirmed[0]["top1"] == max(one["top1"] for one in both)
