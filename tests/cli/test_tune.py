"""`supernet tune` on real images: a study, again, its files, and what is wrong with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from supernet.runs import Run
from supernet.space import load_space
from supernet.train import load_recipe
from supernet.tune import load_result

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

STUDY = """
format: supernet.study
version: 1
name: rates
parameters:
  rate:
    {key: [recipe.phases.*.lr, recipe.phases.*.lr_end], low: 0.2, high: 4, log: true, scale: true}
  recipe.optimizer: {choices: [sgd, adamw]}
  recipe.beta2: {low: 0.9, high: 0.999, when: {recipe.optimizer: adamw}}
  space.stages.0.act: {choices: [relu, swish]}
"""
TUNE = ("tune", "--study", "tune.yaml", "--space", "tiny.yaml", "--recipe", "recipe.yaml")


@pytest.fixture
def tuning(supernet: Command, tiny_yaml: Path) -> Command:
    """The command with a study of the tiny space and recipe."""
    (tiny_yaml / "tune.yaml").write_text(STUDY)

    def run(*more: object, confirm: int = 0) -> Any:
        return supernet(*TUNE, "--confirm", confirm, *more)

    return run


def test_a_study_ends_with_files_that_train_takes(
    tuning: Command, supernet: Command, tiny_yaml: Path
):
    done = tuning("--trials", 4, "--json", confirm=1)
    assert done.code == 0, done.stderr
    document = done.json
    assert [trial["number"] for trial in document["trials"]] == [0, 1, 2, 3]
    first = document["trials"][0]
    assert first["baseline"]
    assert first["values"] == {
        "rate": 1.0, "recipe.optimizer": "sgd", "space.stages.0.act": "relu",
    }  # fmt: skip
    best = document["trials"][document["best"]]
    assert best["value"] == max(trial["value"] for trial in document["trials"])
    if best["baseline"]:
        assert "no trial is better than the recipe as it is" in done.stdout
    else:
        assert document["confirmed"][0]["seed"] == 1000
        assert "on 1 fresh seed" in done.stdout
    folder = tiny_yaml / "studies" / "rates"
    for name in ("study.yaml", "study.json", "study.sqlite", "report.html"):
        assert (folder / name).is_file(), name
    weights = list(folder.glob("trials/*/checkpoints"))
    assert [path.parent.name for path in weights] == [str(best["folder"])]
    files = document["files"]
    again = supernet(
        "train", "--space", files["space"], "--recipe", files["recipe"], "--run", "again"
    )
    assert again.code == 0, again.stderr
    found = Run(tiny_yaml / "again").metrics()[-1]["top1_largest"]
    assert found == pytest.approx(best["value"], abs=1e-9)
    assert Run(Path(files["run"])).supernet().space.name == "tiny"
    assert load_recipe(files["recipe"]).epochs == pytest.approx(0.4)
    assert load_space(files["space"]).stages[0].act == best["values"]["space.stages.0.act"]


def test_the_same_command_goes_on(tuning: Command, tiny_yaml: Path):
    storage = ("--storage", f"journal:{tiny_yaml}/kept.journal", "--sampler", "random")
    assert tuning("--trials", 1, *storage).code == 0
    first = load_result(tiny_yaml / "studies" / "rates")
    assert tuning("--trials", 2, *storage).code == 0
    second = load_result(tiny_yaml / "studies" / "rates")
    assert second.trials[:1] == first.trials
    assert len(second.trials) == 2
    (tiny_yaml / "tune.yaml").write_text(STUDY.replace("high: 4", "high: 5"))
    other = tuning("--trials", 3, *storage)
    assert other.code == 2
    assert "study.parameters.rate.high was 4.0, is 5.0" in other.stderr


def test_genes_train_single_networks_by_the_mean_of_subnets(tuning: Command, tiny_yaml: Path):
    text = "format: supernet.study\nversion: 1\nname: nets\ngenes: true\nsubnet: mean\n"
    (tiny_yaml / "tune.yaml").write_text(text)
    done = tuning("--trials", 2, "--json")
    assert done.code == 0, done.stderr
    assert set(done.json["trials"][0]["values"]) > {"genes.stage1.width", "genes.stage1.depth"}
    assert load_space(done.json["files"]["space"]).stages[0].width in ((8,), (16,))


@pytest.mark.slow
def test_two_processes_train_at_the_same_time(tuning: Command):
    done = tuning("--trials", 2, "--workers", 2, "--json")
    assert done.code == 0, done.stderr
    assert [trial["state"] for trial in done.json["trials"]] == ["complete"] * 2


@pytest.mark.parametrize("engine", ["processes", "ray-tune"])
def test_more_workers_than_memory_holds_are_refused(
    tuning: Command, tiny_yaml: Path, monkeypatch: pytest.MonkeyPatch, engine: str
):
    if engine == "ray-tune":
        pytest.importorskip("ray.tune")
    monkeypatch.setattr("supernet.tune.memory.free_mib", lambda: 4000.0)
    done = tuning("--trials", 3, "--workers", 32, "--engine", engine)
    assert done.code == 2
    line = done.stderr.strip().splitlines()[-1]
    assert "workers: 32 trainings of" in line
    assert "do not fit into the 4,000 MiB of memory that are free" in line
    assert "(use --workers " in line
    assert not list(tiny_yaml.glob("studies/rates/trials/*"))


def test_a_study_of_which_all_trials_fail_ends_with_a_line(
    tuning: Command, tiny_yaml: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*arguments: Any, **options: Any) -> None:
        raise ArithmeticError("no way")

    monkeypatch.setattr("supernet.tune.trial.train_supernet", broken)
    done = tuning("--trials", 2)
    assert done.code == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(
            "error: all 2 trials of study 'rates' failed; the last one: ArithmeticError: no way"
        )
    )
    assert [t.state for t in load_result(tiny_yaml / "studies" / "rates").trials] == ["failed"] * 2


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--study", "no.yaml"), 2, "no.yaml: no such file"),
        (("--space", "dem"), 2, "did you mean 'demo'?"),
        (("--data", "nowhere"), 2, "nowhere: no such folder"),
        (("--storage", "tune.db"), 2, "expected a URL such as sqlite:///tune.db"),
        (("--storage", "sqlite:////no/where/t.db"), 1, "the folder /no/where is not there"),
        (("--pruner", "hyper"), 2, "unknown pruner 'hyper'; did you mean 'hyperband'?"),
        (("--engine", "ray"), 2, "unknown engine 'ray'; "),
        (("--engine", "ray-tune", "--sampler", "gp"), 2, "with the engine ray-tune only tpe"),
        (("--engine", "ray-tune", "--storage", "sqlite:///a.db"), 2, "is kept in its folder"),
        (("--ray-address", "auto"), 2, "ray_address: the engine processes joins no cluster"),
        (("--device", "cuda:99"), 2, "device 'cuda:99' is not there"),
    ],
)
def test_what_is_wrong_is_one_line(tuning: Command, tiny_yaml: Path, options, code: int, text: str):
    done = tuning(*options)
    assert done.code == code
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert text in errors[0]
    assert not (tiny_yaml / "studies" / "rates" / "trials").exists()


def test_a_parameter_that_no_recipe_has_names_what_is_near(tuning: Command, tiny_yaml: Path):
    (tiny_yaml / "tune.yaml").write_text(STUDY.replace("recipe.beta2", "recipe.bta2"))
    done = tuning()
    assert done.code == 2
    assert "parameters.recipe.bta2: recipe.bta2: unknown key; did you mean 'beta2'?" in done.stderr


def test_a_missing_optuna_names_the_extra(tuning: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = tuning()
    assert done.code == 3
    assert done.stderr.strip().endswith("(pip install 'supernet[optuna]')")


def test_a_missing_ray_names_the_extra(tuning: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = tuning("--engine", "ray-tune")
    assert done.code == 3
    assert done.stderr.strip().endswith("(pip install 'supernet[ray]')")


@pytest.mark.slow
def test_ray_tune_ends_with_the_same_files_and_goes_on(tuning: Command, tiny_yaml: Path):
    pytest.importorskip("ray.tune")
    tune = ("--engine", "ray-tune", "--epochs", "2")
    assert tuning("--trials", 2, *tune).code == 0
    first = load_result(tiny_yaml / "studies" / "rates")
    done = tuning("--trials", 4, *tune, "--json", confirm=1)
    assert done.code == 0, done.stderr
    result = load_result(tiny_yaml / "studies" / "rates")
    assert result.trials[:2] == first.trials
    assert result.trials[0].baseline
    assert (result.engine, result.sampler, result.pruner) == ("ray-tune", "tpe", "asha")
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3]
    assert {trial.state for trial in result.trials} <= {"complete", "pruned"}
    assert result.best is not None
    assert len(result.confirmed) == (not result.best.baseline)
    folder = tiny_yaml / "studies" / "rates"
    weights = list(folder.glob("trials/*/checkpoints"))
    assert [path.parent.name for path in weights] == [str(result.best.folder)]
    assert Run(Path(done.json["files"]["run"])).supernet().space.name == "tiny"
    assert load_recipe(done.json["files"]["recipe"]).epochs == pytest.approx(2)
    assert "ray-tune" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_from_the_last_checkpoint(tuning: Command, tiny_yaml: Path):
    """Killed within the first trial; it then ends with the accuracy of one never stopped."""
    slow = ("--epochs", "2", "--trials", "1")
    program = subprocess.Popen(
        [sys.executable, "-m", "supernet", *TUNE, *slow, "--confirm", "0"],
        cwd=tiny_yaml,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )
    checkpoints = tiny_yaml / "studies" / "rates" / "trials" / "0" / "checkpoints"
    end = time.monotonic() + 120
    while not list(checkpoints.glob("step-*/state.pt")) and time.monotonic() < end:
        time.sleep(0.02)
    program.send_signal(signal.SIGKILL)
    program.wait()
    done = tuning(*slow, "--json")
    assert done.code == 0, done.stderr
    lost, whole = done.json["trials"]
    assert (lost["state"], whole["state"], whole["folder"]) == ("lost", "complete", 0)
    assert whole["values"] == lost["values"]
    never = tuning(*slow, "--json", "--folder", "never")
    (one,) = never.json["trials"]
    assert (one["value"], one["curve"]) == (whole["value"], whole["curve"])


def test_the_page_is_whole(tuning: Command, tiny_yaml: Path):
    from xml.etree import ElementTree

    assert tuning("--trials", 3).code == 0
    page = (tiny_yaml / "studies" / "rates" / "report.html").read_text()
    assert "supernet tune: rates" in page
    for title in ("Trials", "Best values", "How this was made"):
        assert f"<h2>{title}</h2>" in page
    for drawing in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")
