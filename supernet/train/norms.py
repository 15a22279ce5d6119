"""What a batch norm sees at least in a training."""

from supernet.blocks import KINDS
from supernet.errors import ConfigError
from supernet.space import decode, operators
from supernet.space.spec import Space
from supernet.train.processes import Processes
from supernet.train.recipe import Recipe
from supernet.train.sampling import phase_domain

__all__ = ["check_norms"]


def check_norms(space: Space, recipe: Recipe, processes: Processes) -> None:
    """Refuse a training in which a batch norm would see one value a channel.

    Such a value is its own mean: it becomes 0 whatever it was, and has no variance to learn.

    Raises:
        ConfigError: one image at a time, at sizes whose last maps are 1x1.
    """
    share = recipe.batch_size // (recipe.accumulate * processes.count)
    seen = share * (processes.count if recipe.sync_norm else 1)
    if seen != 1:
        return
    cut = f"accumulate {recipe.accumulate}, processes {processes.count}"
    if recipe.auxiliary:
        raise ConfigError(
            f"batch_size: {recipe.batch_size} ({cut}) gives the batch norms of the auxiliary head "
            "one image at a time: one value a channel, of which there is no spread",
            hint="give a larger --batch-size, a smaller accumulate, fewer processes (or "
            "sync_norm: true), or auxiliary: 0",
        )
    for phase in recipe.phases:
        subnet = decode(space, phase_domain(space, phase).smallest())[0]
        for operator in operators(space, subnet):
            if operator.op in KINDS and operator.out_height * operator.out_width == 1:
                raise ConfigError(
                    f"batch_size: {recipe.batch_size} ({cut}) gives batch norm one image at a "
                    f"time, whose last maps are 1x1 at {subnet.resolution} px in phase "
                    f"{phase.name!r}: one value a channel, of which there is no spread",
                    hint="give a larger --batch-size, a smaller accumulate, fewer processes (or "
                    "sync_norm: true), or larger input sizes",
                )
