"""What a training goes on from, tried before its images are loaded."""

import numpy as np

from supernet.data import Dataset, ImageSet, Views
from supernet.errors import FileFormatError
from supernet.models import Supernet
from supernet.runs import Run, RunConfig
from supernet.train import Processes, Recipe, Trainer, check_teachers, list_checkpoints

__all__ = ["check_goes_on"]


def check_goes_on(
    run: Run, config: RunConfig, recipe: Recipe, supernet: Supernet, *, device: str
) -> None:
    """Refuse a newest checkpoint, or teachers, from which a training cannot go on.

    Args:
        run: that was stopped.
        config: of the run.
        recipe: of the run.
        supernet: of the run; the weights of the checkpoint are read into it.
        device: where it will be trained.

    Raises:
        FileFormatError: the checkpoint or its teacher is damaged.
        SupernetError: as `supernet.train.check_teachers`.
    """
    check_teachers(supernet.space, recipe, config.classes)
    found = list_checkpoints(run.checkpoints)
    if not found or not config.images:  # how many steps an epoch has is not known
        return
    trainer = Trainer(
        supernet,
        _as_many(config),
        recipe,
        folder=run.folder,
        seed=config.seed,
        processes=Processes(device=device),
    )
    try:
        trainer.resume(found[-1])
    except FileFormatError as error:
        before = f"remove that folder to go on from {found[-2].name}" if found[1:] else ""
        raise FileFormatError(str(error), hint=before or "start again") from None


def _as_many(config: RunConfig) -> Dataset:
    """As many images as the run has, which take no memory and show nothing."""
    pixels = np.broadcast_to(np.uint8(0), (config.images, 1, 1, config.in_channels))
    images = ImageSet(pixels, np.zeros(config.images, np.int64))
    return Dataset(
        name=config.data,
        classes=config.classes,
        train=images,
        holdout=images,
        test=images,
        views=Views(mean=config.mean, std=config.std),
    )
