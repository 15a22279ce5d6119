"""Studies that Ray Tune runs keep the promises of those that we run. Ray is slow to start."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import supernet
from supernet.errors import ConfigError, MissingPackageError, StorageError
from supernet.space import Space
from supernet.train import Recipe
from supernet.tune import Parameter, Plan, Study, TrialRecord
from supernet.tune.contract import Outcome, Report, Task, Train
from supernet.tune.line import Line
from supernet.tune.loop import run_trials
from supernet.tune.optuna import OptunaProposer
from supernet.tune.ray_tune import RayTune, ask_tune
from tests.evaluate.test_ray import KILLED, alive, started
from tests.tune import trains

Opened = Callable[..., OptunaProposer]
Run = Callable[..., list[TrialRecord]]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"sampler": "gp"}, "sampler: with the engine ray-tune only tpe, found gp"),
        ({"pruner": "median"}, "pruner: with the engine ray-tune only asha or none, found median"),
        ({"storage": "sqlite:///a.db"}, "storage: the study of ray-tune is kept in its folder"),
        ({"engine": "ray-tunes"}, "unknown engine 'ray-tunes'; did you mean 'ray-tune'?"),
        ({"engine": "processes", "ray_address": "auto"}, "engine processes joins no cluster"),
    ],
)
def test_what_it_cannot_do_is_refused(study: Study, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        supernet.tune(study, **{"engine": "ray-tune"} | options)


def test_a_missing_package_names_the_extra(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match="ray-tune need the package ray") as error:
        supernet.tune(study, engine="ray-tune")
    assert error.value.hint == "pip install 'supernet[ray]'"


# ---------------------------------------------------------------- the line to Tune's thread


def heard(loop: Callable[[Line], None], tasks: list[Task]) -> list[Any]:
    """What a study hears of a loop, in order."""
    told: list[Any] = []

    def report(message: Report) -> bool:
        told.append(message)
        return True

    def following() -> Task | None:
        return tasks.pop(0) if tasks else None

    told.extend(Line(loop).outcomes(following, report, lambda: None))
    return told


def test_what_a_loop_asks_is_answered_in_order(plan: Plan, tmp_path: Path) -> None:
    made = plan.as_it_is()
    task = Task(number=7, recipe=made.recipe, space=made.space, seed=0, folder=tmp_path)
    report = Report(number=7, epoch=1, value=50.0)
    answers: list[Any] = []

    def loop(line: Line) -> None:
        answers.append(line.ask("following"))
        answers.append(line.ask("report", report))
        line.ask("outcome", Outcome(number=7, state="complete", value=50.0))
        answers.append(line.ask("following"))

    assert heard(loop, [task]) == [report, Outcome(number=7, state="complete", value=50.0)]
    assert answers == [task, True, None]


@pytest.mark.parametrize("told", [False, True])
def test_an_error_of_a_loop_is_raised_here(told: bool) -> None:
    error = StorageError("no space is left")

    def loop(line: Line) -> None:
        if not told:
            raise error
        line.ask("error", error)

    with pytest.raises(StorageError, match="no space is left"):
        heard(loop, [])


def test_an_error_here_ends_the_loop() -> None:
    ended: list[Any] = []

    def loop(line: Line) -> None:
        while not line.over:
            line.ask("outcome", Outcome(number=0, state="complete"))
        ended.append(line.ask("following"))

    line = Line(loop)
    for _ in line.outcomes(lambda: None, lambda _: True, lambda: None):
        break
    line.leave()
    assert ended == [None]


# ---------------------------------------------------------------- Ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Started once: studies take the Ray that runs here already."""
    pytest.importorskip("ray.tune")
    from supernet.evaluate.ray_cluster import Cluster

    begun = Cluster("", 2)
    yield
    begun.leave()


class Played:
    """What Ray Tune does with one worker, played in this process."""

    def __init__(self, train: Train, *, grace: int, known: list[TrialRecord]) -> None:
        self._train, self._grace, self._known = train, grace, known

    def run(
        self, following: Callable[[], Task | None], report: Callable[[Report], bool]
    ) -> Iterator[Outcome]:
        return Line(self._loop).outcomes(following, report, lambda: None)

    def close(self) -> None:
        pass

    def _loop(self, line: Line) -> None:
        from supernet.tune.ray_trials import Halving, Keeper, Tasks, Training

        keeper, tasks = Keeper(line), Tasks(line)
        asha = Halving(grace=self._grace or 99, epochs=trains.EPOCHS, known=self._known)
        actor: Any = Training.__new__(Training)
        number = 0
        while isinstance(config := tasks.suggest(str(number)), dict) and not keeper.stop_all():
            if number:
                actor.reset_config(config)
            else:
                actor.setup(config, train=self._train, epochs=trains.EPOCHS)
            trial: Any = SimpleNamespace(trial_id=str(number), config=config)
            asha.on_trial_add(None, trial)
            ended = False
            while not ended:
                result = actor.step()
                ended = keeper(trial.trial_id, result) or result["done"]
                ended = ended or asha.on_trial_result(None, trial, result) == asha.STOP
            asha.on_trial_complete(None, trial, result)
            tasks.on_trial_complete(trial.trial_id, result)
            number += 1
        if number:
            actor.cleanup()


