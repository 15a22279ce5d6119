"""The memory and the disk that a training takes."""

import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from supernet.data import Decoding, Look
from supernet.evaluate import CALIBRATION_IMAGES
from supernet.evaluate.evaluator import images_at_once
from supernet.memory import free_mib
from supernet.space import Space, largest_subnet, operators, peak_bytes
from supernet.train import Recipe
from supernet.workflow.planning.timing import Speed

__all__ = ["Needs", "needs_of", "own_mib", "parts_that_fit"]

_STEP_SHARE = 1.25
"""What a step takes at once, as a share of what its backward pass keeps: gradients of
activations, workspaces, what the allocator cannot use."""
_VIEW_BYTES = 570 << 20
"""Views that an evaluator keeps at most."""
_EVALUATED_SHARE = 3.0
"""What an evaluation's batch takes at once, as a share of the largest tensors of its images: more
than them, since memory that was freed in other sizes is not always used again."""
_FREE_SHARE = 0.7
"""Of the free memory that a step may take."""
_COPIES = 5
"""Of the weights: themselves, gradients, momenta, a subnet taken out, a checkpoint on its way."""
_CHECKPOINTS, _IN_CHECKPOINT = 3, 2
_FEWEST = 8
"""Images of a part of a step, so that batch norm has some to go by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a training takes at most, and what there is."""

    memory_mib: float
    """Of the machine, without pages of decoded images, which the system drops as it likes."""
    mapped_mib: float
    """Decoded images, which may fill memory that nobody else wants."""
    free_memory_mib: float
    """What this process already holds counts as free."""
    gpu_mib: float
    """Of the device's own memory; 0 on a CPU."""
    free_gpu_mib: float
    cache_mib: float
    """Disk for images that are still to be decoded."""
    run_mib: float
    """Disk for the run folder."""
    free_disk_mib: float


def parts_that_fit(recipe: Recipe, speed: Speed, *, processes: int, device: str) -> int:
    """Parts into which a step's images must be cut to fit into the memory that is free."""
    free = _free_gpu_mib(device) if device.startswith("cuda") else free_mib()
    parts = 1
    while (
        _step_mib(recipe.batch_size // (parts * processes), speed) > _FREE_SHARE * free
        and recipe.batch_size % (2 * parts * processes) == 0
        and recipe.batch_size // (2 * parts * processes) >= _FEWEST
    ):
        parts *= 2
    return parts


def needs_of(
    space: Space,
    recipe: Recipe,
    look: Look,
    speed: Speed,
    decoding: Decoding,
    *,
    processes: int,
    device: str,
    before_mib: float,
) -> Needs:
    """What a training takes, from what was noted in a step.

    Args:
        space: that is trained.
        recipe: how.
        look: at the images.
        speed: what was measured.
        decoding: of the images.
        processes: that share a step's images.
        device: where each trains.
        before_mib: that this process held before anything was timed, see `own_mib`.
    """
    step = _step_mib(recipe.batch_size // (recipe.accumulate * processes), speed)
    weights = _COPIES * speed.weight_bytes / 2**20
    evaluated = min(CALIBRATION_IMAGES, look.train_images) + look.holdout_images
    pixels = sum(size**2 for size in space.resolutions) * look.channels * 4
    views = min(_VIEW_BYTES, evaluated * pixels) / 2**20
    image = look.side(space.resolutions[-1]) ** 2 * look.channels / 2**20
    images = look.train_images + look.holdout_images + look.test_images
    measuring = views + _evaluated_mib(space)
    on_gpu = device.startswith("cuda")
    # what timing took is kept by this process for the training
    here = before_mib + max(own_mib() - before_mib, 0 if on_gpu else step + weights)
    copies = _CHECKPOINTS * _IN_CHECKPOINT * (1 + bool(recipe.ema))
    return Needs(
        memory_mib=here + (0 if on_gpu else measuring),
        mapped_mib=(images - decoding.streamed) * image,
        free_memory_mib=free_mib() + own_mib(),
        gpu_mib=step + weights + measuring if on_gpu else 0,
        free_gpu_mib=_free_gpu_mib(device) if on_gpu else 0,
        cache_mib=decoding.new_bytes / 2**20,
        run_mib=copies * speed.weight_bytes / 2**20,
        free_disk_mib=min(look.free_disk_bytes(), _free_here_bytes()) / 2**20,
    )


def _evaluated_mib(space: Space) -> float:
    """What a batch of the largest subnet takes in an evaluation."""
    one = max(peak_bytes(operator) for operator in operators(space, largest_subnet(space)))
    return _EVALUATED_SHARE * images_at_once(space.resolutions[-1]) * one / 2**20


def _step_mib(images: int, speed: Speed) -> float:
    return _STEP_SHARE * images * speed.saved_bytes / 2**20


def _free_gpu_mib(device: str) -> float:
    return float(torch.cuda.mem_get_info(device)[0]) / 2**20


def _free_here_bytes() -> int:
    return shutil.disk_usage(".").free


def own_mib() -> float:
    """What this process holds now: Python, torch, and what it has read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    except OSError:  # not Linux: the most that it ever held, in KiB or bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return pages * resource.getpagesize() / 2**20
