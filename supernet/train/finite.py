"""Whether what a training has made is finite, asked once a checkpoint, and what if not."""

import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from supernet.errors import TrainingError
from supernet.train.checkpoint import list_checkpoints

__all__ = ["diverged", "first_not_finite"]


def first_not_finite(parts: Mapping[str, Iterable[Tensor]]) -> str | None:
    """The name of the first part with a value that is not finite; None where all are.

    The largest magnitudes are found in one pass over all tensors of a device, and the host
    waits for them at the end. They cannot overflow, as sums of squares would.

    Args:
        parts: tensors by what they are.
    """
    found: list[tuple[str, Tensor]] = []
    for name, tensors in parts.items():
        by_device = defaultdict[torch.device, list[Tensor]](list)
        for tensor in tensors:
            if tensor.is_floating_point() and tensor.numel():
                by_device[tensor.device].append(tensor.detach())
        for some in by_device.values():
            largest: Iterable[Tensor] = torch._foreach_norm(some, ord=math.inf)
            stacked = torch.stack([one.float() for one in largest])
            found.append((name, torch.isfinite(stacked).all()))
    return next((name for name, finite in found if not bool(finite)), None)


def diverged(
    what: str, folder: Path, *, checkpoints: Path, steps_per_epoch: int, precision: str
) -> TrainingError:
    """The error that ends a training, with what is left of it and the way on.

    Args:
        what: went wrong, and where.
        folder: of the run.
        checkpoints: folder of those that were made.
        steps_per_epoch: of the training.
        precision: that it computes in.
    """
    good = "no checkpoint was made yet: start again"
    made = list_checkpoints(checkpoints)
    if made:
        epoch = int(made[-1].name[5:]) / steps_per_epoch
        good = (
            f"the last good checkpoint is that of epoch {epoch:.4g}, {made[-1]}, which "
            "search and export take; --resume would meet the same again: start from it by "
            f"--init {shlex.quote(str(folder))}"
        )
    in_half = "" if precision == "fp32" else ", or --precision fp32"
    hint = f"{good} with a lower lr in the recipe, clip_norm, or non_finite: skip{in_half}"
    return TrainingError(what, hint=hint)
