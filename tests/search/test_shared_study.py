"""Studies of Optuna in a storage: searches that go on, and sampler objects."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import supernet
from supernet.errors import ConfigError
from supernet.predict import AccuracyPairs, fit_predictor
from supernet.space import Domain, Genes, Space, load_space, macs_of, sample

optuna = pytest.importorskip("optuna")

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
    result = supernet.search(
        space, accuracy=function, limits=LIMITS, budget=BUDGET, folder=folder, **more
    )
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
