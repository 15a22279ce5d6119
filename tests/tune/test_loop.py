"""Studies over trainings that are stand-ins: resumed, failed, killed, given up."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from supernet.errors import ConfigError, MissingPackageError, StorageError
from supernet.space import Space
from supernet.train import Recipe
from supernet.tune import InProcess, Parameter, Plan, Report, Study, TrialRecord, Workers
from supernet.tune.contract import Executor, Outcome, Train
from supernet.tune.identity import identity_of
from supernet.tune.loop import best_of, run_trials
from supernet.tune.optuna import OptunaProposer
from supernet.tune.samplers import PRUNERS, SAMPLERS
from tests.tune import trains

Opened = Callable[..., OptunaProposer]


def run(
    plan: Plan, proposer: OptunaProposer, executor: Executor, trials: int, folder: Path
) -> list[TrialRecord]:
    run_trials(plan, proposer, executor, trials=trials, folder=folder)
    return proposer.records()


def states(records: Sequence[TrialRecord]) -> list[str]:
    return [record.state for record in records]


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "cmaes"])
def test_every_sampler_finds_what_is_better(plan: Plan, opened: Opened, tmp_path: Path, sampler):
    proposer = opened(sampler=sampler, pruner="none")
    proposer.enqueue_baseline({"recipe.weight_decay": 1e-4})
    records = run(plan, proposer, InProcess(trains.rising), 14, tmp_path)
    assert states(records) == ["complete"] * 14
    assert (records[0].baseline, records[0].value) == (True, 80)
    best = best_of(records)
    assert best is not None
    assert best.value is not None
    assert best.value > 80
    assert records[0].epochs == (1, 2, 3, 4)
    assert list(records[0].curve) == [20, 40, 60, 80]
    assert proposer.importances() == pytest.approx({"recipe.weight_decay": 1})


def test_cmaes_takes_numbers(recipe: Recipe, space: Space, opened: Opened, tmp_path: Path):
    ranges = {
        "recipe.weight_decay": Parameter(low=1e-6, high=1e-1, log=True),
        "recipe.momentum": Parameter(low=0.5, high=0.9),
    }
    plan = Plan(Study(name="two", parameters=ranges), recipe, space)
    records = run(plan, opened(plan, sampler="cmaes"), InProcess(trains.rising), 3, tmp_path)
    assert len(records) == 3


def test_cmaes_says_what_it_cannot_take(opened: Opened):
    with pytest.raises(ConfigError, match="needs two ranges that are always there, found 1"):
        opened(sampler="cmaes")


def test_a_missing_package_names_the_extra(tmp_path: Path):
    code = """
        import sys
        sys.modules["cmaes"] = sys.modules["scipy"] = None
        from supernet.errors import MissingPackageError
        from supernet.space import load_space
        from supernet.train import load_recipe
        from supernet.tune import Parameter, Plan, Study
        from supernet.tune.optuna import OptunaProposer
        from supernet.studies import Storage
        two = {f"recipe.{n}": Parameter(low=0.1, high=0.9) for n in ("ema", "drop_path")}
        plan = Plan(Study(name="two", parameters=two), load_recipe("demo"), load_space("demo"))
        for sampler in ("cmaes", "gp"):
            try:
                OptunaProposer(plan, Storage("sqlite:///study.sqlite"), {}, sampler=sampler)
            except MissingPackageError as error:
                print(error.hint)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == 2 * "pip install 'supernet[optuna]'\n", done.stderr


@pytest.mark.parametrize("pruner", PRUNERS)
def test_pruners_give_up_what_is_poor_and_never_the_recipe_as_it_is(
    plan: Plan, opened: Opened, tmp_path: Path, pruner: str
):
    proposer = opened(pruner=pruner, sampler="random")
    proposer.enqueue_baseline({"recipe.weight_decay": 1e-6})  # poor
    records = run(plan, proposer, InProcess(trains.rising), 20, tmp_path)
    assert records[0].state == "complete"
    assert records[0].baseline
    given_up = [record for record in records if record.state == "pruned"]
    assert bool(given_up) == (pruner != "none")
    assert all(record.value is None and len(record.curve) < 4 for record in given_up)


def test_what_is_at_its_end_is_complete(plan: Plan, opened: Opened, tmp_path: Path):
    proposer = opened(pruner="asha", sampler="random", grace_epochs=4)
    records = run(plan, proposer, InProcess(trains.rising), 8, tmp_path)
    assert states(records) == ["complete"] * 8


