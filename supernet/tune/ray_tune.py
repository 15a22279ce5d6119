"""Trainings that Ray Tune runs: its ASHA gives them up (extra: ray)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from supernet.evaluate.ray_cluster import Cluster
from supernet.tune.contract import Outcome, Reporter, Task, Train, TrialRecord
from supernet.tune.line import Line
from supernet.tune.optuna import Define
from supernet.workflow.ray_tune import FOLDER, RETRIES, check_tune, quiet

__all__ = ["RayTune", "ask_tune"]


def ask_tune(study: Any, storage: Any, define: Define) -> None:
    """Have Tune's Optuna searcher propose a trial of a study.

    Args:
        study: of Optuna, with the sampler.
        storage: where it is kept.
        define: called with the new trial; asks it for the value of each parameter.
    """
    from ray.tune.search.optuna import OptunaSearch

    searcher = OptunaSearch(
        define,
        metric="value",
        mode="max",
        sampler=study.sampler,
        study_name=study.study_name,
        storage=storage,
    )
    searcher.suggest("next")


class RayTune:
    """Trainings as trials of Ray Tune, each in an actor; Tune ends with the last of them.

    Args:
        train: trains a task; must be picklable.
        folder: where Tune keeps its files until the end; one that all nodes see.
        epochs: of every training.
        grace_epochs: before which Tune's ASHA gives none up; 0 where it gives none up at all.
        known: trials of earlier calls, which it takes into account.
        workers: trainings at the same time.
        device: where they train; anything but ``cpu`` takes GPUs.
        address: of a running cluster (see `Cluster`).
        idle: called now and then meanwhile.

    Raises:
        MissingPackageError: Ray Tune or Optuna is not installed.
    """

    def __init__(  # noqa: PLR0913  # the options of a user
        self,
        train: Train,
        *,
        folder: Path,
        epochs: float,
        grace_epochs: int = 0,
        known: Sequence[TrialRecord] = (),
        workers: int = 1,
        device: str = "cpu",
        address: str = "",
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        check_tune()
        self._train, self._folder, self._epochs = train, folder, epochs
        self._grace, self._known = grace_epochs, known
        self._workers, self._device, self._address = workers, device, address
        self._idle = idle
        self._cluster: Cluster | None = None
        self._line: Line | None = None

    def run(self, following: Callable[[], Task | None], report: Reporter) -> Iterator[Outcome]:
        """As `Executor.run`.

        Raises:
            ConfigError: no cluster at the address, or one that is too small.
        """

        def placed() -> Task | None:
            task = following()
            return task and replace(task, folder=task.folder.resolve())  # nodes are elsewhere

        self._cluster = cluster = Cluster(self._address, self._workers)
        self._line = Line(lambda line: self._tune(cluster, line))
        try:
            with quiet(self._folder):
                yield from self._line.outcomes(placed, report, self._idle)
        finally:
            self.close()

    def close(self) -> None:
        """End Tune, its actors, and Ray where it was started here."""
        line, self._line = self._line, None
        cluster, self._cluster = self._cluster, None
        try:
            if line:
                line.leave()
        finally:
            if cluster:
                cluster.leave()

    def _tune(self, cluster: Cluster, line: Line) -> None:
        import torch
        from ray import tune

        from supernet.tune.ray_trials import Keeper, Tasks, Training
        from supernet.workflow.ray_trials import Deaths

        tasks = Tasks(line)
        trainable = tune.with_parameters(
            Training,
            train=self._train,
            epochs=self._epochs,
            threads=max(1, min(torch.get_num_threads(), cluster.cpus // self._workers)),
        )
        gpu = 0.0 if self._device == "cpu" else cluster.share(self._workers)
        tune.run(
            trainable,
            name=FOLDER,
            stop=Keeper(line),
            resources_per_trial={"cpu": 1, "gpu": gpu},
            num_samples=-1,  # until the study has no more
            storage_path=str(self._folder.resolve()),
            search_alg=tasks,
            callbacks=[Deaths(tasks.failed)],
            scheduler=self._scheduler(),
            trial_dirname_creator=lambda trial: trial.trial_id,
            verbose=0,
            max_failures=RETRIES,
            reuse_actors=True,
            raise_on_failed_trial=False,
            max_concurrent_trials=self._workers,
        )

    def _scheduler(self) -> Any:
        from ray.tune.schedulers import FIFOScheduler

        from supernet.tune.ray_trials import Halving

        if not self._grace:
            return FIFOScheduler()
        return Halving(grace=self._grace, epochs=self._epochs, known=self._known)
