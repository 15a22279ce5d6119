"""How long steps and evaluations of a training take on this device: some of them, made now.

They see random pixels of the right size, since images need not be decoded yet. A time is divided
by the multiply-adds of its subnets, so that a few steps tell of all: the mean work of a step is
known exactly, only the speed is measured.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from supernet.data import Dataset, ImageSet, Look, Views
from supernet.evaluate import Evaluator
from supernet.memory import keep_freed_memory
from supernet.models import Supernet
from supernet.progress import Progress, silent
from supernet.space import Space, decode, macs_of, sample
from supernet.train import Checkpoint, Phase, Recipe, phase_genes, save_checkpoint
from supernet.train.auxiliary import Trained, auxiliary_head
from supernet.train.batches import Batches
from supernet.train.optimize import Optimizer
from supernet.train.precision import at_precision
from supernet.train.processes import Processes
from supernet.train.step import Step
from supernet.train.teacher import Teachers
from supernet.workflow.planning.saved import saved_bytes

__all__ = ["Speed", "kind_of", "phase_work", "time_steps"]

_IMAGES = 8, 500
"""Of a timed step and a timed evaluation on a CPU, at least and at most."""
_DRAWS = 200
_MEAN, _STD = (0.5,) * 3, (0.25,) * 3

Kind: TypeAlias = tuple[object, ...]
"""What makes steps of two phases alike but for the multiply-adds of their subnets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What was measured."""

    step_s: dict[Kind, float]
    """Seconds for 10^9 multiply-adds of training, by the kind of a phase's steps."""
    evaluation_s: float
    """The same of recalibration and scoring, an image each."""
    checkpoint_s: float
    """Seconds to write a checkpoint."""
    saved_bytes: int
    """Of one image, that the largest subnet's backward pass needs, at the largest input size."""
    weight_bytes: int
    """Of the supernet."""
    took_s: float
    """Seconds that measuring took."""


def kind_of(phase: Phase) -> Kind:
    """The kind of a phase's steps."""
    return phase.subnets, bool(phase.distill), phase.teacher, phase.int8, phase.divergence


def phase_work(space: Space, phase: Phase) -> float:
    """Mean multiply-adds of a step's subnets for one image, by many draws."""
    drawn = [phase_genes(space, phase, 0, step) for step in range(_DRAWS)]
    return float(macs_of(space, np.concatenate(drawn)).sum() / _DRAWS)