def test_grace_is_kept(plan: Plan, opened: Opened, tmp_path: Path):
    proposer = opened(pruner="asha", sampler="random", grace_epochs=3)
    records = run(plan, proposer, InProcess(trains.rising), 12, tmp_path)
    assert {len(record.curve) for record in records} == {3, 4}


def test_the_same_again_goes_on(plan: Plan, opened: Opened, tmp_path: Path):
    first = run(plan, opened(), InProcess(trains.rising), 3, tmp_path)
    again = run(plan, opened(), InProcess(trains.rising), 6, tmp_path)
    assert again[:3] == first
    assert len({record.values["recipe.weight_decay"] for record in again}) == 6
    assert run(plan, opened(), InProcess(trains.failing), 6, tmp_path) == again


def test_a_database_holds_the_same(plan: Plan, opened: Opened, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/study.sqlite"
    asked = {"sampler": "random", "pruner": "none", "seed": 3}
    kept = run(plan, opened(storage=url, **asked), InProcess(trains.rising), 3, tmp_path)
    assert opened(storage=url).records() == kept
    journal = run(plan, opened(**asked), InProcess(trains.rising), 3, tmp_path)
    assert [replace(one, seconds=0) for one in journal] == [replace(o, seconds=0) for o in kept]


@pytest.mark.parametrize("form", ["sqlite:///{}/a.db", "journal:{}/a.journal"])
def test_a_study_of_something_else_is_refused(
    study: Study, recipe: Recipe, space: Space, opened: Opened, tmp_path: Path, form: str
):
    storage = form.format(tmp_path)
    opened(storage=storage)
    narrower = Parameter(low=1e-6, high=1e-2, log=True)
    other = replace(study, parameters={"recipe.weight_decay": narrower})
    with pytest.raises(ConfigError) as error:
        opened(Plan(other, recipe, space), storage=storage)
    assert error.value.problems == [
        f"study 'decay' in {storage}: study.parameters.recipe.weight_decay.high was 0.1, is 0.01"
    ]
    with pytest.raises(ConfigError, match=r"recipe\.batch_size was 64, is 32"):
        opened(Plan(study, replace(recipe, batch_size=32), space), storage=storage)
    opened(Plan(replace(other, name="beside"), recipe, space), storage=storage)


@pytest.mark.parametrize(("direction", "trials"), [("maximize", 1), ("minimize", 0)])
def test_a_study_that_optuna_made_is_refused(
    plan: Plan, opened: Opened, tmp_path: Path, direction: Any, trials: int
):
    url = f"sqlite:///{tmp_path}/study.sqlite"
    theirs = optuna.create_study(storage=url, study_name="decay", direction=direction)
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=trials)
    with pytest.raises(ConfigError, match="was not made by supernet tune"):
        opened(storage=url)


def test_a_locked_storage_is_told(
    plan: Plan, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("supernet.studies._WAIT_S", 0.1)
    url = f"sqlite:///{tmp_path}/study.sqlite"
    proposer = opened(storage=url)
    with sqlite3.connect(tmp_path / "study.sqlite") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="another program keeps it locked"):
            opened(storage=url)
        with pytest.raises(StorageError, match="another program keeps it locked"):
            run(plan, proposer, InProcess(trains.rising), 2, tmp_path)
    other.close()


@pytest.mark.parametrize("form", ["sqlite:///{}/kept", "journal:{}/kept"])
def test_a_storage_that_is_gone_is_told(plan: Plan, opened: Opened, tmp_path: Path, form: str):
    def train(task: Any, report: Any) -> float:
        (tmp_path / "kept").unlink()
        return trains.rising(task, report)

    with pytest.raises(StorageError, match="its file is not there any more"):
        run(plan, opened(storage=form.format(tmp_path)), InProcess(train), 3, tmp_path)


@pytest.mark.parametrize(
    ("storage", "error", "text"),
    [
        ("study.db", ConfigError, "expected a URL such as sqlite:///tune.db"),
        ("nosuch://a/b", ConfigError, "no such kind of database"),
        ("sqlite:////nowhere/at/all.db", StorageError, "the folder /nowhere/at is not there"),
        ("journal:/nowhere/a.log", StorageError, "the folder /nowhere is not there"),
        ("postgresql://nobody@localhost:1/none", MissingPackageError, "is not installed"),
    ],
)
def test_a_storage_that_cannot_be_is_told(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, storage: str, error: Any, text: str
):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(error, match=text):
        opened(storage=storage)


@pytest.mark.parametrize(
    ("module", "package"), [("psycopg", "psycopg[binary]"), ("psycopg2", "psycopg2-binary")]
)
def test_the_package_that_is_missing_for_a_database_is_named(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, module: str, package: str
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError) as error:
        opened(storage=f"postgresql+{module}://nobody@localhost:1/none")
    assert error.value.hint == f"pip install '{package}'"


