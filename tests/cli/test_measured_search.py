"""Searches whose accuracies are measured: rungs, workers, storage, stopping and going on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.evaluate import Evidence, Workers
from supernet.progress import FailedWarning
from supernet.runs import find_run
from supernet.search import Accuracy, Problem, load_result, macs
from supernet.space import Domain, SubnetFile, sample, subnet_keys, unique
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.ladder import ladder_of, measured_problem
from supernet.workflow.request import SearchRequest
from tests.evaluate.test_engines import Standing

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

COSTS = ("--objective", "macs", "--json")
DEADLINE_S = 200.0


def columns(found: Any) -> Mapping[str, Any]:
    """Genes and figures of a saved search."""
    assert found.code == 0, found.stderr
    result = load_result(Path(found.json["files"]["result"])).result
    return {"genes": result.genes, **result.columns}


def same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return one.keys() == two.keys() and all(
        np.array_equal(one[name], two[name], equal_nan=True) for name in one
    )


def test_every_accuracy_is_measured_and_kept(in_trained: Command) -> None:
    found = in_trained("search", *COSTS, "--measure", "--images", 200, "--budget", 10)
    assert found.code == 0, found.stderr
    assert found.json["algorithm"] == "ei"
    assert found.json["scored"] == 10
    assert found.json["predictor"] is None
    assert found.json["measured"]["top1"] == columns(found)["top1"].max()
    run = find_run(None)
    pairs = Evidence(run.evidence).pairs(
        run.condition("holdout", images=200, calibration_images=200)
    )
    assert sorted(pairs.top1) == sorted(columns(found)["top1"])
    assert "measured, by ei" in found.stdout
    assert "* an accuracy that was measured" in in_trained("results").stdout
    shown = in_trained("results", "show", "costs", "--pick", "best", "-o", "measured.json")
    assert shown.code == 0, shown.stderr
    assert "measured" in shown.stdout
    file = SubnetFile.load(Path("measured.json"))
    assert file.measured == {"top1": found.json["measured"]["top1"]}
    assert "top1" not in file.predicted
    assert file.predicted["macs"] > 0


def test_where_a_predictor_would_learn_from_all_subnets_all_are_measured(
    in_trained: Command,
) -> None:
    few = ("--fix", "width=8", "--fix", "kernel=3", "--fix", "depth=1")
    found = in_trained("search", *COSTS, *few, "--images", 200, "--name", "few")
    measured = columns(found)["top1"]
    assert found.json["algorithm"] == "grid"
    assert found.json["predictor"] is None
    assert found.json["complete"]
    assert len(measured) == found.json["scored"] < 20
    assert found.json["measured"]["top1"] == measured.max()


def test_a_ladder_measures_few_subnets_whole(in_trained: Command) -> None:
    ladder = ("--ladder", "predictor,100,all,finetune:0.2", "--pairs", 12)
    found = in_trained("search", *COSTS, *ladder, "--budget", 3)
    known = columns(found)
    reached = [np.isfinite(known[f"top1@{rung}"]).sum() for rung in ("predictor", "100", "all")]
    reached.append(np.isfinite(known["top1"]).sum())
    assert reached == sorted(reached, reverse=True)
    assert 1 <= reached[-1] < reached[0]
    assert [one["subnets"] for one in found.json["rungs"]] == reached
    assert f"subnets of each rung: {reached[0]} by top1@predictor, " in found.stdout
    assert found.json["algorithm"] == "asha"
    assert found.json["measured"]["top1"] != found.json["measured"]["top1@all"]  # it was trained


def test_an_algorithm_that_climbs_has_a_ladder_of_its_own(in_trained: Command) -> None:
    found = in_trained("search", *COSTS, "--measure", "--algorithm", "hyperband", "--budget", 4)
    holdout = find_run(None).config().holdout_images
    rungs = [name for name in columns(found) if name.startswith("top1@")]
    assert rungs == [f"top1@{-(-holdout // 9)}", f"top1@{-(-holdout // 3)}"]


def test_workers_find_what_they_found_before(in_trained: Command) -> None:
    asked = (
        *("search", *COSTS, "--measure", "--images", 150, "--workers", 2, "--budget", 8),
        *("--algorithm", "aging"),
    )
    first = in_trained(*asked)
    find_run(None).evidence.unlink()
    assert same(columns(first), columns(in_trained(*asked)))


@pytest.mark.parametrize("url", ["sqlite:///study.db", "journal:study.log"])
def test_a_study_is_kept_and_gone_on_with(in_trained: Command, tmp_path: Path, url: str) -> None:
    optuna = pytest.importorskip("optuna")
    place = url.replace("study", f"{tmp_path}/study")
    asked = (
        *("search", *COSTS, "--measure", "--images", 120, "--algorithm", "optuna:tpe"),
        *("--storage", place),
    )
    first = columns(in_trained(*asked, "--budget", 6))
    second = columns(in_trained(*asked, "--budget", 9, "--seed", 1))
    assert {row.tobytes() for row in first["genes"]} <= {row.tobytes() for row in second["genes"]}
    if url.startswith("sqlite"):
        study = optuna.load_study(study_name="supernet", storage=place)
        complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
        assert len(complete) >= 9  # and those that were suggested twice
        assert {t.values[0] for t in complete} == set(second["top1"])


def test_another_study_in_the_storage_is_refused(in_trained: Command, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    asked = (
        *("search", "--measure", "--images", 120, "--algorithm", "optuna:tpe", "--budget", 4),
        *("--storage", f"sqlite:///{tmp_path}/study.db"),
    )
    assert in_trained(*asked, *COSTS).code == 0
    other = in_trained(*asked, *COSTS, "--fix", "stage1.kernel=3")
    assert other.code != 0
    assert "its study 'supernet' is another: choices" in other.stderr
    assert "--study" in other.stderr
    assert in_trained(*asked, *COSTS, "--fix", "stage1.kernel=3", "--study", "narrow").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ladder", "all,100"), "100 comes after all and costs no more"),
        (("--ladder", "100,predictor"), "its last rung must be measured"),
        (("--ladder", "100,most"), "expected predictor, a number of images, all or finetune"),
        (("--ladder", "100,all", "--algorithm", "ei"), "ei measures all subnets alike"),
        (("--ladder", "100,all", "--certify"), "of a measured accuracy nothing can be proven"),
        (("--measure", "--predictor", "a.json"), "what is measured is not asked of it"),
        (
            ("--measure", "--algorithm", "ei", "--storage", "journal:a"),
            "only samplers of Optuna have a study to keep",
        ),
        (("--measure", "--workers", 200), "processes need about"),
        (("--measure", "--start", "none.json"), "none.json"),
    ],
)
def test_what_cannot_be_measured_is_said_before(
    in_trained: Command, options: tuple[object, ...], words: str
) -> None:
    found = in_trained("search", *COSTS, *options)
    assert found.code != 0
    assert words in found.stderr


@pytest.mark.parametrize(
    ("options", "package"),
    [
        (("--measure", "--algorithm", "optuna:cmaes"), "cmaes"),
        (("--measure", "--algorithm", "optuna:gp"), "scipy"),
        (("--measure", "--algorithm", "optuna:tpe"), "optuna"),
        (("--ladder", "100,all", "--algorithm", "bohb"), "optuna"),
    ],
)
def test_an_algorithm_without_its_package_names_the_extra(
    in_trained: Command, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], package: str
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setitem(sys.modules, package, None)
    found = in_trained("search", *COSTS, *options)
    assert found.code == 3
    told = f"algorithm {options[-1]} needs the package {package}, which is not installed"
    assert f"{told} (pip install 'supernet[optuna]')" in found.stderr


@pytest.mark.parametrize("engine", ["ray", "ray-tune"])
def test_more_actors_than_memory_holds_are_said_before(in_trained: Command, engine: str) -> None:
    pytest.importorskip("ray.tune")
    pytest.importorskip("optuna")
    found = in_trained("search", *COSTS, "--measure", "--workers", 200, "--engine", engine)
    assert found.code == 2
    assert "processes need about" in found.stderr


def test_why_a_subnet_could_not_be_measured_is_told(in_trained: Command, tmp_path: Path) -> None:
    run = find_run(None)
    genes = unique(sample(run.space(), 5, np.random.default_rng(0)))
    deadly = subnet_keys(run.space(), genes)[1]
    why = r"tried 2 times, and the last time its process was killed \(SIGKILL\).*: fewer --workers"
    with Workers([partial(Standing, tmp_path, deadly=deadly)] * 2) as workers:
        accuracies = Accuracies(run, workers, images=77)
        with pytest.warns(FailedWarning, match=f"a subnet could not be measured, .*: {why}"):
            found = accuracies.top1(genes)
        assert np.flatnonzero(np.isnan(found)).tolist() == [1]
        with pytest.raises(ConfigError, match=rf"1 of {len(genes)} subnets could not .*: {why}"):
            accuracies.measure(genes)


def test_trials_of_ray_tune_measure_from_folders_of_their_own(
    in_trained: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = find_run(None)
    assert not run.folder.is_absolute()
    request = SearchRequest(engine="ray-tune", measure=True, ladder=("50", "100"), device="cpu")
    top1 = Accuracy(function=lambda genes: np.zeros(len(genes)))
    problem = Problem(domain=Domain.of(run.space()), objectives=(top1, macs(run.space())))
    with measured_problem(run, request, problem, ladder_of(request, run), None) as asked:
        monkeypatch.chdir(tmp_path)
        genes = asked.domain.smallest()
        assert 0 < float(asked.ladder[0].function(genes)[0]) <= 100
        assert 0 < float(asked.objectives[0](genes)[0]) <= 100


def test_a_storage_that_cannot_be_opened_is_said(in_trained: Command, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "text.db").write_text("no database " * 100)
    asked = ("search", *COSTS, "--measure", "--images", 120, "--algorithm", "optuna:tpe")
    for url in (f"sqlite:///{tmp_path}/text.db", f"sqlite:///{tmp_path}/no/folder.db"):
        found = in_trained(*asked, "--budget", 4, "--storage", url)
        assert found.code != 0
        assert f"storage {url}" in found.stderr


def test_a_given_subnet_is_shrunk(in_trained: Command) -> None:
    run = find_run(None)
    begin = run.searches / "this_machine" / "subnet.json"
    macs = json.loads(begin.read_text())["macs"]
    asked = ("search", *COSTS, "--measure", "--images", 100, "--algorithm", "netadapt")
    found = in_trained(*asked, "--start", begin, "--max-macs", int(0.9 * macs), "--budget", 30)
    assert found.code == 0, found.stderr
    assert found.json["predicted"]["macs"] <= 0.9 * macs
    assert columns(found)["macs"].max() >= macs


def test_killed_at_a_rung_it_loses_that_rung_alone(in_trained: Command) -> None:
    asked = ["search", *COSTS, "--ladder", "150,500,all", "--budget", "12", "--seed", "4"]
    asked += ["--device", "cpu"]
    run = find_run(None)
    whole = columns(in_trained(*asked, "--name", "whole"))
    run.evidence.unlink()
    command = [sys.executable, "-m", "supernet", *map(str, asked), "--name", "killed"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal, deadline = run.searches / "killed" / "measured.jsonl", time.monotonic() + DEADLINE_S
    while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
        assert process.poll() is None, "ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = journal.read_text()
    again = in_trained(*asked, "--name", "killed", "--resume")
    assert same(columns(again), whole)
    assert kept.count("\n") >= 6