def rays(train: Train, folder: Path, known: list[TrialRecord], grace: int, workers: int) -> RayTune:
    """Ray Tune itself."""
    return RayTune(
        train,
        folder=folder,
        epochs=trains.EPOCHS,
        grace_epochs=grace,
        known=known,
        workers=workers,
    )


@pytest.fixture(params=["played", pytest.param("ray", marks=pytest.mark.slow)])
def run(request: pytest.FixtureRequest, plan: Plan, opened: Opened, tmp_path: Path) -> Run:
    """Goes on with a study of Ray Tune; the recipe as it is first."""
    pytest.importorskip("ray.tune")
    if request.param == "ray":
        request.getfixturevalue("cluster")

    def go_on(
        train: Train,
        trials: int,
        own: Plan = plan,
        folder: Path = tmp_path,
        grace: int = 1,
        workers: int = 1,
    ) -> list[TrialRecord]:
        folder.mkdir(exist_ok=True)
        storage = f"journal:{folder}/study.journal"
        proposer = opened(own, storage=storage, pruner="none", asking=ask_tune)
        values, _ = own.baseline()
        if values is not None:
            proposer.enqueue_baseline(values)
        known = proposer.records()
        tune = (
            rays(train, folder, known, grace, workers)
            if request.param == "ray"
            else Played(train, grace=grace, known=known)
        )
        run_trials(own, proposer, tune, trials=trials, folder=folder / "trials")
        assert not (folder / "tune").exists()
        return proposer.records()

    return go_on


in_ray_only = pytest.mark.parametrize(
    "run", [pytest.param("ray", marks=pytest.mark.slow)], indirect=True
)


def states(records: list[TrialRecord]) -> list[str]:
    return [record.state for record in records]


def test_it_finds_what_is_better_and_gives_up_what_is_poor(run: Run) -> None:
    records = run(trains.rising, 12)
    assert (records[0].baseline, records[0].value) == (True, 80)
    assert set(states(records)) == {"complete", "pruned"}
    for record in records:
        assert record.epochs == tuple(range(1, len(record.curve) + 1))
        assert (record.state == "complete") == (record.epochs == (1, 2, 3, 4))
        assert (record.value is None) == (record.state == "pruned")
    assert max(record.value or 0 for record in records) > 80


def test_without_asha_nothing_is_given_up(run: Run) -> None:
    assert states(run(trains.rising, 6, grace=0)) == ["complete"] * 6


def test_conditional_parameters_are_proposed_where_they_belong(
    run: Run, recipe: Recipe, space: Space
) -> None:
    sgd, adamw = ({"recipe.optimizer": name} for name in ("sgd", "adamw"))
    parameters = {
        "recipe.weight_decay": Parameter(low=1e-6, high=1e-1, log=True),
        "recipe.optimizer": Parameter(choices=("sgd", "adamw")),
        "recipe.momentum": Parameter(low=0.8, high=0.98, when=sgd),
        "recipe.beta2": Parameter(low=0.9, high=0.999, when=adamw),
    }
    records = run(trains.rising, 8, Plan(Study(name="two", parameters=parameters), recipe, space))
    found = {frozenset(record.values) for record in records}
    both = {"recipe.weight_decay", "recipe.optimizer"}
    assert found == {frozenset(both | {name}) for name in ("recipe.momentum", "recipe.beta2")}


def test_a_trial_that_fails_is_recorded_and_the_study_goes_on(run: Run) -> None:
    records = run(trains.nan_at_large, 10)
    assert len(records) == 10
    reasons = {record.reason for record in records if record.state == "failed"}
    assert reasons <= {"its accuracy is nan", "ValueError: too large in two lines"}
    assert reasons
    assert records[0].state == "complete"


@in_ray_only
def test_the_recipe_as_it_is_is_never_given_up_though_others_are_ahead(run: Run) -> None:
    records = run(trains.late_baseline, 4, workers=2)
    assert records[0].state == "complete"
    assert len(records[0].curve) == 4


