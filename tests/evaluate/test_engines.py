"""Conformance of engines: the same rows as in process, and a killed worker costs its task."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from supernet.data import Dataset
from supernet.errors import ConfigError, DataError
from supernet.evaluate import (
    Engine,
    Evaluation,
    EvaluationTask,
    Evaluator,
    InProcess,
    RayActors,
    Workers,
    evaluate_all,
)
from supernet.evaluate.task import tasks_of
from supernet.models import Supernet
from supernet.space import Space, sample, unique

Make = Callable[[], Evaluator]


class Standing(Evaluator):
    """Measures nothing: what it does depends on the subnet; writes down every try."""

    def __init__(self, folder: Path, deadly: str = "", broken: str = "", tries: int = 9) -> None:
        self._folder, self._deadly, self._broken, self._tries = folder, deadly, broken, tries

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        key = task.subnet.key
        with (self._folder / key).open("a") as handle:
            handle.write(".")
        if key == self._broken:
            raise DataError("images are gone")
        if key == self._deadly and len((self._folder / key).read_text()) <= self._tries:
            os.kill(os.getpid(), signal.SIGKILL)
        return Evaluation(key=key, genes=task.genes, top1=1.0, loss=2.0, seconds=0.0)


@pytest.fixture
def tasks(tiny_space: Space, rng: np.random.Generator) -> list[EvaluationTask]:
    return tasks_of(tiny_space, unique(sample(tiny_space, 6, rng)), images=20)


ENGINES: dict[str, Callable[[Make], Engine]] = {
    "in process": InProcess,
    "workers": lambda make: Workers([make, make]),
    "ray": lambda make: RayActors([make, make]),
}


@pytest.fixture(params=["in process", "workers", pytest.param("ray", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> Iterator[Callable[[Make], Engine]]:
    if request.param == "ray":
        pytest.importorskip("ray")
    opened: list[Engine] = []

    def open_engine(make: Make) -> Engine:
        opened.append(ENGINES[request.param](make))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()
    assert multiprocessing.active_children() == []


def made(space: Space, dataset: Dataset) -> Evaluator:
    torch.manual_seed(0)
    return Evaluator(Supernet(space), dataset, calibration_images=50)


def test_the_same_rows_as_in_process(
    engine: Callable[[Make], Engine],
    tiny_space: Space,
    dataset: Dataset,
    tasks: list[EvaluationTask],
) -> None:
    opened = engine(partial(made, tiny_space, dataset))
    found = {row.key: row for row in evaluate_all(opened, tasks)}
    assert set(found) == {task.subnet.key for task in tasks}
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // 2))  # as each of two workers has
    try:
        for task in tasks:
            expected = made(tiny_space, dataset).evaluate(task)
            row = found[task.subnet.key]
            assert (row.genes, row.top1) == (task.genes, expected.top1)
            assert row.loss == pytest.approx(expected.loss, rel=1e-5)
            assert row.seconds > 0
    finally:
        torch.set_num_threads(before)


def test_an_engine_takes_several_submissions(
    engine: Callable[[Make], Engine], tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    opened = engine(partial(Standing, tmp_path))
    assert list(evaluate_all(opened, [])) == []
    for some in (tasks[:2], tasks[2:]):
        assert {row.key for row in evaluate_all(opened, some)} == {task.subnet.key for task in some}


def test_an_error_of_the_evaluator_is_raised(
    engine: Callable[[Make], Engine], tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    opened = engine(partial(Standing, tmp_path, broken=tasks[3].subnet.key))
    with pytest.raises(DataError, match="images are gone"):
        list(evaluate_all(opened, tasks))


@pytest.mark.parametrize(("kills", "top1"), [(1, 1.0), (2, np.nan)])
def test_a_killed_worker_costs_its_task_alone_which_is_tried_once_more(
    tasks: list[EvaluationTask], tmp_path: Path, kills: int, top1: float
) -> None:
    deadly = tasks[2].subnet.key
    with Workers([partial(Standing, tmp_path, deadly=deadly, tries=kills)] * 2) as workers:
        found = {row.key: row for row in evaluate_all(workers, tasks)}
    assert len(found) == len(tasks)
    row = found.pop(deadly)
    assert row.top1 == pytest.approx(top1, nan_ok=True)
    killed = "tried 2 times, and the last time its process was killed (SIGKILL), perhaps for"
    assert row.reason.startswith(killed) == bool(row.reason) == (kills == 2)
    assert {row.top1 for row in found.values()} == {1.0}
    assert len((tmp_path / deadly).read_text()) == 2
    assert multiprocessing.active_children() == []


class Ending(Standing):
    """Ends its process, as one does that cannot import its script."""

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        os._exit(1)


def test_a_worker_that_ends_by_itself_is_an_error(
    tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    with (
        Workers([partial(Ending, tmp_path)] * 2) as workers,
        pytest.raises(ConfigError, match=r"status 1.*__main__"),
    ):
        list(evaluate_all(workers, tasks))
    assert multiprocessing.active_children() == []


def test_who_stops_listening_leaves_nothing_running(
    tasks: list[EvaluationTask], tmp_path: Path
) -> None:
    workers = Workers([partial(Standing, tmp_path)] * 2)
    results = evaluate_all(workers, tasks)
    next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    workers.close()
    assert multiprocessing.active_children() == []


def descendants(parent: BaseProcess) -> list[str]:
    """Workers, and what they are copies of."""
    if not Path("/proc/self/task").exists():
        pytest.skip("the system does not list children")
    todo = [str(parent.pid)]
    for pid in todo:  # grows
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        todo += [child for thread in threads for child in thread.read_text().split()]
    assert len(todo) > 3  # the two workers are among them
    return todo[1:]


def wait_for_the_end_of(pids: list[str]) -> None:
    deadline = time.monotonic() + 30
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _submit(folder: Path, tasks: list[EvaluationTask]) -> None:
    (folder / "begun").touch()
    with Workers([partial(Standing, folder)] * 2) as workers:
        for _ in range(10_000):
            list(evaluate_all(workers, tasks))


@pytest.fixture
def started() -> Iterator[Callable[..., BaseProcess]]:
    """Starts a process, which ends with the test."""
    processes: list[BaseProcess] = []

    def start(*called: Any) -> BaseProcess:
        work, *arguments = called
        context = multiprocessing.get_context("spawn")
        processes.append(context.Process(target=work, args=arguments))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


def test_ctrl_c_leaves_nothing_running(
    tasks: list[EvaluationTask], tmp_path: Path, started: Callable[..., BaseProcess]
) -> None:
    parent = started(_submit, tmp_path, tasks)
    while len(list(tmp_path.iterdir())) < 3:
        assert parent.is_alive(), "ended before it measured"
        time.sleep(0.05)
    pids = descendants(parent)
    assert parent.pid
    os.kill(parent.pid, signal.SIGINT)
    parent.join(30)
    assert parent.exitcode == 1
    wait_for_the_end_of(pids)


def test_threads_share_the_workers(tasks: list[EvaluationTask], tmp_path: Path) -> None:
    with (
        Workers([partial(Standing, tmp_path)] * 2) as workers,
        ThreadPoolExecutor(5) as pool,
    ):
        keys = [row.key for row in pool.map(workers.evaluate, tasks * 4)]
        assert keys == [task.subnet.key for task in tasks * 4]
        assert len(multiprocessing.active_children()) <= 2


class Waiting(Standing):
    """Takes longer than anybody waits."""

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        (self._folder / task.subnet.key).touch()
        time.sleep(600)
        return super().evaluate(task)


def test_closing_tells_those_who_wait(tasks: list[EvaluationTask], tmp_path: Path) -> None:
    workers = Workers([partial(Waiting, tmp_path)] * 2)
    with ThreadPoolExecutor(3) as pool:  # two are measured, one waits for its turn
        futures = [pool.submit(workers.evaluate, task) for task in tasks[:3]]
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        workers.close()
        assert all(np.isnan(future.result(30).top1) for future in futures)
    assert multiprocessing.active_children() == []


def _wait(folder: Path, tasks: list[EvaluationTask]) -> None:
    with Workers([partial(Waiting, folder)] * 2) as workers:
        list(evaluate_all(workers, tasks))


def test_a_killed_parent_leaves_nothing_running(
    tasks: list[EvaluationTask], tmp_path: Path, started: Callable[..., BaseProcess]
) -> None:
    parent = started(_wait, tmp_path, tasks)
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.is_alive(), "ended before it measured"
        time.sleep(0.05)
    pids = descendants(parent)
    parent.kill()
    parent.join(30)
    wait_for_the_end_of(pids)
