"""Searches and studies on a Ray cluster of two raylets; whose command is killed loses nothing.

Ray is slow to start: the cluster is that of all tests here.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray.tune")
pytest.importorskip("optuna")

from supernet.runs import Run, find_run
from supernet.search import load_result
from tests.cli.test_tune import STUDY, TUNE
from tests.evaluate.test_ray import alive, command, started

Command = Callable[..., Any]

pytestmark = [pytest.mark.cli, pytest.mark.slow, pytest.mark.timeout(1200)]

SEARCH: tuple[object, ...] = (
    *("search", "--objective", "macs", "--json", "--ladder", "150,500,all", "--budget", 12),
    *("--seed", 4, "--device", "cpu"),
)
DEADLINE_S = 600.0
AGENTS = ("ray::IDLE", "ray::Dashboard", "ray::RuntimeEnv")  # of a raylet, with nothing to do
TOLD = 8  # characters of the name of a node


@pytest.fixture(scope="module")
def cluster(trained: Path) -> Iterator[Any]:
    """Two raylets of a processor each; nothing of them stays."""
    from ray.cluster_utils import Cluster

    from supernet.evaluate.ray_cluster import load_ray

    load_ray()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERNET_HOME", str(trained / "home"))  # actors have the raylet's
        begun = Cluster()
        try:
            begun.add_node(num_cpus=1, include_dashboard=False, temp_dir=folder)
            begun.add_node(num_cpus=1)
            yield begun
        finally:
            pids = rays()
            begun.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
    assert alive(pids) == []


def rays() -> list[int]:
    """Processes of Ray that this one has started."""
    return [pid for pid in started(os.getpid()) if "ray" in command(pid) or "gcs" in command(pid)]


def at_work() -> list[int]:
    """Those of them that are actors."""
    commands = {pid: command(pid) for pid in rays()}
    return [pid for pid, name in commands.items() if "::" in name and not name.startswith(AGENTS)]


def found(answer: Any) -> dict[str, Any]:
    """What a search ended with: scored subnets, their figures, the best."""
    assert answer.code == 0, answer.stderr
    result = load_result(Path(answer.json["files"]["result"])).result
    best = {"best": result.genes[result.best()], "front": result.front}
    return {"genes": result.genes, **result.columns, **best}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def evaluations(run: Run) -> dict[tuple[int, str], float]:
    """Of a run: how long each took, which no second measurement takes to the last digit."""
    if not run.evidence.exists():
        return {}
    with sqlite3.connect(run.evidence, timeout=60) as database:
        try:
            rows = database.execute("SELECT condition, subnet, seconds FROM evaluations")
            return {(condition, subnet): seconds for condition, subnet, seconds in rows}
        except sqlite3.OperationalError:  # it is being made
            return {}


def killed(asked: tuple[object, ...], reached: Callable[[], bool]) -> None:
    """Start a command, and kill -9 it as soon as something is reached; its actors end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "supernet", *map(str, asked)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + DEADLINE_S
        while not reached():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.01)
        actors = at_work()
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert actors
    assert alive(actors, 30) == []


def test_two_nodes_measure_one_search_and_find_what_this_machine_does(
    in_trained: Command, cluster: Any
) -> None:
    run = find_run(None)
    here = found(in_trained(*SEARCH, "--workers", 2))
    run.evidence.unlink()
    answer = in_trained(
        *SEARCH, "--workers", 2, "--engine", "ray", "--ray-address", cluster.address
    )
    assert_same(found(answer), here)
    told = re.search(r"note: subnets measured on each node of Ray: (.*)", answer.stderr)
    assert told, answer.stderr
    counts = {node: int(count) for node, count in re.findall(r"\((\w+)\) (\d+)", told[1])}
    assert counts.keys() == {node.node_id[:TOLD] for node in cluster.list_all_nodes()}
    assert min(counts.values()) > 0
    assert sum(counts.values()) == len(evaluations(run))


def test_a_killed_search_goes_on_and_is_the_one_in_process_that_nobody_stopped(
    in_trained: Command, cluster: Any
) -> None:
    run = find_run(None)
    run.evidence.unlink(missing_ok=True)
    whole = found(in_trained(*SEARCH))
    run.evidence.unlink()
    asked = (*SEARCH, "--name", "killed", "--engine", "ray", "--ray-address", cluster.address)
    journal = run.searches / "killed" / "measured.jsonl"
    killed(asked, lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 6)
    finished, kept = journal.read_bytes().count(b"\n"), evaluations(run)
    assert 6 <= finished <= len(kept)
    assert_same(found(in_trained(*asked, "--resume")), whole)
    assert kept.items() <= evaluations(run).items()


def test_a_killed_search_of_ray_tune_goes_on_and_measures_nothing_again(
    in_trained: Command, cluster: Any
) -> None:
    run = find_run(None)
    run.evidence.unlink(missing_ok=True)
    tune = ("--engine", "ray-tune", "--ray-address", cluster.address)
    whole = found(in_trained(*SEARCH, *tune))
    run.evidence.unlink()
    asked = (*SEARCH, "--name", "tuned", *tune)
    killed(asked, lambda: len(evaluations(run)) >= 6)
    kept = evaluations(run)
    assert_same(found(in_trained(*asked, "--resume")), whole)
    assert 6 <= len(kept) < len(evaluations(run))
    assert kept.items() <= evaluations(run).items()


def test_a_killed_study_of_ray_tune_goes_on_where_it_was(
    supernet: Command, tiny_yaml: Path, cluster: Any
) -> None:
    """Killed within the second trial: the first is as it was, the second goes on."""
    (tiny_yaml / "tune.yaml").write_text(STUDY)
    asked: tuple[object, ...] = (
        *(*TUNE, "--confirm", 0, "--epochs", 2, "--trials", 2, "--pruner", "none", "--json"),
        *("--engine", "ray-tune", "--ray-address", cluster.address),
    )
    trials = tiny_yaml / "studies" / "rates" / "trials"
    killed(asked, lambda: bool(list(trials.glob("1/checkpoints/step-*/state.pt"))))
    before = {path: path.stat().st_mtime_ns for path in trials.glob("0/*") if path.is_file()}
    assert before
    done = supernet(*asked)
    assert done.code == 0, done.stderr
    first, lost, *rest = done.json["trials"]
    assert (first["state"], lost["state"]) == ("complete", "lost")
    assert [trial["folder"] for trial in rest] == [1]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    never = supernet(*asked, "--folder", "never").json["trials"]
    assert [(t["values"], t["value"], t["curve"]) for t in (first, *rest)] == [
        (t["values"], t["value"], t["curve"]) for t in never
    ]
