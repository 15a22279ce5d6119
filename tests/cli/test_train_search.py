"""Recipes that search by gradient, from the command line, on real images."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from supernet.latency import LatencyTable, store_table
from supernet.runs import Run
from supernet.search import load_result
from supernet.space import load_space
from tests.cli.conftest import Command, Result
from tests.train.toy_latency import table_of

pytestmark = pytest.mark.cli

RECIPE = """
format: supernet.recipe
version: 1
name: searching
batch_size: 64
phases:
  - name: found
    epochs: 0.3
    lr: 0.1
    elastic: {kernel: 0, depth: 0, expand: 0, width: 0}
    search: {method: METHOD, lr: 0.3, weight: 1.0, warmup: 0.1}
"""


@pytest.fixture
def searching(supernet: Command, tiny_yaml: Path) -> Command:
    """The command where a recipe that searches and the table of ``toy`` lie."""
    space = replace(load_space(tiny_yaml / "tiny.yaml"), in_channels=1, num_classes=10)
    store_table(table_of(space))
    (tiny_yaml / "search.yaml").write_text(RECIPE.replace("METHOD", "proxyless"))
    return supernet


def train(command: Command, *more: object, recipe: str = "search.yaml") -> Result:
    return command("train", "--space", "tiny.yaml", "--recipe", recipe, "--run", "run", *more)


def limits() -> tuple[str, ...]:
    return ("--target", "toy", "--max-latency-ms", "0.24")


def test_a_recipe_that_searches_ends_in_a_result_that_all_commands_know(searching: Command):
    done = train(searching, *limits(), "--json")
    assert done.code == 0, done.stderr
    (found,) = done.json["searches"]
    assert found["phase"] == "found"
    assert 0.98 * 0.24 <= found["latency_ms"] <= 0.24
    assert "leaves out no subnet" not in done.stderr
    assert "most probable subnet of phase 'found'" in done.stdout
    saved = load_result(Path("run/search/found"))
    assert str(saved.subnet) == found["subnet"]
    assert saved.request["method"] == "proxyless"
    assert (saved.result.columns["latency@toy"] <= 0.24).all()
    likely = saved.result.columns["log_probability"]
    near = saved.result.columns["latency@toy"] >= 0.98 * 0.24
    assert likely[saved.chosen] == likely[near].max()
    shown = searching("results", "show", "found", "--run", "run")
    assert shown.code == 0, shown.stderr
    assert found["subnet"] in shown.stdout
    file = found["file"]
    exported = searching("export", file, "--onnx", "--run", "run", "--json")
    assert exported.code == 0, exported.stderr
    assert exported.json["top1"] > 10
    page = Path("run/report.html").read_text()
    assert "Probabilities of the choices" in page
    assert "stage1.block2.kernel" in page


def test_a_limit_that_all_meet_is_told(searching: Command) -> None:
    wide = train(searching, "--target", "toy", "--max-latency-ms", 1e4, "--epochs", 0.05)
    assert wide.code == 0, wide.stderr
    found = re.search(
        r"phase 'found': the limit of 10000 ms leaves out no subnet: the slowest takes "
        r"(0\.\d+) ms on toy",
        wide.stderr,
    )
    assert found
    taken = load_result(Path("run/search/found"))
    assert (taken.result.columns["latency@toy"] <= float(found[1]) * 1.01).all()


@pytest.mark.slow
def test_a_run_killed_and_resumed_ends_with_the_same_subnet(searching: Command):
    command = [sys.executable, "-m", "supernet", "train", "--space", "tiny.yaml", "--recipe"]
    command += ["search.yaml", "--epochs", "3", "--batch-size", "500", *limits()]
    whole, killed = Path("whole"), Path("killed")
    subprocess.run([*command, "--run", str(whole)], check=True, capture_output=True, timeout=100)
    process = subprocess.Popen([*command, "--run", str(killed)], stdout=subprocess.DEVNULL)
    metrics = killed / "metrics.jsonl"
    until = time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count("\n") >= 1):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "search" / "found" / "result.json").exists()
    resume = [*command[:4], "--resume", "--run", str(killed)]
    subprocess.run(resume, check=True, capture_output=True, timeout=100)
    assert Run(killed).learned() == Run(whole).learned()
    first, second = (load_result(run / "search" / "found") for run in (whole, killed))
    assert first.subnet == second.subnet
    assert (first.result.genes == second.result.genes).all()
    for name, values in first.result.columns.items():
        assert np.array_equal(values, second.result.columns[name]), name


@pytest.mark.slow
def test_a_finished_run_is_not_searched_again(searching: Command):
    assert train(searching, *limits()).code == 0
    before = Path("run/search/found/result.json").read_text()
    again = searching("train", "--resume", "--run", "run")
    assert again.code == 0, again.stderr
    assert Path("run/search/found/result.json").read_text() == before
    Path("run/search/found/result.json").unlink()  # as if killed before it was written
    assert searching("train", "--resume", "--run", "run").code == 0
    made = json.loads(Path("run/search/found/result.json").read_text())
    known = json.loads(before)
    assert {**made, "created": 0, "seconds": 0} == {**known, "created": 0, "seconds": 0}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "phase 'found' searches for a subnet within a latency, and no target was named"),
        (("--target", "toy"), "and no limit was named"),
        (("--max-latency-ms", "1"), "and no target was named"),
        (("--target", "tou", "--max-latency-ms", "1"), "unknown target 'tou'"),
        (("--target", "empty.json", "--max-latency-ms", "1"), "target 'empty' has no row for"),
        (("--target", "toy", "--max-latency-ms", "0.01"), "within 0.01 ms; the least is"),
        (("--recipe", "demo", "--target", "toy"), "recipe 'demo' has no phase that searches"),
    ],
)
def test_what_cannot_be_searched_for_is_said_before_anything_is_trained(
    searching: Command, more: tuple[str, ...], says: str
):
    LatencyTable(target="empty", device={}, rows={}).save(Path("empty.json"))
    done = train(searching, *more)
    assert done.code in (2, 4)  # bad input, or no subnet within the limit
    assert says in done.stderr
    assert not Path("run").exists()


def test_a_phase_that_leaves_nothing_to_choose_is_refused(searching: Command):
    text = Path("search.yaml").read_text().replace("kernel: 0, depth: 0, expand: 0, width: 0", "")
    Path("search.yaml").write_text(text)
    done = train(searching, *limits())
    assert done.code == 2
    assert "phase 'found' searches, and space 'tiny' leaves it one subnet" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("method: proxyless", "method: darts", "phases[0].search.method: must be one of proxyless"),
        ("weight: 1.0", "wieght: 1.0", "phases[0].search.wieght: unknown key"),
        ("warmup: 0.1", "warmup: 1", "phases[0].search.warmup: must be from 0 to below 1"),
    ],
)
def test_a_recipe_that_says_nonsense_names_the_line(
    searching: Command, old: str, new: str, says: str
):
    text = Path("search.yaml").read_text().replace(old, new)
    Path("search.yaml").write_text(text)
    done = train(searching, *limits())
    assert done.code == 2
    assert says in done.stderr


@pytest.mark.slow
def test_a_run_keeps_the_table_it_was_started_with(searching: Command):
    assert train(searching, *limits()).code == 0
    Path("run/search/found/result.json").unlink()
    Path("home/latency_tables/toy.json").unlink()
    done = searching("train", "--resume", "--run", "run", "--json")
    assert done.code == 0, done.stderr
    assert done.json["searches"][0]["latency_ms"] <= 0.24
