"""Threads of torch spin for a short time, and shorter on a busy machine; BLAS as well."""

import os
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from supernet import load_space, threads
from supernet.predict import AccuracyPairs
from supernet.predict.gbdt import Boosted
from supernet.space import sample
from supernet.threads import limit_spinning, products_alone_if_busy


@pytest.mark.parametrize(("load", "turns"), [(0.1, "4000"), (0.9, "4000"), (1.1, "1000")])
def test_threads_spin_less_where_others_want_the_cores(
    load: float, turns: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == turns


def test_a_system_without_a_load_average_is_taken_as_busy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "getloadavg")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_what_the_environment_says_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch):
    for variable in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    monkeypatch.setenv(name, "7")
    limit_spinning()
    assert os.environ.get("GOMP_SPINCOUNT") == ("7" if name == "GOMP_SPINCOUNT" else None)


def blas_threads() -> int:
    np.zeros((2, 2)) @ np.zeros((2, 2))
    return max(
        int(found["num_threads"]) for found in threadpool_info() if found["user_api"] == "blas"
    )


@pytest.mark.parametrize("others", [0, 1])
def test_matrix_products_keep_to_one_thread_where_others_run(
    others: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    told = tmp_path / "loadavg"
    told.write_text(f"0.10 0.20 0.30 {1 + others}/99 1234\n")
    monkeypatch.setattr(threads, "_NOW", told)
    monkeypatch.setattr(threads, "_runs", lambda thread: thread.name == str(os.getpid()))
    before = blas_threads()
    with products_alone_if_busy():
        assert blas_threads() == (1 if others else before)
    assert blas_threads() == before


def test_a_system_that_does_not_say_who_runs_is_asked_for_its_last_minute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(threads, "_NOW", tmp_path / "none")
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    with products_alone_if_busy():
        assert blas_threads() == 1


def test_trees_are_fitted_and_asked_by_one_thread(monkeypatch: pytest.MonkeyPatch):
    helpers = pytest.importorskip("sklearn.utils._openmp_helpers", reason="needs scikit-learn")
    from sklearn.ensemble import HistGradientBoostingRegressor as Trees

    told: list[int] = []

    def watched(name: str) -> None:
        own = getattr(Trees, name)

        def method(*args: object, **kwargs: object) -> object:
            told.append(helpers._openmp_effective_n_threads())
            return own(*args, **kwargs)

        monkeypatch.setattr(Trees, name, method)

    watched("fit")
    watched("predict")
    space = load_space("demo")
    genes = sample(space, 16, np.random.default_rng(0))
    with threadpool_limits(2, user_api="openmp"):
        before = helpers._openmp_effective_n_threads()
        Boosted(AccuracyPairs(space=space, genes=genes, top1=np.arange(16.0)), 0).mean(genes)
        assert told == [1, 1]
        assert helpers._openmp_effective_n_threads() == before
