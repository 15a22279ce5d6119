"""Actors of Ray: what dies is replaced, and nothing stays. Ray itself is slow to start."""

import builtins
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, MissingPackageError
from supernet.evaluate import EvaluationTask, RayActors, evaluate_all
from supernet.evaluate.task import tasks_of
from supernet.space import Space, sample, unique
from tests.evaluate.test_engines import Standing, Waiting

PROCESSES = Path("/proc")
KILLED = (
    r"tried 2 times, and the last time its actor \(process \d+ on [\d.]+\) was killed or crashed; "
    r".* for want of memory \(`dmesg` on the node tells; fewer --workers"
)


@pytest.fixture
def tasks(tiny_space: Space, rng: np.random.Generator) -> list[EvaluationTask]:
    return tasks_of(tiny_space, unique(sample(tiny_space, 6, rng)), images=20)


def started(pid: int) -> list[int]:
    """All processes that one has started, and those that these have."""
    if not (PROCESSES / "self/task").exists():
        pytest.skip("the system does not list processes")
    parents: dict[int, list[int]] = {}
    for path in PROCESSES.glob("[0-9]*/stat"):
        try:
            number, *_ = path.read_text().split()
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):  # it has ended
            continue
        parents.setdefault(parent, []).append(int(number))
    found = parents.get(pid, [])
    return found + [other for child in found for other in started(child)]


def alive(pids: list[int], seconds: float = 10) -> list[int]:
    """Those that still run some time later."""
    for _ in range(int(10 * seconds)):
        left = [pid for pid in pids if runs(pid)]
        if not left:
            return []
        time.sleep(0.1)
    return left


def command(pid: int) -> str:
    """The program of a process, without its folder."""
    try:
        return (PROCESSES / str(pid) / "comm").read_text()
    except OSError:
        return ""


def runs(pid: int) -> bool:
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def ray() -> Iterator[Any]:
    """The package; whatever a test starts has ended after it."""
    package = pytest.importorskip("ray")
    yield package
    assert not package.is_initialized()
    left = [pid for pid in started(os.getpid()) if "ray" in command(pid)]
    assert alive(left) == []


def test_a_missing_package_names_the_extra(
    tasks: list[EvaluationTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without_ray(name: str, *rest: Any, **known: Any) -> Any:
        if name.partition(".")[0] == "ray":
            raise ImportError(name)
        return imported(name, *rest, **known)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(MissingPackageError, match="package ray, which is not installed") as error:
        RayActors([partial(Standing, tmp_path)])
    assert error.value.hint == "pip install 'supernet[ray]'"


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "top1"), [(1, 1.0), (2, np.nan)])
def test_a_killed_actor_costs_its_task_alone_which_is_tried_once_more(
    ray: Any, tasks: list[EvaluationTask], tmp_path: Path, kills: int, top1: float
) -> None:
    deadly = tasks[2].subnet.key
    with RayActors([partial(Standing, tmp_path, deadly=deadly, tries=kills)] * 2) as actors:
        found = {row.key: row for row in evaluate_all(actors, tasks)}
    assert len(found) == len(tasks)
    row = found.pop(deadly)
    assert row.top1 == pytest.approx(top1, nan_ok=True)
    assert bool(re.match(KILLED, row.reason)) == bool(row.reason) == (kills == 2)
    assert {row.top1 for row in found.values()} == {1.0}
    assert len((tmp_path / deadly).read_text()) == 2


@pytest.mark.slow
def test_an_actor_that_cannot_start_is_an_error(
    ray: Any, tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    with (
        RayActors([Unreadable(tmp_path)]) as actors,
        pytest.raises(ConfigError, match=r"could not start: .*there is no such package") as error,
    ):
        list(evaluate_all(actors, tasks))
    assert "every node needs the same" in error.value.hint


def _unpickled() -> Any:
    raise ModuleNotFoundError("there is no such package")


class Unreadable:
    """Makes nothing: it cannot be unpickled elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> Any:
        raise AssertionError

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return _unpickled, ()


@pytest.mark.slow
def test_closing_tells_those_who_wait_and_what_is_closed_may_be_used_again(
    ray: Any, tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    actors = RayActors([partial(Waiting, tmp_path)] * 2)
    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:  # two are measured, one waits for its turn
            futures = [pool.submit(actors.evaluate, task) for task in tasks[:3]]
            while len(list(tmp_path.iterdir())) < 2:
                time.sleep(0.05)
            actors.close()
            assert all(np.isnan(future.result(30).top1) for future in futures)
        for path in tmp_path.iterdir():
            path.unlink()


@pytest.mark.slow
def test_an_engine_works_beside_another_that_holds_all_processors(
    ray: Any, tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    make = partial(Standing, tmp_path)
    try:
        with RayActors([make]) as one, RayActors([make]) as other:
            for engine in (one, other, one):
                assert engine.evaluate(tasks[0]).top1 == 1.0
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_more_actors_than_a_cluster_has_processors_are_refused(ray: Any, tmp_path: Path) -> None:
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.raises(ConfigError, match=r"2 actors need a processor each, .* has 1"):
            RayActors([partial(Standing, tmp_path)] * 2)
        assert ray.is_initialized()  # it is not ours
        with pytest.raises(ConfigError, match="cuda was asked for, and the Ray cluster has no GPU"):
            RayActors([partial(Standing, tmp_path)], device="cuda")
    finally:
        ray.shutdown()


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", "refused"), ("here", "expected HOST:PORT or auto"), ("auto", "")],
)
def test_a_cluster_that_is_not_there_is_an_error(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where `auto` looks for one
    with pytest.raises(ConfigError, match=rf"joined at {address}: .*{reason}") as error:
        RayActors([partial(Standing, tmp_path)], address=address)
    assert "ray start --head" in error.value.hint


def test_a_node_that_starts_too_slowly_is_an_error(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(**_: Any) -> None:
        raise Exception("The current node timed out during startup")  # noqa: TRY002  # as Ray does

    monkeypatch.setattr(ray, "init", slow)
    with pytest.raises(ConfigError, match="Ray did not start here: The current node timed out"):
        RayActors([partial(Standing, tmp_path)])


def _submit(folder: Path, tasks: list[EvaluationTask]) -> None:
    with RayActors([partial(Standing, folder)] * 2) as actors:
        for _ in range(10_000):
            list(evaluate_all(actors, tasks))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_ends_the_driver_leaves_nothing_running(
    ray: Any, tasks: list[EvaluationTask], tmp_path: Path, how: signal.Signals
) -> None:
    driver = multiprocessing.get_context("spawn").Process(target=_submit, args=(tmp_path, tasks))
    driver.start()
    while len(list(tmp_path.iterdir())) < 3:
        assert driver.is_alive(), "ended before it measured"
        time.sleep(0.05)
    assert driver.pid
    pids = started(driver.pid)
    assert len(pids) > 4  # Ray and two actors
    os.kill(driver.pid, how)
    driver.join(60)
    assert driver.exitcode == (1 if how is signal.SIGINT else -signal.SIGKILL)
    assert alive([pid for pid in pids if "_Actor" in command(pid)]) == []
    assert alive(pids, 10 if how is signal.SIGINT else 120) == []  # agents of Ray look each minute
