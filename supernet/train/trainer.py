"""The training engine: phases of a recipe, step by step, resumable at any checkpoint."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from supernet.data import Dataset, train_view
from supernet.errors import ConfigError, TrainingError
from supernet.files import append_line, write_text
from supernet.models import (
    Network,
    Supernet,
    extract,
    load_weights,
    save_weights,
    sort_channels,
)
from supernet.progress import Progress, silent
from supernet.space import Subnet, decode
from supernet.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from supernet.train.loss import distillation_loss
from supernet.train.recipe import Phase, Recipe
from supernet.train.sampling import phase_genes, step_rng

__all__ = ["Trainer"]

_CHECK_EVERY = 20  # steps between looks at the loss, each of which waits for the device


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A phase with its place in the whole training."""

    phase: Phase
    start: int
    """Steps done before it."""
    steps: int
    warmup: int

    def lr(self, step: int) -> float:
        """Learning rate of a step of the whole training."""
        done = step - self.start
        if done < self.warmup:
            return self.phase.lr * (done + 1) / self.warmup
        share = (done - self.warmup) / max(1, self.steps - self.warmup)
        low, high = self.phase.lr_end, self.phase.lr
        return low + (high - low) * 0.5 * (1 + math.cos(math.pi * share))


class Trainer:
    """Trains a supernet by a recipe.

    Args:
        supernet: its weights are changed in place.
        dataset: its training images are used, nothing else.
        recipe: the phases.
        folder: for ``checkpoints/`` and ``metrics.jsonl``.
        seed: of everything that is random.
        device: where to train, such as ``cpu`` or ``cuda``.
        progress: told about every step.
        after_phase: called with each finished phase; its values go to the metrics.

    Raises:
        ConfigError: fewer training images than one batch.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        recipe: Recipe,
        *,
        folder: Path,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress = silent,
        after_phase: Callable[[Phase], dict[str, Any]] | None = None,
    ) -> None:
        self.supernet = supernet.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs know it for tensors only
        self.dataset, self.recipe, self.folder = dataset, recipe, folder
        self.seed, self.device = seed, torch.device(device)
        self._progress = progress
        self._after_phase = after_phase or (lambda phase: {})
        self.steps_per_epoch = len(dataset.train) // recipe.batch_size
        if not self.steps_per_epoch:
            raise ConfigError(
                f"batch_size: {recipe.batch_size} is more than the {len(dataset.train)} "
                "training images",
                hint="set a smaller batch_size in the recipe",
            )
        self._stretches = list(self._plan())
        self.total_steps = sum(stretch.steps for stretch in self._stretches)
        self._labels = torch.from_numpy(dataset.train.labels).to(device)
        self.step = 0
        self._teacher: Network | None = None
        self._optimizer = self._new_optimizer()
        self._resumed = False

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _plan(self) -> Iterator[_Stretch]:
        start = 0
        for phase in self.recipe.phases:
            steps = max(1, round(phase.epochs * self.steps_per_epoch))
            yield _Stretch(phase, start, steps, round(phase.warmup_epochs * self.steps_per_epoch))
            start += steps

    def resume(self, checkpoint: Path) -> None:
        """Go on from a checkpoint folder as if never stopped.

        Raises:
            FileFormatError: it is damaged, or of another network.
        """
        state = load_checkpoint(checkpoint)
        load_weights(checkpoint / "supernet.safetensors", self.supernet)
        if state.step > self.total_steps:
            raise ConfigError(
                f"{checkpoint} is at step {state.step}, the recipe ends at {self.total_steps}"
            )
        self._optimizer = self._new_optimizer()
        if state.optimizer["state"]:
            self._optimizer.load_state_dict(state.optimizer)
        self.step, self._resumed = state.step, True
        if self.step >= self._stretches[0].steps:
            self._teacher = self._new_teacher()
            load_weights(self._checkpoints / "teacher.safetensors", self._teacher)
        self._trim_metrics()

    def train(self) -> None:
        """Run what is left of the recipe.

        Raises:
            TrainingError: the loss is not finite; the last checkpoint stays.
            StorageError: a checkpoint cannot be written.
        """
        for stretch in self._stretches:
            if self.step < stretch.start + stretch.steps:
                self._run(stretch)

    def _run(self, stretch: _Stretch) -> None:
        if self.step == stretch.start:
            self._optimizer = self._new_optimizer()
            if stretch.phase.sort_channels:
                self._sort_channels(stretch)
        end = stretch.start + stretch.steps
        self.supernet.train()
        losses: list[Tensor] = []
        since = time.perf_counter()
        while self.step < end:
            losses.append(self._train_step(stretch))
            self.step += 1
            if len(losses) % _CHECK_EVERY == 0:
                self._check_finite(losses)
            self._progress(self.step, self.total_steps, f"training, phase {stretch.phase.name!r}")
            if self.step == end or (self.step - stretch.start) % self.steps_per_epoch == 0:
                self._check_finite(losses)
                self._end_epoch(stretch, losses, time.perf_counter() - since)
                losses, since = [], time.perf_counter()

    def _sort_channels(self, stretch: _Stretch) -> None:
        """Order the channels, but for those of widths that the phases before trained."""
        before = [s.phase.elastic for s in self._stretches if s.start < stretch.start]
        sort_channels(
            self.supernet,
            trained_expand=_most([elastic.expand for elastic in before]),
            trained_width=_most([elastic.width for elastic in before]),
        )

    def _end_epoch(self, stretch: _Stretch, losses: list[Tensor], seconds: float) -> None:
        images = len(losses) * self.recipe.batch_size
        record: dict[str, Any] = {
            "step": self.step,
            "epoch": self.step / self.steps_per_epoch,
            "phase": stretch.phase.name,
            "loss": float(torch.stack(losses).mean()),
            "lr": stretch.lr(self.step - 1),
            "images_per_s": images / seconds,
        }
        if self.step == stretch.start + stretch.steps:
            if stretch is self._stretches[0]:
                self._teacher = self._new_teacher()
                save_weights(self._checkpoints / "teacher.safetensors", self._teacher.state_dict())
            record |= self._after_phase(stretch.phase)
            self.supernet.train()
        append_line(self.folder / "metrics.jsonl", json.dumps(record))
        weights = self.supernet.state_dict()
        state = Checkpoint(step=self.step, weights=weights, optimizer=self._optimizer.state_dict())
        save_checkpoint(self._checkpoints, state)

    def _train_step(self, stretch: _Stretch) -> Tensor:
        phase, recipe = stretch.phase, self.recipe
        for group in self._optimizer.param_groups:
            group["lr"] = stretch.lr(self.step)
        subnets = decode(
            self.supernet.space, phase_genes(self.supernet.space, phase, self.seed, self.step)
        )
        images, labels = self._batch(subnets[0].resolution)
        frozen = phase.distill > 0 and phase.teacher == "frozen"
        teacher = self._teacher_logits(images) if frozen else None
        self._optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for subnet in subnets:
            self.supernet.activate(subnet)
            logits = self._forward(images)
            loss = distillation_loss(
                logits,
                labels,
                teacher,
                weight=phase.distill,
                smoothing=recipe.label_smoothing,
            )
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            total += loss.detach()
            if teacher is None:
                teacher = logits.detach()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.supernet.parameters(), recipe.clip_norm)
        self._optimizer.step()
        return total / len(subnets)

    def _forward(self, images: Tensor) -> Tensor:
        """Logits of the active subnet, with dropout where it is the largest."""
        dropout = self.supernet.space.head.dropout
        if not dropout or self.supernet.subnet != self.supernet.largest:
            return self._plain_forward(images)
        on_gpu = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=on_gpu):
            torch.manual_seed(int(step_rng(self.seed, "dropout", self.step).integers(2**31)))
            self.supernet.dropout = dropout
            try:
                return self._plain_forward(images)
            finally:
                self.supernet.dropout = 0.0

    def _plain_forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.supernet(images)
        return logits

    def _batch(self, resolution: int) -> tuple[Tensor, Tensor]:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        size = self.recipe.batch_size
        index = np.sort(self._order(epoch)[position * size : (position + 1) * size])
        images = torch.from_numpy(self.dataset.train.pixels(index)).to(self.device)
        labels = self._labels[torch.from_numpy(index).to(self.device)]
        rng = step_rng(self.seed, "augment", self.step)
        return train_view(images, resolution, self.dataset.views, rng), labels

    def _order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        return _permutation(self.seed, epoch, len(self.dataset.train))

    def _new_optimizer(self) -> torch.optim.SGD:
        decayed = [p for p in self.supernet.parameters() if p.ndim > 1]
        rest = [p for p in self.supernet.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": rest},
        ]
        return torch.optim.SGD(
            groups,
            lr=0.1,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.momentum > 0,
        )

    def _new_teacher(self) -> Network:
        network = extract(self.supernet, self.supernet.largest)
        network.requires_grad_(False).eval()
        return network.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def _teacher_logits(self, images: Tensor) -> Tensor:
        assert self._teacher is not None
        logits: Tensor = self._teacher(images)
        return logits

    def _check_finite(self, losses: list[Tensor]) -> None:
        recent = torch.stack(losses[-_CHECK_EVERY:])
        if bool(torch.isfinite(recent).all()):
            return
        first = self.step - len(recent) + int((~torch.isfinite(recent)).nonzero()[0, 0])
        genes = phase_genes(self.supernet.space, self._phase_at(first), self.seed, first)
        subnets: list[Subnet] = decode(self.supernet.space, genes)
        raise TrainingError(
            f"the loss is not finite at step {first + 1}, subnet {subnets[0]}",
            hint="lower the recipe's lr or set clip_norm; the last checkpoint is kept",
        )

    def _phase_at(self, step: int) -> Phase:
        return next(s.phase for s in self._stretches if step < s.start + s.steps)

    def _trim_metrics(self) -> None:
        path = self.folder / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= self.step]
        write_text(path, "".join(line + "\n" for line in kept))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut short by a crash
        return math.inf


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return step_rng(seed, "order", epoch).permutation(count)


def _most(counts: Sequence[int]) -> int:
    """The largest number of choices that phases admitted; 0 stands for all of them."""
    return 0 if 0 in counts else max(counts, default=1)
