"""Searches that Ray Tune runs keep the same promises as those of our own loop."""

import builtins
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, DataError, MissingPackageError
from supernet.progress import FailedWarning
from supernet.search import Budget, Problem, SearchResult
from supernet.space import Genes
from supernet.workflow.ray_tune import check_tune, tune_search
from supernet.workflow.request import SearchRequest
from tests.evaluate.test_ray import KILLED
from tests.search.test_ladder import Values, climbed, spent

Make = Callable[..., Problem]
NAMES = ("top1@0", "top1@1", "top1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Started once: searches take the Ray that runs here already."""
    pytest.importorskip("ray.tune")
    pytest.importorskip("optuna")
    from supernet.evaluate.ray_cluster import Cluster

    started = Cluster("", 2)
    yield
    started.leave()


@pytest.fixture
def search(cluster: None, tmp_path: Path) -> Callable[..., SearchResult]:
    def run(problem: Problem, scored: int = 12, **options: Any) -> SearchResult:
        found = tune_search(problem, folder=tmp_path, budget=Budget(scored=scored), **options)
        assert list(tmp_path.glob("tune*")) == []
        return found

    return run


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "engine: ray-tune measures every accuracy; add --measure or --ladder"),
        ({"measure": True, "algorithm": "ei"}, "algorithm: ray-tune has its own, .* leave out ei"),
        ({"measure": True, "storage": "sqlite:///a.db"}, "storage: the study of ray-tune is kept"),
    ],
)
def test_what_it_cannot_do_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        SearchRequest(engine="ray-tune", **options)


@pytest.mark.parametrize("missing", ["ray", "optuna"])
def test_a_missing_package_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing != "ray":
        pytest.importorskip("ray")
    imported = builtins.__import__

    def without(name: str, *rest: Any, **known: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ImportError(f"no {name}")
        return imported(name, *rest, **known)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=f"ray.* need.* {missing}|no optuna") as error:
        check_tune()
    assert error.value.hint == "pip install 'supernet[ray]'"


@pytest.mark.slow
def test_it_keeps_limits_and_budget_and_climbs(
    search: Callable[..., SearchResult], problem: Make, everything: Genes
) -> None:
    free = problem()
    limit = float(np.quantile(free.cheap(everything)["macs"], 0.3))
    result = search(climbed(free, limits={"macs": limit}), 15, workers=2)
    assert 13 < spent(result) <= 15 + 1e-9
    assert (result.columns["macs"] <= limit).all()
    reached = np.isfinite([result.columns[name] for name in NAMES])
    assert (reached[:-1] >= reached[1:]).all()
    low, middle, whole = reached.sum(axis=1)
    assert low > middle > whole > 0
    assert np.isfinite(result.columns["top1"][result.front]).all()


@pytest.mark.slow
def test_one_worker_and_a_seed_give_the_same(
    search: Callable[..., SearchResult], problem: Make
) -> None:
    one, two = (search(climbed(problem(3)), seed=5) for _ in range(2))
    other = search(climbed(problem(3)), seed=6)
    np.testing.assert_array_equal(one.genes, two.genes)
    for name in one.columns:
        np.testing.assert_array_equal(one.columns[name], two.columns[name])
    assert not np.array_equal(one.genes, other.genes)


@pytest.mark.slow
def test_it_finds_a_better_subnet_than_the_median(
    search: Callable[..., SearchResult], problem: Make, everything: Genes
) -> None:
    asked = climbed(problem(1))
    result = search(asked, 20, workers=2)
    truth = asked.objectives[0](everything)
    assert result.columns["top1"][result.best()] > np.quantile(truth, 0.9)


@pytest.mark.slow
def test_a_failed_rung_ends_a_trial_and_not_the_search(
    search: Callable[..., SearchResult], problem: Make
) -> None:
    asked = climbed(problem(2))
    low = asked.ladder[0].function

    def failing(genes: Genes) -> Values:
        return np.where(genes[:, 1] == 1, np.nan, low(genes))

    ladder = (replace(asked.ladder[0], function=failing), asked.ladder[1])
    result = search(replace(asked, ladder=ladder), 15)
    whole = np.isfinite(result.columns["top1"])
    assert whole.sum() >= 2
    assert (result.genes[whole][:, 1] == 0).all()


@pytest.mark.slow
def test_an_error_is_raised_as_what_it_is(
    search: Callable[..., SearchResult], problem: Make
) -> None:
    asked = climbed(problem())

    def broken(genes: Genes) -> Values:
        raise DataError("images are gone")

    ladder = (replace(asked.ladder[0], function=broken), asked.ladder[1])
    with pytest.raises(DataError, match="images are gone"):
        search(replace(asked, ladder=ladder))


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 99])
def test_a_killed_actor_costs_its_trial_alone_which_begins_once_more(
    search: Callable[..., SearchResult], problem: Make, tmp_path: Path, kills: int
) -> None:
    asked = climbed(problem())
    middle, tries = asked.ladder[1].function, tmp_path / "tries"
    deadly = asked.domain.smallest()[0]

    def killing(genes: Genes) -> Values:
        if (genes[0] == deadly).all():
            with tries.open("a") as handle:
                handle.write(".")
            if len(tries.read_text()) <= kills:
                os.kill(os.getpid(), signal.SIGKILL)
        return middle(genes)

    ladder = (asked.ladder[0], replace(asked.ladder[1], function=killing))
    told = pytest.warns(FailedWarning, match=KILLED) if kills > 1 else nullcontext()
    with told:
        result = search(replace(asked, ladder=ladder))
    at = int(np.flatnonzero((result.genes == deadly).all(axis=1))[0])
    assert len(tries.read_text()) == 2
    assert np.isfinite(result.columns["top1@1"][at]) == (kills == 1)
    assert np.isfinite(result.columns["top1"]).sum() >= 2
    assert 10 < spent(result) <= 12 + 1e-9