def time_steps(
    supernet: Supernet,
    recipe: Recipe,
    look: Look,
    *,
    processes: Processes,
    seconds: float,
    gmacs: float = 3.0,
    progress: Progress = silent,
) -> Speed:
    """Time steps of each kind, an evaluation and a checkpoint; the weights are of no use after.

    Args:
        supernet: of the space, with the classes of the images.
        recipe: whose steps; a phase that searches counts as one that does not.
        look: at the images.
        processes: the device, and how many share a step's images.
        seconds: to spend on it, or a little more: two steps of each kind are made.
        gmacs: 10^9 multiply-adds of a step, about, on a CPU: steps of more images take in
            proportion longer, and in shorter ones other costs would show.
        progress: told about it.
    """
    since = time.perf_counter()
    if processes.device == "cpu":
        keep_freed_memory()  # as a training does
    recipe = at_precision(recipe, processes.device)
    share = max(1, recipe.batch_size // (recipe.accumulate * processes.count))
    work = phase_work(supernet.space, recipe.phases[-1])
    images = share if processes.device != "cpu" else min(share, _images(gmacs, work))
    alone = Processes(device=processes.device)
    evaluated = _images(gmacs, work / len(recipe.phases[-1].subnets))
    dataset = _random_images(look, supernet.space, images, evaluated)
    one = replace(recipe, batch_size=images, accumulate=1)
    supernet.to(torch.device(processes.device), memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs know it for tensors only
    saved = saved_bytes(supernet, one.precision)
    phases = {kind_of(phase): phase for phase in one.phases}  # the last of each kind
    with tempfile.TemporaryDirectory(prefix="supernet-plan-") as folder:
        teachers = Teachers(supernet, one, Path(folder), dataset)
        if any(phase.distill and phase.teacher == "frozen" for phase in phases.values()):
            teachers.keep()
        step_s = {}
        for done, (kind, phase) in enumerate(phases.items()):
            progress(done + 1, len(phases) + 1, "timing some steps")
            timed = _Phase(supernet, one, phase, dataset, teachers, alone)
            step_s[kind] = timed.speed(seconds * 0.8 / len(phases))
        progress(len(phases) + 1, len(phases) + 1, "timing some steps")
        evaluation_s = _evaluation_speed(supernet, dataset, processes.device)
        checkpoint_s = _checkpoint_time(supernet, one, Path(folder))
    return Speed(
        step_s=step_s,
        evaluation_s=evaluation_s,
        checkpoint_s=checkpoint_s,
        saved_bytes=saved,
        weight_bytes=sum(p.numel() * p.element_size() for p in supernet.parameters()),
        took_s=time.perf_counter() - since,
    )


def _images(gmacs: float, work: float) -> int:
    least, most = _IMAGES
    return max(least, min(most, round(gmacs * 1e9 / work)))


def _random_images(look: Look, space: Space, trained: int, evaluated: int) -> Dataset:
    side = look.side(space.resolutions[-1])
    rng = np.random.default_rng(0)
    pixels = rng.integers(
        0, 256, (max(4 * trained, evaluated), side, side, look.channels), dtype=np.uint8
    )
    labels = np.arange(len(pixels)) % space.num_classes
    some = ImageSet(pixels, labels)
    return Dataset(
        name="random",
        classes=look.classes,
        train=some,
        holdout=some.take(slice(evaluated)),
        test=some.take(slice(evaluated)),
        views=Views(mean=_MEAN[: look.channels], std=_STD[: look.channels]),
    )


class _Phase:
    """Steps of a phase as the trainer makes them."""

    def __init__(
        self,
        supernet: Supernet,
        recipe: Recipe,
        phase: Phase,
        dataset: Dataset,
        teachers: Teachers,
        processes: Processes,
    ) -> None:
        self._space, self._phase = supernet.space, phase
        self._device = torch.device(processes.device)
        self._batches = Batches(
            dataset,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            processes=processes,
        )
        trained = Trained(supernet, auxiliary_head(supernet, recipe, 0))
        self._optimizer = Optimizer(trained, recipe, self._device.type)
        self._step = Step(
            trained,
            recipe,
            replace(phase, search=None),
            self._batches,
            wrapped=None,
            teacher=teachers.get(phase, self._device),
            processes=processes,
            seed=0,
        )
        self._images = recipe.batch_size
        supernet.train()

    def speed(self, seconds: float) -> float:
        """Seconds for 10^9 multiply-adds: the mean of at least two steps after a first.

        The mean, since slow steps of a busy machine are part of a training too.
        """
        until = time.perf_counter() + seconds
        took = work = 0.0
        steps = 0
        try:
            self._one(0)
            while steps < 2 or (time.perf_counter() < until and steps < _DRAWS):
                steps += 1
                step_s, step_work = self._one(steps)
                took, work = took + step_s, work + step_work
        finally:
            self._batches.close()
        return took / work

    def _one(self, step: int) -> tuple[float, float]:
        """Seconds of a step, and its 10^9 multiply-adds."""
        genes = phase_genes(self._space, self._phase, 0, step)
        since = time.perf_counter()
        loss = self._step.gradients(step, self._optimizer.backward, genes)
        self._optimizer.step(1e-4)
        loss.item()  # waits for the device
        took = time.perf_counter() - since
        return took, float(macs_of(self._space, genes).sum()) * self._images / 1e9


def _evaluation_speed(supernet: Supernet, dataset: Dataset, device: str) -> float:
    """Seconds for 10^9 multiply-adds of an evaluation with as many images for calibration."""
    images = len(dataset.holdout)
    evaluator = Evaluator(supernet, dataset, device=device, calibration_images=images)
    genes = sample(supernet.space, 1, np.random.default_rng(0))
    (subnet,) = decode(supernet.space, genes)
    since = time.perf_counter()
    for _ in range(2):  # about as often views are made as they are there already
        evaluator.subnet_top1(subnet, "holdout")
    seconds = (time.perf_counter() - since) / 2
    return seconds / (float(macs_of(supernet.space, genes)[0]) * images / 1e9)


def _checkpoint_time(supernet: Supernet, recipe: Recipe, folder: Path) -> float:
    optimizer = Optimizer(supernet, recipe, next(supernet.parameters()).device.type)
    state = Checkpoint(step=1, weights=supernet.state_dict(), optimizer=optimizer.state())
    since = time.perf_counter()
    save_checkpoint(folder, state)
    return time.perf_counter() - since
