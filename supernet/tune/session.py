"""One call of `supernet.tune`: the study with where it is kept and who executes."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from supernet.errors import FileFormatError, TrainingError
from supernet.evaluate.ray_cluster import starts_here
from supernet.locks import LOCK, alone
from supernet.progress import Progress
from supernet.space import save_space
from supernet.studies import Storage
from supernet.train import save_recipe
from supernet.tune.check import check_plan
from supernet.tune.confirm import confirm_best
from supernet.tune.contract import Executor, Train
from supernet.tune.executors import InProcess, Workers
from supernet.tune.identity import claim_folder, identity_of
from supernet.tune.load import save_study
from supernet.tune.loop import run_trials
from supernet.tune.memory import check_memory, measured_need
from supernet.tune.optuna import OptunaProposer
from supernet.tune.page import write_page
from supernet.tune.plan import Plan
from supernet.tune.ray_tune import RayTune, ask_tune
from supernet.tune.result import Confirmed, StudyResult, load_result, save_result
from supernet.tune.trial import TrainTrial
from supernet.workflow.engines import places
from supernet.workflow.request import RAY_TUNE

__all__ = ["Session"]

_FRESH = 1000  # above the study's seed: none that it has trained with


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything that `supernet.tune` was asked for, resolved."""

    plan: Plan
    data: str
    images: int
    """To train on."""
    fingerprint: str
    """Of these; empty where they cannot change."""
    holdout_images: int
    folder: Path
    sampler: str
    pruner: str
    grace_epochs: int
    engine: str
    ray_address: str
    workers: int
    storage: str
    """Empty for a file in the folder."""
    seed: int
    device: str
    progress: Progress

    def run(self, trials: int, confirm: int) -> StudyResult:
        """Go on with the study until it has so many trials, confirm the best, write the files.

        Raises:
            TrainingError: all trials failed.
        """
        remarks = check_plan(self.plan, self.images)
        with self._alone("opens the study"):
            proposer = self._proposer(remarks)
        save_study(self.plan.study, self.folder / "study.yaml")
        if proposer.count() < trials:
            self._check_memory()
            run_trials(
                self.plan,
                proposer,
                self._executor(proposer),
                trials=trials,
                folder=self.folder / "trials",
                seed=self.seed,
                progress=self.progress,
            )
        if proposer.count() < trials:
            remarks.append("the study ended early: what was proposed was known already")
        result = self._result(proposer, remarks)
        save_result(result)
        self._check_some_good(result)
        with self._alone("confirms the best trial"):
            result = replace(result, confirmed=_confirmed_before(self.folder))
            return self._written(self._confirmed(result, confirm))

    def _alone(self, does: str) -> AbstractContextManager[None]:
        """While others who are at the same study wait."""
        told = f"waiting for another process that {does}"
        return alone(self.folder / LOCK, waiting=lambda: self.progress(0, 1, told))

    def _proposer(self, remarks: list[str]) -> OptunaProposer:
        identity = identity_of(
            self.plan,
            data=self.data,
            images=self.images,
            fingerprint=self.fingerprint,
            seed=self.seed,
        )
        proposer = OptunaProposer(
            self.plan,
            Storage(self._storage),
            identity,
            sampler=self.sampler,
            pruner="none" if self._is_rays else self.pruner,
            grace_epochs=self.grace_epochs,
            seed=self.seed,
            asking=ask_tune if self._is_rays else None,
        )
        claim_folder(self.folder, self.plan.study.name, proposer.mark, identity)
        values, reasons = self.plan.baseline()
        if values is not None:
            proposer.enqueue_baseline(values)
        else:
            why = "; ".join(reasons)
            remarks.append(f"the recipe as it is does not lie within the study ({why})")
        return proposer

    @property
    def _is_rays(self) -> bool:
        return self.engine == RAY_TUNE

    @property
    def _storage(self) -> str:
        return self.storage or f"sqlite:///{self.folder / 'study.sqlite'}"

    def _trains(self, count: int) -> list[Train]:
        """One for each worker, with GPUs in turn."""
        return [
            TrainTrial(data=self.data, device=place, subnet=self.plan.study.subnet)
            for place in places(self.device, count)
        ]

    def _executor(self, proposer: OptunaProposer | None = None) -> Executor:
        beat = proposer.beat if proposer else lambda: None
        if self._is_rays:
            halves = proposer is not None and self.pruner != "none"
            return RayTune(
                TrainTrial(data=self.data, device=self._of_actors, subnet=self.plan.study.subnet),
                folder=self.folder,
                epochs=self.plan.epochs,
                grace_epochs=self.grace_epochs if halves else 0,
                known=proposer.records() if proposer else (),
                workers=self.workers,
                device=self._of_actors,
                address=self.ray_address,
                idle=beat,
            )
        if self.workers == 1:
            return InProcess(self._trains(1)[0], idle=beat)
        return Workers(self._trains(self.workers), idle=beat)

    @property
    def _of_actors(self) -> str:
        """The device as an actor calls it: Ray gives each its own."""
        return "cuda" if self.device.startswith("cuda") else self.device

    def _check_memory(self) -> None:
        """Measure what one training takes, where there are to be several at once."""
        if self.workers == 1 or (self._is_rays and not starts_here(self.ray_address)):
            return
        trains = self._trains(self.workers)
        self.progress(0, 1, "measuring what one training takes of memory")
        need = measured_need(self.plan, trains[0], self.images)
        gpus = 0
        if self.device.startswith("cuda"):
            gpus = len({train.device for train in trains if isinstance(train, TrainTrial)})
        check_memory(self.workers, need, gpus=gpus)
        self.progress(1, 1, "measuring what one training takes of memory")

    def _result(self, proposer: OptunaProposer, remarks: list[str]) -> StudyResult:
        return StudyResult(
            name=self.plan.study.name,
            folder=str(self.folder),
            data=self.data,
            subnet=self.plan.study.subnet,
            epochs=self.plan.epochs,
            holdout_images=self.holdout_images,
            sampler=self.sampler,
            pruner=self.pruner,
            engine=self.engine,
            storage=Storage(self._storage).shown,
            trials=tuple(proposer.records()),
            importances=proposer.importances(),
            confirmed=_confirmed_before(self.folder),
            remarks=tuple(remarks),
        )

    def _check_some_good(self, result: StudyResult) -> None:
        if result.best is not None:
            return
        failed = [trial for trial in result.trials if trial.state == "failed"]
        count = sum(trial.state in ("failed", "pruned") for trial in result.trials)
        if failed:
            how = "failed" if count == len(failed) else "failed or were given up"
            raise TrainingError(
                f"all {count} trials of study {result.name!r} {how}; the last one: "
                f"{failed[-1].reason}",
                hint="widen or move the ranges of the study, or lower learning rates",
            )

    def _confirmed(self, result: StudyResult, seeds: int) -> StudyResult:
        """The result with the best trial held against the recipe as it is on fresh seeds."""
        best = result.best
        if best is None or best.baseline:
            return result
        executor = self._executor()
        first = self.seed + _FRESH
        try:
            for one in confirm_best(
                best.number,
                self.plan.made(best.values),
                self.plan.as_it_is(),
                executor,
                seeds=range(first, first + seeds),
                folder=self.folder / "confirm",
                known=result.confirmed,
                progress=self.progress,
            ):
                result = replace(result, confirmed=(*result.confirmed, one))
                save_result(result)
        finally:
            executor.close()
        return result

    def _written(self, result: StudyResult) -> StudyResult:
        """Write the best recipe and space, the result and the page."""
        best = result.best
        if best is not None:
            made = self.plan.made(best.values)
            name = f"{result.name}-best"
            about = f"trial {best.number} of study {result.name}: {best.value:.2f} % held out"
            folder = self.folder / "best"
            save_recipe(replace(made.recipe, name=name, about=about), folder / "recipe.yaml")
            save_space(replace(made.space, name=name, about=about), folder / "space.yaml")
        save_result(result)
        write_page(result, self.plan)
        return result


def _confirmed_before(folder: Path) -> tuple[Confirmed, ...]:
    try:
        return load_result(folder).confirmed
    except FileFormatError:  # the first time, or written by something else
        return ()
