"""The training engine: phases of a recipe, step by step, resumable at any checkpoint."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from supernet.data import Dataset
from supernet.elastic import ElasticBatchNorm
from supernet.errors import ConfigError, TrainingError
from supernet.evaluate import Evaluator
from supernet.latency import LatencyPredictor
from supernet.memory import keep_freed_memory
from supernet.models import Supernet, load_weights, save_weights, sort_channels
from supernet.progress import Progress, silent
from supernet.space import decode
from supernet.train.architecture.phase import ArchitecturePhase
from supernet.train.auxiliary import Trained, auxiliary_head
from supernet.train.batches import Batches
from supernet.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from supernet.train.finite import diverged, first_not_finite
from supernet.train.optimize import Average, Optimizer
from supernet.train.precision import at_precision
from supernet.train.processes import Processes
from supernet.train.recipe import Phase, Recipe
from supernet.train.records import Records
from supernet.train.sampling import phase_genes
from supernet.train.schedule import Stretch, plan
from supernet.train.step import Step
from supernet.train.teacher import Teachers, only_largest

__all__ = ["Trainer"]

_CHECK_EVERY = 20  # steps between looks at the loss, each of which waits for the device
_MOST_SKIPPED = 50  # steps in a row


class Trainer:
    """Trains a supernet by a recipe.

    Args:
        supernet: its weights are changed in place.
        dataset: its training images are used, nothing else.
        recipe: the phases.
        folder: for ``checkpoints/``, ``metrics.jsonl`` and, where a phase searches,
            ``architecture.jsonl``.
        seed: of everything that is random.
        processes: those that train together, and where; the first one writes.
        progress: told about every step.
        after_phase: called with each finished phase; its values go to the metrics.
        latencies: by the names of the phases that search, what predicts their latencies.
        after_epoch: called with the record of each epoch, after the checkpoint before it and
            with averaged weights in place; its values go to the metrics. What it raises ends
            the training.

    Raises:
        ConfigError: fewer training images than one batch, or a frozen teacher that nobody
            has trained.
    """

    def __init__(  # noqa: PLR0913  # what a training is made of
        self,
        supernet: Supernet,
        dataset: Dataset,
        recipe: Recipe,
        *,
        folder: Path,
        seed: int = 0,
        processes: Processes | None = None,
        progress: Progress = silent,
        after_phase: Callable[[Phase], dict[str, Any]] | None = None,
        latencies: Mapping[str, LatencyPredictor] | None = None,
        after_epoch: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self._processes = processes or Processes()
        self.device = torch.device(self._processes.device)
        self.supernet = supernet.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs know it for tensors only
        recipe = at_precision(recipe, self._processes.device)
        self.recipe, self.folder, self.seed = recipe, folder, seed
        self._dataset, self._latencies = dataset, latencies or {}
        if self.device.type == "cpu":
            keep_freed_memory()
        self._progress = progress
        self._after_phase = after_phase or (lambda phase: {})
        self._after_epoch = after_epoch or (lambda record: {})
        self._records = Records(folder)
        self.batches = Batches(
            dataset,
            batch_size=recipe.batch_size,
            parts=recipe.accumulate,
            seed=seed,
            augment=recipe.augment,
            processes=self._processes,
        )
        self.steps_per_epoch = self.batches.steps_per_epoch
        self._stretches = plan(recipe.phases, self.steps_per_epoch)
        self.total_steps = self._stretches[-1].end
        self.step, self._skipped, self._skipped_in_row = 0, 0, 0
        self._searched: dict[str, Any] = {}
        """State of the search of the phase that goes on, from a checkpoint."""
        self._trained = Trained(self.supernet, auxiliary_head(self.supernet, recipe, seed))
        self._wrapped = self._wrap()
        self._teachers = Teachers(self.supernet, recipe, self._checkpoints, dataset)
        self._optimizer = self._new_optimizer()
        self._average = Average(self._trained, recipe.ema) if recipe.ema else None

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _wrap(self) -> DistributedDataParallel | None:
        if self._processes.count == 1:
            return None
        for module in self._trained.modules():
            if isinstance(module, ElasticBatchNorm):
                module.shared = self.recipe.sync_norm
        # of a depthwise weight's two layouts, which are the same in memory
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
        with warnings.catch_warnings():  # newer versions of torch have another word for it
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(self._trained, broadcast_buffers=False)

    def _new_optimizer(self) -> Optimizer:
        return Optimizer(self._trained, self.recipe, self.device.type)

    def resume(self, checkpoint: Path) -> None:
        """Go on from a checkpoint folder as if never stopped.

        Raises:
            FileFormatError: it is damaged, or of another network.
            ConfigError: it is of another recipe.
        """
        state = load_checkpoint(checkpoint)
        if state.step > self.total_steps:
            raise ConfigError(
                f"{checkpoint} is at step {state.step}, the recipe ends at {self.total_steps}"
            )
        load_weights(checkpoint / "supernet.safetensors", self.supernet)
        self._trained.load_head(state.auxiliary)
        if self._average:
            self._average.restart()
        if state.raw is not None:
            load_weights(checkpoint / "raw.safetensors", self.supernet)
            self._trained.load_head(state.raw_auxiliary)
        self._optimizer = self._new_optimizer()
        self._optimizer.load(state.optimizer)
        self.step, self._skipped = state.step, state.skipped
        self._searched = state.architecture
        self._teachers.resume(self._stretches[0].end <= state.step)

    def train(self) -> None:
        """Run what is left of the recipe.

        Raises:
            TrainingError: the loss is not finite; the last checkpoint stays.
            StorageError: a checkpoint cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._processes.is_main:
            self._records.trim(self.step)
        try:
            with _repeatable():
                for stretch in self._stretches:
                    if self.step < stretch.end:
                        self._run(stretch)
        finally:
            self.batches.close()

    def _run(self, stretch: Stretch) -> None:
        if self.step == stretch.start:
            self._begin(stretch)
        with self._searching(stretch) as search:
            self._run_steps(stretch, search)

    @contextmanager
    def _searching(self, stretch: Stretch) -> Iterator[ArchitecturePhase | None]:
        """The search of a phase, where the checkpoint left it; None where it has none."""
        if stretch.phase.search is None:
            yield None
            return
        search = ArchitecturePhase(
            self.supernet,
            self._dataset,
            self.recipe,
            stretch,
            predictor=self._latencies[stretch.phase.name],
            processes=self._processes,
            seed=self.seed,
        )
        if self.step > stretch.start:
            search.method.load(self._searched)
        try:
            yield search
        finally:
            search.close()

    def _run_steps(self, stretch: Stretch, search: ArchitecturePhase | None) -> None:
        batches = search.batches if search else self.batches
        weights = Step(
            self._trained,
            self.recipe,
            stretch.phase,
            batches,
            wrapped=self._wrapped,
            teacher=self._teachers.get(stretch.phase, self.device),
            processes=self._processes,
            seed=self.seed,
            total_steps=self.total_steps,
        )
        work = search.step(weights) if search else weights
        self.supernet.train()
        losses: list[Tensor] = []
        since, waited = time.perf_counter(), batches.waited_s
        while self.step < stretch.end:
            losses.append(work.gradients(self.step, self._optimizer.backward))
            self._apply(stretch)
            self.step += 1
            if len(losses) % _CHECK_EVERY == 0:
                self._check_finite(losses)
            self._progress(self.step, self.total_steps, f"training, phase {stretch.phase.name!r}")
            if self.step == stretch.end or (self.step - stretch.start) % self.steps_per_epoch == 0:
                self._check_finite(losses)
                seconds = time.perf_counter() - since
                times = {
                    "images_per_s": len(losses) * self.recipe.batch_size / seconds,
                    "data_wait": (batches.waited_s - waited) / seconds,
                }
                self._end_epoch(stretch, losses, times, search)
                losses = []
                since, waited = time.perf_counter(), batches.waited_s

    def _begin(self, stretch: Stretch) -> None:
        """Start a phase: from averaged weights, with sorted channels and a new optimiser."""
        if self._average:
            self._average.adopt()
        self._optimizer = self._new_optimizer()
        if stretch.start == 0 and self._teachers.at_start:
            self._keep_teacher(own_statistics=False)  # a supernet was trained before, maybe
        if stretch.phase.sort_channels:
            if not self.recipe.sync_norm:  # each process has seen other images
                self._processes.copy_from_main(self._trained.buffers())
            # but for the channels of widths that the phases before trained
            before = [s.phase.elastic for s in self._stretches if s.start < stretch.start]
            sort_channels(
                self.supernet,
                by=stretch.phase.sort_by,
                trained_expand=_most([elastic.expand for elastic in before]),
                trained_width=_most([elastic.width for elastic in before]),
            )
        if self._average:
            self._average.restart()

    def _apply(self, stretch: Stretch) -> None:
        """Turn the gradients into new weights, unless they are not finite."""
        if self._optimizer.step(stretch.lr(self.step)):
            self._skipped_in_row = 0
            if self._average:
                self._average.update(self.step - stretch.start)
            return
        for module in self._trained.modules():
            if isinstance(module, ElasticBatchNorm):  # they have seen what made the gradients so
                module.mend()
        self._skipped, self._skipped_in_row = self._skipped + 1, self._skipped_in_row + 1
        if self._skipped_in_row > _MOST_SKIPPED:
            raise self._not_finite(self.step, f"gradients of {_MOST_SKIPPED} steps in a row are")

    def _end_epoch(
        self,
        stretch: Stretch,
        losses: list[Tensor],
        times: dict[str, float],
        search: ArchitecturePhase | None,
    ) -> None:
        self._check_state(search)
        record: dict[str, Any] = {
            "step": self.step,
            "epoch": self.step / self.steps_per_epoch,
            "phase": stretch.phase.name,
            "loss": _finite_mean(self._processes.mean(torch.stack(losses))),
            "lr": stretch.lr(self.step - 1),
            **times,
        }
        if self.recipe.non_finite == "skip":
            record["skipped"] = self._skipped
        raw, raw_head = None, dict[str, Tensor]()
        if self._average:
            raw_head = self._trained.head_state()
            raw = {name: value.clone() for name, value in self.supernet.state_dict().items()}
        with self._average.in_place() if self._average else nullcontext():
            if self.step == stretch.end:
                if stretch.start == 0 and self._teachers.after_first:
                    self._keep_teacher(own_statistics=self._is_own(stretch.phase))
                if self._processes.is_main:
                    record |= self._after_phase(stretch.phase)
            if self._processes.is_main:
                record |= self._after_epoch(record)
            self.supernet.train()
            if self._processes.is_main:
                self._records.add(record, search.record() if search else None)
                state = Checkpoint(
                    step=self.step,
                    weights=self.supernet.state_dict(),
                    raw=raw,
                    auxiliary=self._trained.head_state(),
                    raw_auxiliary=raw_head,
                    optimizer=self._optimizer.state(),
                    skipped=self._skipped,
                    architecture=search.method.state() if search else {},
                )
                save_checkpoint(self._checkpoints, state)

    def _is_own(self, phase: Phase) -> bool:
        """Whether batch norm statistics after a phase are those of the largest subnet's weights."""
        same = self.recipe.sync_norm or self._processes.count == 1
        return same and not self._average and only_largest(phase)

    def _keep_teacher(self, *, own_statistics: bool) -> None:
        """Keep the largest subnet as it is now.

        Args:
            own_statistics: whether its batch norms keep those that training left; else they
                are measured.
        """
        network = None
        if not own_statistics:
            evaluator = Evaluator(self.supernet, self._dataset, device=self._processes.device)
            network = evaluator.network(self.supernet.largest)
        teacher = self._teachers.keep(network)
        if self._processes.is_main:
            save_weights(self._teachers.path, teacher.state_dict())

    def _check_finite(self, losses: list[Tensor]) -> None:
        if self.recipe.non_finite == "skip":
            return
        recent = self._processes.mean(torch.stack(losses[-_CHECK_EVERY:]))
        if not bool(torch.isfinite(recent).all()):
            first = int((~torch.isfinite(recent)).nonzero()[0, 0])
            raise self._not_finite(self.step - len(recent) + first, "the loss is")

    def _check_state(self, search: ArchitecturePhase | None) -> None:
        """No checkpoint of what the last step ruined; the first process's is what is kept."""
        parts = {
            "weights are": self._trained.parameters(),
            "batch norm statistics are": self._trained.buffers(),
            "averaged weights are": self._average.state().values() if self._average else (),
            "the optimiser's momenta are": self._optimizer.tensors(),
            "the search's choices are": [search.method.policy.logits] if search else (),
        }
        is_main = self._processes.is_main
        found = self._processes.broadcast(first_not_finite(parts) if is_main else None)
        if found:
            raise self._not_finite(self.step - 1, found)

    def _not_finite(self, step: int, what: str) -> TrainingError:
        stretch = next(s for s in self._stretches if step < s.end)
        subnet = "" if stretch.phase.search else self._subnet_words(stretch, step)
        return diverged(
            f"{what} not finite at step {step + 1}{subnet}",
            self.folder,
            checkpoints=self._checkpoints,
            steps_per_epoch=self.steps_per_epoch,
            precision=self.recipe.precision,
        )

    def _subnet_words(self, stretch: Stretch, step: int) -> str:
        genes = phase_genes(self.supernet.space, stretch.phase, self.seed, step)
        return f", subnet {decode(self.supernet.space, genes)[0]}"


def _finite_mean(losses: Tensor) -> float | None:
    """The mean of those that are finite; None where none is."""
    finite = losses[torch.isfinite(losses)]
    return float(finite.mean()) if len(finite) else None


def _most(counts: Sequence[int]) -> int:
    """The largest number of choices that phases allowed; 0 stands for all of them."""
    return 0 if 0 in counts else max(counts, default=1)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Gradients of convolutions are the same in each run: cuDNN adds some in any order."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic
    cudnn.deterministic = True
    try:
        yield
    finally:
        cudnn.deterministic = before
