"""Searches that Ray Tune runs: its ASHA on the ladder, its Optuna searcher (extra: ray).

Each subnet is a trial, each rung of the ladder an iteration of it. Trials measure in actors,
where everything goes through the evidence of the run, so what is stopped loses no measurement.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from supernet.errors import MissingPackageError
from supernet.evaluate.ray_cluster import Cluster, load_ray
from supernet.progress import Progress, silent
from supernet.search import Budget, Problem, SearchResult
from supernet.search.algorithms.climbing import REDUCTION
from supernet.search.clock import Clock
from supernet.search.contract import Start
from supernet.search.driver import searched

if TYPE_CHECKING:
    from supernet.workflow.ray_trials import Trials

__all__ = ["FOLDER", "RETRIES", "check_tune", "quiet", "tune_search"]

FOLDER = "tune"
"""Where Tune keeps its files until the end, in a folder of ours."""
RETRIES = 1
"""Of a trial whose actor was killed."""
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # which has no way to be quiet
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is an exception, as everywhere here
}


def check_tune() -> None:
    """Refuse at once what would fail later.

    Raises:
        MissingPackageError: Ray Tune or Optuna is not installed.
    """
    load_ray()
    try:
        import optuna
        import ray.tune.search.optuna  # noqa: F401  # all that Tune itself asks for
    except ImportError as error:
        raise MissingPackageError(
            f"the engine ray-tune needs Ray Tune and Optuna: {error}",
            hint="pip install 'supernet[ray]'",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def tune_search(
    problem: Problem,
    *,
    folder: Path,
    budget: Budget,
    seed: int = 0,
    again: int = 0,
    workers: int = 1,
    device: str = "cpu",
    address: str = "",
    progress: Progress = silent,
) -> SearchResult:
    """Let Ray Tune spend a budget of measurements, a rung at a time.

    With one worker a seed gives the same search again. With several, Tune tells its searcher
    results as they come, so which subnets are tried depends on which trial is faster.

    Args:
        problem: what is searched for; what it measures must be picklable.
        folder: where Tune keeps its files until the end; one that all nodes see.
        budget: when to end.
        seed: of the searcher.
        again: subnets that the same search had scored before its time was up.
        workers: trials at the same time.
        device: where they measure; anything but ``cpu`` takes GPUs.
        address: of a running cluster (see `Cluster`).
        progress: told about every rung.

    Raises:
        MissingPackageError: Ray Tune or Optuna is not installed.
        InfeasibleError: nothing meets the limits.
        ConfigError: no cluster at the address, or one that is too small.
    """
    check_tune()
    from supernet.workflow.ray_trials import Trials

    def drive(start: Start) -> bool:
        clock = Clock(budget.seconds, again, len(start.genes))
        trials = Trials(start, clock, progress)
        cluster = Cluster(address, workers)
        try:
            with quiet(folder):
                _run(cluster, trials, folder, seed=seed, workers=workers, device=device)
        finally:
            cluster.leave()
        if trials.error:
            raise trials.error
        return trials.complete

    return searched(problem, drive, budget=budget, seed=seed)


def _run(
    cluster: Cluster, trials: "Trials", folder: Path, *, seed: int, workers: int, device: str
) -> None:
    import torch
    from ray import tune
    from ray.tune.schedulers import AsyncHyperBandScheduler

    from supernet.workflow.ray_trials import (
        RESOURCE,
        VALUE,
        Deaths,
        Keeper,
        Suggestions,
        Trial,
        warn_of,
    )

    problem = trials.start.problem
    trainable = tune.with_parameters(
        Trial,
        rungs=(*problem.ladder, problem.objectives[0]),
        threads=max(1, min(torch.get_num_threads(), cluster.cpus // workers)),
    )
    tune.run(
        trainable,
        name=FOLDER,
        metric=VALUE,
        mode="max",
        stop=Keeper(trials),
        callbacks=[Deaths(warn_of)],
        resources_per_trial={"cpu": 1, "gpu": 0.0 if device == "cpu" else cluster.share(workers)},
        num_samples=-1,  # until the searcher has no more
        storage_path=str(folder.resolve()),
        search_alg=Suggestions(trials, seed),
        scheduler=AsyncHyperBandScheduler(
            time_attr=RESOURCE, max_t=REDUCTION ** len(problem.ladder), reduction_factor=REDUCTION
        ),
        verbose=0,
        max_failures=RETRIES,
        reuse_actors=True,
        raise_on_failed_trial=False,
        max_concurrent_trials=workers,
    )


@contextmanager
def quiet(folder: Path) -> Iterator[None]:
    """Tune keeps its files in a folder until the end, and says nothing."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