def test_a_password_is_never_shown(opened: Opened):
    storage = "postgresql://me:secret@localhost:1/none"
    with pytest.raises((MissingPackageError, StorageError)) as error:
        opened(storage=storage)
    assert "postgresql://me:***@localhost:1/none" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_storage_is_told(opened: Opened, tmp_path: Path):
    (tmp_path / "text").write_text("a line\nanother\n")
    for start in ("sqlite:///", "journal:"):
        with pytest.raises(StorageError, match=r"text: cannot be reached"):
            opened(storage=f"{start}{tmp_path}/text")


def test_a_trial_that_fails_is_recorded_and_the_study_goes_on(
    plan: Plan, opened: Opened, tmp_path: Path
):
    proposer = opened(sampler="random", pruner="none")
    records = run(plan, proposer, InProcess(trains.nan_at_large), 16, tmp_path)
    assert len(records) == 16
    reasons = {record.reason for record in records if record.state == "failed"}
    assert reasons == {"its accuracy is nan", "ValueError: too large in two lines"}
    assert "complete" in states(records)


def test_values_that_break_a_rule_together_are_a_failed_trial(
    recipe: Recipe, space: Space, opened: Opened, tmp_path: Path
):
    ends = Parameter(low=0.05, high=0.15)
    study = Study(name="ends", parameters={"recipe.phases.1.lr_end": ends})
    plan = Plan(study, recipe, space)
    records = run(plan, opened(plan, sampler="random"), InProcess(trains.rising), 10, tmp_path)
    failed = [record for record in records if record.state == "failed"]
    assert failed
    assert all("lr_end: must be from 0 to lr" in record.reason for record in failed)
    assert len(records) == 10


def test_what_is_proposed_again_is_not_trained_again(
    recipe: Recipe, space: Space, opened: Opened, tmp_path: Path
):
    study = Study(name="few", parameters={"recipe.batch_size": Parameter(choices=(16, 32, 64))})
    plan = Plan(study, recipe, space)
    records = run(plan, opened(plan, pruner="none"), InProcess(trains.rising), 30, tmp_path)
    assert sorted(str(r.values["recipe.batch_size"]) for r in records) == ["16", "32", "64"]


def test_a_full_disk_ends_the_study(plan: Plan, opened: Opened, tmp_path: Path):
    proposer = opened()
    with pytest.raises(StorageError, match="no space is left"):
        run(plan, proposer, InProcess(trains.full_disk), 3, tmp_path)
    assert states(proposer.records()) == ["lost"]


def test_a_study_that_is_stopped_again_and_again_keeps_its_baseline(
    plan: Plan, opened: Opened, tmp_path: Path
):
    proposer = opened(pruner="none")
    values, _ = plan.baseline()
    assert values is not None
    proposer.enqueue_baseline(values)
    for _ in range(3):
        with pytest.raises(StorageError, match="no space is left"):
            run(plan, proposer, InProcess(trains.full_disk), 2, tmp_path)
    records = run(plan, proposer, InProcess(trains.rising), 2, tmp_path)
    assert states(records) == ["lost", "lost", "lost", "complete", "complete"]
    assert [record.baseline for record in records] == [True] * 4 + [False]
    assert [record.folder for record in records[:4]] == [0] * 4
    assert [record.retried_as for record in records] == [1, 2, 3, None, None]


# ---------------------------------------------------------------- processes


def workers(train: Train, count: int = 2) -> Workers:
    return Workers([train] * count)


@pytest.mark.slow
def test_processes_train_at_the_same_time_and_know_of_each_other(
    plan: Plan, opened: Opened, tmp_path: Path
):
    proposer = opened(pruner="asha")
    records = run(plan, proposer, workers(trains.rising), 5, tmp_path)
    assert len(records) == 5
    assert set(states(records)) <= {"complete", "pruned"}


@pytest.mark.slow
def test_a_worker_that_was_killed_costs_its_trial_which_is_tried_again(
    plan: Plan, opened: Opened, tmp_path: Path
):
    proposer = opened(pruner="none")
    records = run(plan, proposer, workers(trains.killed_once), 2, tmp_path)
    lost = [record for record in records if record.state == "lost"]
    whole = [record for record in records if record.state == "complete"]
    assert len(whole) == 2
    assert {record.retried_as for record in lost} == {record.number for record in whole}
    assert {record.folder for record in whole} == {record.number for record in lost}
    assert all("was killed (SIGKILL)" in record.reason for record in lost)
    assert proposer.count() == 2


