"""The images of each step: a function of the seed and the step, read ahead in a thread."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from supernet.data import (
    Augment,
    Dataset,
    Draws,
    draw_views,
    drawn_from_blocks,
    drawn_view,
    mixed,
    moved,
)
from supernet.errors import ConfigError
from supernet.train.processes import Processes
from supernet.train.recipe import Recipe
from supernet.train.sampling import step_rng

__all__ = ["Batches", "check_shares", "steps_per_epoch"]


class Batches:
    """Training views, part by part of a step, for one of several processes.

    Args:
        dataset: its training images are used.
        batch_size: images a step, over all processes and parts.
        parts: into which a step is cut.
        seed: of the order and of the views.
        augment: replaces what the data set says about views.
        processes: each gets its share of every part, on its device.

    Raises:
        ConfigError: fewer images than a step needs, or a batch that does not divide.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        parts: int = 1,
        seed: int = 0,
        augment: Augment | None = None,
        processes: Processes | None = None,
    ) -> None:
        self._processes = processes or Processes()
        self.device = torch.device(self._processes.device)
        """Where the views are made."""
        self._images, self._batch_size, self._seed = dataset.train, batch_size, seed
        self._views = augment.applied(dataset.views) if augment else dataset.views
        self.steps_per_epoch = steps_per_epoch(len(self._images), batch_size)
        self._share = _share(batch_size, parts, self._processes.count, self._views.mixes)
        self._classes = len(dataset.classes)
        self._labels = torch.from_numpy(self._images.labels)
        self._parts = parts
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="supernet-batches")
        self._ahead: tuple[tuple[int, int], Future[_Raw]] | None = None
        self.waited_s = 0.0
        """Time that steps have waited for images so far; on a CPU their views are part of it."""

    def get(self, step: int, part: int, resolution: int) -> tuple[Tensor, Tensor]:
        """Views ``(n, C, resolution, resolution)`` and labels of this process.

        Labels are class indices ``(n,)``, or of mixed images the share of each class
        ``(n, classes)``.
        """
        since = time.perf_counter()
        pixels, labels, draws, partner, extents = self._take(step, part)
        pixels, labels = (moved(values, self.device) for values in (pixels, labels))
        if extents is None:
            views = drawn_view(pixels, resolution, self._views, draws)
        else:
            views = drawn_from_blocks(pixels, extents, resolution, self._views, draws)
        if self._views.mixes:
            views, labels = mixed(views, labels, partner, draws.mixes, self._classes)
        self.waited_s += time.perf_counter() - since
        return views, labels

    def close(self) -> None:
        """Stop reading ahead."""
        self._reader.shutdown(cancel_futures=True)

    def _take(self, step: int, part: int) -> "_Raw":
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead[0] != (step, part):
            raw = self._read(step, part)
        else:
            raw = ahead[1].result()
        following = (step, part + 1) if part + 1 < self._parts else (step + 1, 0)
        self._ahead = following, self._reader.submit(self._read, *following)
        return raw

    def _read(self, step: int, part: int) -> "_Raw":
        epoch, position = divmod(step, self.steps_per_epoch)
        order = _permutation(self._seed, epoch, len(self._images))
        size, share = self._batch_size, self._share
        index = order[position * size : (position + 1) * size]
        extents = self._images.extents(np.sort(index))
        rng = step_rng(self._seed, "augment", step)
        draws = draw_views(size, extents[:, 0], extents[:, 1], self._views, rng)
        start = (part * self._processes.count + self._processes.rank) * share
        # files are read in their order, and shares are drawn from all classes alike
        ranks = index.argsort().argsort()[start : start + share]
        by = ranks.argsort()
        rows, drawn = index[start : start + share][by], ranks[by]
        pixels = torch.from_numpy(self._images.blocks(rows))
        labels = self._labels[torch.from_numpy(rows)]
        if self.device.type == "cuda":
            pixels, labels = pixels.pin_memory(), labels.pin_memory()
        partner = by.argsort()[_partners(share)[by]]
        sides = extents[drawn] if self._images.has_sides else None
        return pixels, labels, draws[drawn], partner, sides


_Ints: TypeAlias = npt.NDArray[np.int64]
_Raw: TypeAlias = tuple[Tensor, Tensor, Draws, _Ints, npt.NDArray[np.float64] | None]
"""Pixels, class indices, draws, the row of the image that each may be mixed with, and height and
width of each picture where its pixels have sides."""


def _partners(share: int) -> _Ints:
    """Pairs of neighbours as drawn, so that no share needs an image of another one.

    Where one is left over, the first one is its partner, and another's too.
    """
    pairs = np.arange(share) ^ 1
    return np.where(pairs < share, pairs, 0)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Whole batches in so many training images.

    Raises:
        ConfigError: there is none.
    """
    if batch_size > images:
        raise ConfigError(
            f"batch_size: {batch_size} is more than the {images} training images",
            hint="give a smaller --batch-size",
        )
    return images // batch_size


def check_shares(recipe: Recipe, processes: Processes) -> None:
    """Refuse a batch that so many processes cannot share, before an image is decoded.

    Raises:
        ConfigError: it does not divide, or leaves an image without one to be mixed with.
    """
    augment = recipe.augment or Augment()
    mixes = bool(augment.mixup or augment.cutmix)
    _share(recipe.batch_size, recipe.accumulate, processes.count, mixes)


def _share(batch_size: int, parts: int, processes: int, mixes: bool) -> int:
    """Images of a part of a step that each process gets."""
    cut = f"({processes} processes, accumulate {parts})"
    share, rest = divmod(batch_size, parts * processes)
    if rest or not share:
        raise ConfigError(
            f"batch_size: {batch_size} cannot be cut into {parts * processes} equal shares {cut}",
            hint="give a --batch-size that they divide",
        )
    if mixes and processes > 1 and share % 2:
        raise ConfigError(
            f"batch_size: mixup and cutmix mix pairs, and a process's share of {batch_size} is "
            f"{share} images {cut}",
            hint="give a --batch-size that is twice as large, or fewer processes",
        )
    return share


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> _Ints:
    return step_rng(seed, "order", epoch).permutation(count)
