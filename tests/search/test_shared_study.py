"""Studies of Optuna in a storage: searches that go on or share one, and sampler objects."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import supernet
from supernet.errors import ConfigError
from supernet.predict import AccuracyPairs, fit_predictor
from supernet.search import Accuracy, Evaluated, Problem, Start, corners, load_result, macs
from supernet.search.algorithms.optuna import OptunaSampler
from supernet.search.algorithms.optuna_parameters import Parameters
from supernet.search.algorithms.optuna_study import StudyPlace
from supernet.search.archive import Archive
from supernet.space import Domain, Genes, Space, load_space, macs_of, sample
from supernet.studies import Storage

optuna = pytest.importorskip("optuna")

SHARING = Path(__file__).with_name("sharing.py")
DEADLINE_S = 400.0
LIMITS = {"macs": 2.5e6}
BUDGET = 40


@pytest.fixture(scope="module")
def demo() -> Space:
    return load_space("demo")


class Killed(BaseException):
    """The end of a process, as nobody catches it."""


class Measured:
    """An accuracy whose process ends at one of its measurements."""

    def __init__(self, space: Space, last: int = -1) -> None:
        self.count, self._space, self._last = 0, space, last

    def __call__(self, genes: Genes) -> np.ndarray:
        if self.count == self._last:
            raise Killed
        self.count += 1
        noise = np.sin(genes.astype(float) @ np.arange(1, genes.shape[1] + 1))
        found: np.ndarray = 10 * np.log10(macs_of(self._space, genes)) + noise
        return found


def searched(space: Space, folder: Path, last: int = -1, **more: Any) -> tuple[Any, int]:
    """The result, and how much was measured for it."""
    function = Measured(space, last)
    how: dict[str, Any] = {"limits": LIMITS, "budget": BUDGET, "folder": folder} | more
    result = supernet.search(space, accuracy=function, **how)
    return result, function.count


@pytest.mark.parametrize("last", [3, 25])
@pytest.mark.parametrize(
    "name", ["tpe", "random", "cmaes", pytest.param("nsga3", marks=pytest.mark.slow)]
)
def test_a_search_that_was_killed_goes_on_with_its_study_as_if_it_had_not_been(
    demo: Space, tmp_path: Path, name: str, last: int
):
    how: dict[str, Any] = {"algorithm": f"optuna:{name}"}
    storages = [f"sqlite:///{tmp_path / name}.db" for name in ("whole", "stopped")]
    whole, count = searched(demo, tmp_path / "whole", storage=storages[0], **how)
    with pytest.raises(Killed):
        searched(demo, tmp_path / "stopped", last, storage=storages[1], **how)
    again, rest = searched(demo, tmp_path / "stopped", storage=storages[1], resume=True, **how)
    np.testing.assert_array_equal(again.genes, whole.genes)
    assert rest == count - last
    studies = [optuna.load_study(study_name="supernet", storage=one) for one in storages]
    told = [[(t.state, t.params, t.values) for t in study.trials] for study in studies]
    assert told[0] == told[1]


def test_where_others_wrote_to_the_study_a_search_goes_on_beside_them(demo: Space, tmp_path: Path):
    how: dict[str, Any] = {"algorithm": "optuna:tpe", "storage": f"sqlite:///{tmp_path}/a.db"}
    with pytest.raises(Killed):
        searched(demo, tmp_path / "one", 9, **how)
    with pytest.raises(Killed):
        searched(demo, tmp_path / "other", 12, seed=1, **how)
    result, count = searched(demo, tmp_path / "one", resume=True, **how)
    assert len(result) >= BUDGET
    assert count <= BUDGET - 9
    study = optuna.load_study(study_name="supernet", storage=how["storage"])
    complete = [t.params for t in study.trials if t.state.name == "COMPLETE"]
    assert all(complete.count(one) == 1 for one in complete)


@pytest.mark.parametrize("objectives", [[], ["macs"]])
def test_what_another_search_has_measured_is_taken_as_it_is(
    demo: Space, tmp_path: Path, objectives: list[str]
):
    how: dict[str, Any] = {"algorithm": "optuna:tpe", "storage": f"journal:{tmp_path}/a.log"}
    how |= {"objectives": objectives} if objectives else {}
    one, count = searched(demo, tmp_path / "one", **how, budget=12)
    two, more = searched(demo, tmp_path / "two", **how, budget=20, seed=1)
    finite = np.isfinite(one.columns["top1"])
    assert (finite.sum(), np.isfinite(two.columns["top1"]).sum()) == (count, count + more)
    assert more == 20 - 12
    known = {row.tobytes(): top1 for row, top1 in zip(two.genes, two.columns["top1"])}
    taken = [known[row.tobytes()] for row in one.genes[finite]]
    np.testing.assert_array_equal(taken, one.columns["top1"][finite])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_at_once_lose_and_double_nothing(demo: Space, tmp_path: Path) -> None:
    """Whatever one has measured is one trial of the study, and the other learns from it."""
    storage, names = f"sqlite:///{tmp_path / 'study.db'}", ("one", "two")
    calls = [tmp_path / f"{name}.txt" for name in names]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number, name in enumerate(names):
            command: list[str | Path] = [sys.executable, SHARING, tmp_path / name, storage]
            command += [str(number), calls[number], calls[1 - number]]
            processes.append(subprocess.Popen(command))
            until = time.monotonic() + DEADLINE_S
            while not number and _count(calls[0]) < 4:  # it has told the corners
                assert processes[0].poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
        assert [process.wait(timeout=DEADLINE_S) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    measured = [
        [tuple(json.loads(line)) for line in path.read_text().splitlines()] for path in calls
    ]
    own = [set(rows) for rows in measured]
    for name, rows, asked in zip(names, measured, own):
        result = load_result(tmp_path / name).result
        assert result.complete
        finite = np.isfinite(result.columns["top1"])
        known = {tuple(row) for row in result.genes[finite].tolist()}
        assert len(known) == finite.sum() == 30
        assert asked <= known <= own[0] | own[1]
        assert len(rows) == len(asked)
        assert known - asked  # some are of the other one
    assert not {*measured[0][:4]} & own[1]  # known before it began

    trials = optuna.load_study(study_name="supernet", storage=storage).trials
    assert {t.state.name for t in trials} <= {"COMPLETE", "FAIL"}  # what breaks the limit fails
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    told = [Parameters(Domain.of(demo)).row(t.params)[0].tolist() for t in complete]
    first: dict[str, Any] = {}
    for t in complete:  # one that is suggested again later is told at once
        one = first.setdefault(str(t.params), t)
        assert one is t or t.datetime_start >= one.datetime_complete
    assert {tuple(row) for row in told} == own[0] | own[1]
    values = {tuple(row): t.values[0] for row, t in zip(told, complete)}
    for name in names:
        result = load_result(tmp_path / name).result
        for row, top1 in zip(result.genes.tolist(), result.columns["top1"].tolist()):
            assert np.isnan(top1) or values[tuple(row)] == top1


def test_what_another_process_is_at_work_on_is_not_begun(demo: Space, tmp_path: Path) -> None:
    """Two of one seed suggest the same; and both begin with the corners."""
    top1 = Accuracy(function=Measured(demo), measured=True)
    asked = Problem(domain=Domain.of(demo), objectives=(top1, macs(demo)))
    place = StudyPlace(Storage(f"journal:{tmp_path / 'study.log'}"))
    archives = [Archive(asked), Archive(asked)]
    one, two = (
        OptunaSampler(_start(asked, archive), sampler="random", place=place) for archive in archives
    )
    for archive, sampler, genes in zip(archives, (one, two), (one.ask(1).genes, two.ask(1).genes)):
        np.testing.assert_array_equal(genes, corners(asked))
        columns = {"top1": top1(genes), "macs": macs(demo)(genes)}
        archive.add(Evaluated(genes, columns, np.zeros(len(genes))))
        sampler.tell(archive.at(np.arange(len(genes))))
    begun, other = one.ask(1).genes, two.ask(1).genes
    assert begun.tobytes() != other.tobytes()
    study = optuna.load_study(study_name="supernet", storage=place.storage.open())
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE"] * len(corners(asked)) + ["RUNNING", "FAIL", "RUNNING"]
    mine, failed, others = (trial.params for trial in study.trials[-3:])
    assert mine == failed != others


def _start(asked: Problem, archive: Archive) -> Start:
    genes = corners(asked)
    return Start(
        problem=asked,
        rng=np.random.default_rng(0),
        budget=BUDGET,
        genes=genes,
        given=genes[:0],
        archive=archive,
    )


def _count(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_study_of_another_predictor_is_refused(demo: Space, tmp_path: Path):
    genes = sample(demo, 60, np.random.default_rng(0))
    for sign in (1, -1):
        top1 = 50 + sign * np.log10(macs_of(demo, genes))
        predictor = fit_predictor(AccuracyPairs(space=demo, genes=genes, top1=top1), "ridge")
        how: dict[str, Any] = {"predictor": predictor, "storage": f"sqlite:///{tmp_path}/a.db"}
        if sign > 0:
            assert len(supernet.search(demo, limits=LIMITS, budget=10, **how)) == 10
            continue
        with pytest.raises(ConfigError, match="is another: accuracy 'predicted, "):
            supernet.search(demo, limits=LIMITS, budget=10, **how)


def test_a_sampler_object_gets_the_space_that_it_needs(demo: Space):
    how: dict[str, Any] = {"accuracy": Measured(demo), "limits": LIMITS, "budget": 30}
    flat = supernet.search(demo, algorithm=optuna.samplers.CmaEsSampler(seed=0), **how)
    drawn = supernet.search(demo, algorithm=optuna.samplers.RandomSampler(seed=0), **how)
    assert not np.array_equal(flat.genes, drawn.genes)  # which is what it does with categories
    front = supernet.search(
        demo, algorithm=optuna.samplers.CmaEsSampler(seed=0), objectives=["params"], **how
    )
    assert len(front) >= 30  # of its first figure alone


@pytest.mark.filterwarnings("ignore:BruteForceSampler is experimental")
def test_a_sampler_that_ends_by_itself_ends_the_search(demo: Space):
    fix: dict[str, Any] = {"kernel": [3], "expand": [2.0], "stage2.depth": [1]}
    result = supernet.search(
        demo,
        algorithm=optuna.samplers.BruteForceSampler(seed=0),
        accuracy=Measured(demo),
        fix=fix,
        budget=100,
    )
    assert len(result) == Domain.of(demo, fix).count == 40


def test_what_a_sampler_cannot_do_is_an_error_of_the_search(demo: Space):
    sampler = optuna.samplers.GridSampler({"depth": [1]})
    with pytest.raises(ConfigError, match="GridSampler of Optuna: The parameter name"):
        supernet.search(demo, algorithm=sampler, accuracy=Measured(demo), budget=5)