def test_a_study_that_stops_and_goes_on_is_the_one_that_did_not(run: Run, tmp_path: Path) -> None:
    at_once = run(trains.rising, 9, folder=tmp_path / "one")
    run(trains.rising, 4, folder=tmp_path / "parts")
    in_parts = run(trains.rising, 9, folder=tmp_path / "parts")
    assert "pruned" in states(at_once[4:])
    assert [r.values for r in in_parts] == [r.values for r in at_once]
    assert [r.curve for r in in_parts] == [r.curve for r in at_once]
    assert states(in_parts) == states(at_once)


@in_ray_only
@pytest.mark.parametrize(
    ("train", "state"), [("killed_once", "complete"), ("killed_always", "failed")]
)
def test_a_killed_actor_costs_its_trial_alone_which_begins_once_more(
    run: Run, train: str, state: str
) -> None:
    records = run(getattr(trains, train), 2, grace=0, workers=2)
    assert states(records) == [state] * 2
    if state == "failed":
        assert all(re.match(KILLED, record.reason) for record in records)


def test_a_full_disk_ends_the_study(run: Run, opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no space is left"):
        run(trains.full_disk, 3)
    proposer = opened(storage=f"journal:{tmp_path}/study.journal")
    assert states(proposer.records()) == ["lost"]


def test_what_is_to_be_kept_goes_on_though_others_are_ahead(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("ray.tune")
    from supernet.tune.ray_trials import Halving

    made, asha = plan.as_it_is(), Halving(grace=1, epochs=4)
    found = []
    for number, (value, kept) in enumerate([(9.0, False), (5.0, True), (5.0, False)]):
        task = Task(
            number=number, recipe=made.recipe, space=made.space, seed=0, folder=tmp_path, kept=kept
        )
        trial: Any = SimpleNamespace(trial_id=str(number), config={"task": task})
        asha.on_trial_add(None, trial)
        found.append(asha.on_trial_result(None, trial, {"epoch": 1, "value": value}))
    assert found == [asha.CONTINUE, asha.CONTINUE, asha.STOP]


SLOW = """
import sys
from pathlib import Path
from supernet.space import load_space
from supernet.studies import Storage
from supernet.train import load_recipe
from supernet.tune import Parameter, Plan, Study
from supernet.tune.loop import run_trials
from supernet.tune.optuna import OptunaProposer
from supernet.tune.ray_tune import RayTune, ask_tune
from tests.tune import trains

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    study = Study(name="slow", parameters={"recipe.ema": Parameter(low=0, high=0.9)})
    plan = Plan(study, load_recipe("demo"), load_space("demo"))
    storage = Storage(f"journal:{folder}/study.journal")
    proposer = OptunaProposer(plan, storage, {}, pruner="none", asking=ask_tune)
    tune = RayTune(trains.slow, folder=folder, epochs=4, grace_epochs=1, workers=2)
    run_trials(plan, proposer, tune, trials=4, folder=folder / "trials")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_study_nothing_is_left_running_and_nothing_is_lost(
    tmp_path: Path, how: signal.Signals
) -> None:
    pytest.importorskip("ray.tune")
    (tmp_path / "slow.py").write_text(SLOW)
    driver = subprocess.Popen(
        [sys.executable, "slow.py", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
    )
    notes = [tmp_path / "trials" / str(i) / "pid" for i in range(2)]
    try:
        wait_until(lambda: all(note.exists() and note.read_text() for note in notes))
        time.sleep(2)  # so that the reports are in
        pids = started(driver.pid)
        actors = [int(note.read_text()) for note in notes]
        assert set(actors) <= set(pids)
        driver.send_signal(how)
        driver.communicate(timeout=60)
    finally:
        driver.kill()
        driver.communicate()
    assert driver.returncode != 0
    assert alive(actors, 20) == []
    assert alive(pids, 20 if how is signal.SIGINT else 120) == []  # agents look each minute
    study = Study(name="slow", parameters={"recipe.ema": Parameter(low=0, high=0.9)})
    from supernet.space import load_space
    from supernet.studies import Storage
    from supernet.train import load_recipe

    plan = Plan(study, load_recipe("demo"), load_space("demo"))
    proposer = OptunaProposer(plan, Storage(f"journal:{tmp_path}/study.journal"), {})
    records = proposer.records()
    assert states(records) == ["lost"] * 2
    assert all(record.curve == (50.0,) for record in records)
    again = [proposer.ask() for _ in range(2)]
    assert [trial.folder for trial in again if trial] == [0, 1]


def wait_until(reached: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)
