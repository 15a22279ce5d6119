"""What a training begins with, tried before images are decoded: what is wrong is told at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from supernet.data.outline import Outline, outline_of
from supernet.latency import LatencyTable
from supernet.models import Supernet
from supernet.models.published import Normalisation
from supernet.progress import Progress
from supernet.reading import Reading
from supernet.runs import Run
from supernet.space import Space
from supernet.train import Processes, Recipe, check_teachers
from supernet.train.batches import steps_per_epoch
from supernet.workflow.architecture import prepared
from supernet.workflow.start import normalisation_at, start_from

__all__ = ["Beginning", "begun", "of_images", "outlined", "seeded_supernet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """All of a training but its images."""

    supernet: Supernet
    """With the weights to start from, whose norms are not yet adapted to the images."""
    normalisation: Normalisation
    """That these weights were trained with; empty where it is not known."""
    recipe: Recipe
    """With the names of its targets."""
    tables: Mapping[str, LatencyTable]
    """Of the phases that search, by their names."""


def outlined(
    space: Space,
    recipe: Recipe,
    data: str,
    like: Run | None,
    *,
    seed: int,
    reading: Reading,
    progress: Progress,
) -> Outline:
    """The outline of the images; a batch of more than there are is refused.

    Args:
        space: whose largest input size is asked for.
        recipe: whose batch it is.
        data: as for `supernet.data.load_dataset`.
        like: a run whose images they are, in place of `data`.
        seed: of the hold-out.
        reading: how picture files will become pixels.
        progress: told about files that are read.

    Raises:
        DataError: the images are missing, or cannot be trained on.
        ConfigError: the batch is too large.
    """
    if like is not None:
        config = like.config()
        found = Outline(
            classes=config.classes, channels=config.in_channels, train_images=config.images
        )
    else:
        found = outline_of(
            data, resolution=space.resolutions[-1], seed=seed, reading=reading, progress=progress
        )
    if found.train_images:
        # a phase that searches learns weights from one half and choices from the other
        own = found.train_images // (2 if recipe.searching else 1)
        steps_per_epoch(own, recipe.batch_size)
    return found


def begun(
    space: Space,
    recipe: Recipe,
    outline: Outline,
    *,
    seed: int,
    processes: Processes,
    progress: Progress,
) -> Beginning:
    """Read the weights, try the teachers, find the targets.

    Args:
        space: what may be chosen.
        recipe: how to train, and from which weights.
        outline: of the images.
        seed: of random weights.
        processes: those that will train together.
        progress: told about downloads and measuring, and what was taken.

    Raises:
        SupernetError: as `start_from`, `check_teachers` and `prepared`.
    """
    own = of_images(space, outline.classes, outline.channels)
    supernet, normalisation = seeded_supernet(own, seed), normalisation_at(recipe.init)
    with processes.one_a_machine_first():
        if recipe.init:
            start_from(supernet, recipe.init, progress, classes=outline.classes)
        check_teachers(own, recipe, outline.classes)
        recipe, tables = prepared(own, recipe, progress)
    return Beginning(supernet=supernet, normalisation=normalisation, recipe=recipe, tables=tables)


def of_images(space: Space, classes: Sequence[str], in_channels: int) -> Space:
    """The space with the classes and channels of images, as `Run.space` has it."""
    return replace(space, num_classes=len(classes), in_channels=in_channels)


def seeded_supernet(space: Space, seed: int) -> Supernet:
    """A new supernet whose random weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(space)
