"""Seconds of training steps, so that times become numbers of steps on a busy machine too.

Trainings take turns, a few steps each, for several rounds. Of each step the fastest round counts:
that is what it takes where nothing else runs.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from supernet.data import Dataset
from supernet.models import Supernet
from supernet.progress import Progress
from supernet.space import macs_of
from supernet.train import Phase, Processes, Recipe, Trainer, at_precision, phase_genes, scaled
from supernet.train.batches import steps_per_epoch
from supernet.workflow.planning.timing import Kind, kind_of, phase_work

__all__ = [
    "STEPS",
    "fastest",
    "fitted",
    "phase_turn",
    "phases_of",
    "recipe_seconds",
    "speeds_of",
    "training_turn",
]

STEPS = 6
"""Of a turn; the first is not timed."""

Turn = Callable[[Progress], None]
"""Trains for `STEPS` steps and tells about each."""


class _Clock:
    """A progress that notes when it is told."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, done: int, total: int, text: str) -> None:  # noqa: ARG002  # as Progress has it
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # what was asked of it may not have been done
        self.times.append(time.perf_counter())


def fastest(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Seconds of each training's steps after the first, the fastest of all rounds."""
    found: dict[str, list[list[float]]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            clock = _Clock()
            turn(clock)
            found[name].append(np.diff(clock.times).tolist())
    return {name: np.min(times, axis=0).tolist() for name, times in found.items()}


def phases_of(recipe: Recipe) -> dict[Kind, Phase]:
    """The last phase of each kind: steps of others differ from them by multiply-adds alone."""
    return {kind_of(phase): phase for phase in recipe.phases}


def phase_turn(
    supernet: Supernet, dataset: Dataset, recipe: Recipe, phase: Phase, device: str = "cpu"
) -> Turn:
    """Some steps of a phase as the trainer makes them; weights are of no use afterwards."""
    epochs = STEPS / steps_per_epoch(len(dataset.train), recipe.batch_size)
    short = replace(phase, epochs=epochs, warmup_epochs=0.0, lr=1e-4, lr_end=0.0)
    one = replace(recipe, phases=(replace(short, sort_channels=False),))

    return training_turn(supernet, dataset, one, device)


def training_turn(
    supernet: Supernet, dataset: Dataset, recipe: Recipe, device: str = "cpu"
) -> Turn:
    """A whole training, of which nothing is kept."""

    def turn(progress: Progress) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Trainer(
                supernet,
                dataset,
                recipe,
                folder=Path(folder),
                processes=Processes(device=device),
                progress=progress,
            ).train()

    return turn


def speeds_of(
    supernet: Supernet, recipe: Recipe, seconds: Mapping[str, list[float]]
) -> dict[Kind, float]:
    """Seconds for a multiply-add of an image, by the kind of phase.

    Args:
        supernet: that was timed.
        recipe: whose phases were.
        seconds: of the steps after the first, by the kind in words.
    """
    speeds = {}
    for kind, phase in phases_of(recipe).items():
        space = supernet.space
        macs = [macs_of(space, phase_genes(space, phase, 0, i)).sum() for i in range(1, STEPS)]
        speeds[kind] = sum(seconds[str(kind)]) / float(sum(macs))
    return speeds


def recipe_seconds(
    supernet: Supernet, recipe: Recipe, speeds: Mapping[Kind, float], images: int
) -> float:
    """Seconds of all steps of a recipe."""
    per_epoch = steps_per_epoch(images, recipe.batch_size)
    return sum(
        phase.epochs * per_epoch * phase_work(supernet.space, phase) * speeds[kind_of(phase)]
        for phase in recipe.phases
    )


def fitted(
    supernet: Supernet,
    recipe: Recipe,
    speeds: Mapping[Kind, float],
    images: int,
    seconds: float,
    device: str = "cpu",
) -> Recipe:
    """The recipe, as long as fills a time."""
    recipe = at_precision(recipe, device)
    factor = seconds / recipe_seconds(supernet, recipe, speeds, images)
    return scaled(recipe, recipe.epochs * factor)