@pytest.mark.slow
def test_a_trial_that_kills_its_process_twice_has_failed(
    plan: Plan, opened: Opened, tmp_path: Path
):
    records = run(plan, opened(), workers(trains.killed_always, 1), 1, tmp_path)
    assert states(records) == ["lost", "failed"]


def test_a_process_that_ends_by_itself_is_a_failed_trial(
    plan: Plan, opened: Opened, tmp_path: Path
):
    records = run(plan, opened(), workers(trains.ending, 1), 1, tmp_path)
    assert states(records) == ["failed"]
    assert "ended by itself (status 3" in records[0].reason


def test_a_full_disk_in_a_process_ends_the_study(plan: Plan, opened: Opened, tmp_path: Path):
    with pytest.raises(StorageError, match="no space is left"):
        run(plan, opened(), workers(trains.full_disk, 1), 3, tmp_path)


SLOW = """
import sys
from pathlib import Path
from supernet.space import load_space
from supernet.train import load_recipe
from supernet.tune import InProcess, Parameter, Plan, Study, Workers
from supernet.tune.loop import run_trials
from supernet.tune.optuna import OptunaProposer
from supernet.tune.samplers import PRUNERS, SAMPLERS
from supernet.studies import Storage
from tests.tune import trains

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    study = Study(name="slow", parameters={"recipe.ema": Parameter(low=0, high=0.9)})
    plan = Plan(study, load_recipe("demo"), load_space("demo"))
    proposer = OptunaProposer(plan, Storage(f"journal:{folder}/study.journal"), {})
    executor = Workers([trains.slow] * 2) if sys.argv[2] == "2" else InProcess(trains.slow)
    run_trials(plan, proposer, executor, trials=4, folder=folder / "trials")
"""


@pytest.mark.parametrize(
    ("number", "count"),
    [
        (signal.SIGKILL, 2),
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.slow),
    ],
)
def test_whatever_ends_the_study_nothing_is_left_running_and_nothing_is_lost(
    tmp_path: Path, number: signal.Signals, count: int
):
    (tmp_path / "slow.py").write_text(SLOW)
    root = Path(__file__).parents[2]
    driver = subprocess.Popen(
        [sys.executable, "slow.py", str(tmp_path), str(count)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
    )
    notes = [tmp_path / "trials" / str(i) / "pid" for i in range(count)]
    wait_until(lambda: all(note.exists() and note.read_text() for note in notes))
    pids = [int(note.read_text()) for note in notes]
    time.sleep(0.5)  # so that the reports are in
    driver.send_signal(number)
    driver.communicate(timeout=60)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    study = Study(name="slow", parameters={"recipe.ema": Parameter(low=0, high=0.9)})
    from supernet.space import load_space
    from supernet.studies import Storage
    from supernet.train import load_recipe

    plan = Plan(study, load_recipe("demo"), load_space("demo"))
    proposer = OptunaProposer(plan, Storage(f"journal:{tmp_path}/study.journal"), {})
    records = proposer.records()
    assert states(records) == ["lost"] * count
    assert all(record.curve == (50.0,) for record in records)
    assert proposer.count() == 0
    again = [proposer.ask() for _ in range(count)]
    assert [trial.folder for trial in again if trial] == list(range(count))
    assert [trial.values for trial in again if trial] == [record.values for record in records]


def wait_until(reached: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_study_that_another_process_is_at_is_left_alone(plan: Plan, opened: Opened):
    one = opened()
    first = one.ask()
    other = opened()
    assert states(other.records()) == ["running"]
    second = other.ask()
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    assert one.report(Report(number=0, epoch=1, value=10.0))
    one.tell(Outcome(number=0, state="complete", value=10.0))
    assert states(other.records()) == ["complete", "running"]


def test_an_identity_says_what_trials_depend_on(plan: Plan):
    known = identity_of(plan, data="some", images=9, seed=0)
    assert {"study", "recipe", "space", "data", "images", "seed"} == set(known)
    assert "sampler" not in str(known)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_that_stops_and_goes_on_asks_for_the_same(
    plan: Plan, opened: Opened, tmp_path: Path, sampler: str
):
    def trials(name: str, *counts: int) -> list[TrialRecord]:
        folder = tmp_path / name
        folder.mkdir()
        for count in counts:
            proposer = opened(storage=f"journal:{folder}/study.journal", sampler=sampler)
            records = run(plan, proposer, InProcess(trains.rising), count, folder)
        return records

    at_once, in_parts = trials("one", 14), trials("parts", 5, 14)
    assert [t.values for t in in_parts] == [t.values for t in at_once]
