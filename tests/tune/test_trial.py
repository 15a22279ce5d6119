"""One trial, really trained on a few images."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.data import Dataset, load_fashion_mnist
from supernet.runs import Run
from supernet.space import Space
from supernet.train import Phase, Recipe, list_checkpoints
from supernet.tune import Report, Task
from supernet.tune.spec import Measured
from supernet.tune.trial import PrunedError, TrainTrial, measured_genes


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_fashion_mnist()
    few = whole.train.take(slice(0, 160))
    dataset = Dataset(
        name="few", classes=whole.classes, train=few, holdout=few, test=few, views=whole.views
    )
    monkeypatch.setattr("supernet.workflow.train.load_dataset", lambda *a, **b: dataset)
    monkeypatch.setattr("supernet.data.load_dataset", lambda *a, **b: dataset)


@pytest.fixture
def task(recipe: Recipe, space: Space, tmp_path: Path) -> Task:
    """2.25 epochs of ten steps in phases that end within epochs."""
    phases = tuple(
        Phase(name=f"phase {i}", epochs=epochs, lr=0.1) for i, epochs in enumerate((0.5, 0.5, 1.25))
    )
    recipe = replace(recipe, batch_size=16, phases=phases)
    return Task(number=3, recipe=recipe, space=space, seed=0, folder=tmp_path / "run")


def test_whole_epochs_are_reported_once_and_the_last_value_is_that_of_the_end(task: Task):
    reports: list[Report] = []
    value = TrainTrial()(task, lambda report: reports.append(report) or True)  # type: ignore[func-returns-value]  # None is not true
    assert [(report.number, report.epoch) for report in reports] == [(3, 1), (3, 2)]
    lines = Run(task.folder).metrics()
    measured = [(line["step"], line["top1_largest"]) for line in lines if "top1_largest" in line]
    assert [step for step, _ in measured] == [10, 20, 22]
    assert [report.value for report in reports] == [top1 for _, top1 in measured[:2]]
    assert value == measured[-1][1]
    assert not any("top1_smallest" in line for line in lines)


def test_a_report_that_is_answered_with_no_ends_the_training(task: Task):
    with pytest.raises(PrunedError):
        TrainTrial()(task, lambda report: report.epoch < 1)
    assert [path.name for path in list_checkpoints(Run(task.folder).checkpoints)] == ["step-5"]


def stopping_after(epoch: int, reports: list[Report]) -> Callable[[Report], bool]:
    def report(one: Report) -> bool:
        reports.append(one)
        if one.epoch > epoch:
            raise KeyboardInterrupt
        return True

    return report


def test_what_was_stopped_goes_on_and_reports_all_again(task: Task, tmp_path: Path):
    never: list[Report] = []
    expected = TrainTrial()(task, stopping_after(9, never))
    again = replace(task, folder=tmp_path / "again", number=8)
    with pytest.raises(KeyboardInterrupt):
        TrainTrial()(again, stopping_after(1, []))
    reports: list[Report] = []
    assert TrainTrial()(again, stopping_after(9, reports)) == expected
    assert [(r.epoch, r.value) for r in reports] == [(r.epoch, r.value) for r in never]
    # of a training that had ended already
    assert TrainTrial()(again, stopping_after(9, [])) == expected


def test_a_checkpoint_that_was_cut_short_is_started_from_anew(task: Task):
    expected = TrainTrial()(task, lambda report: True)
    newest = list_checkpoints(Run(task.folder).checkpoints)[-1]
    (newest / "state.pt").write_bytes(b"cut short")
    assert TrainTrial()(task, lambda report: True) == expected


@pytest.mark.parametrize(("subnet", "count"), [("largest", 1), ("smallest", 1), ("mean", 5)])
def test_what_is_measured_is_what_the_study_says(
    task: Task, monkeypatch: pytest.MonkeyPatch, subnet: Measured, count: int
):
    assert len(measured_genes(task.space, subnet, 0)) == count
    seen: list[str] = []

    def top1(self: Any, one: Any, split: str) -> float:
        assert split == "holdout"
        seen.append(str(one))
        return float(len(seen))

    monkeypatch.setattr("supernet.evaluate.Evaluator.subnet_top1", top1)
    value = TrainTrial(subnet=subnet)(task, lambda report: True)
    assert len(seen) == 3 * count
    assert value == np.mean(range(2 * count + 1, 3 * count + 1))
    assert math.isfinite(value)
