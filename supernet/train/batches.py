"""The images of each step: a function of the seed and the step, read ahead in a thread."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

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
    moved,
)
from supernet.errors import ConfigError
from supernet.train.processes import Processes
from supernet.train.sampling import step_rng

__all__ = ["Batches", "steps_per_epoch"]


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
        shares = parts * self._processes.count
        if batch_size % shares:
            raise ConfigError(
                f"batch_size: {batch_size} cannot be cut into {shares} equal shares "
                f"({self._processes.count} processes, accumulate {parts})",
                hint="give a --batch-size that they divide",
            )
        self._share = batch_size // shares
        self._labels = torch.from_numpy(self._images.labels)
        self._parts = parts
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="supernet-batches")
        self._ahead: tuple[tuple[int, int], Future[_Raw]] | None = None
        self.waited_s = 0.0
        """Time that steps have waited for images so far; on a CPU their views are part of it."""

    def get(self, step: int, part: int, resolution: int) -> tuple[Tensor, Tensor]:
        """Views ``(n, C, resolution, resolution)`` and labels ``(n,)`` of this process."""
        since = time.perf_counter()
        pixels, labels, draws, extents = self._take(step, part)
        there = [moved(values, self.device) for values in (pixels, labels)]
        if extents is None:
            views = drawn_view(there[0], resolution, self._views, draws)
        else:
            views = drawn_from_blocks(there[0], extents, resolution, self._views, draws)
        self.waited_s += time.perf_counter() - since
        return views, there[1]

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
        index = np.sort(order[position * size : (position + 1) * size])
        extents = self._images.extents(index)
        rng = step_rng(self._seed, "augment", step)
        draws = draw_views(size, extents[:, 0], extents[:, 1], self._views, rng)
        start = (part * self._processes.count + self._processes.rank) * share
        rows = slice(start, start + share)
        pixels = torch.from_numpy(self._images.blocks(index[rows]))
        labels = self._labels[torch.from_numpy(index[rows])]
        if self.device.type == "cuda":
            pixels, labels = pixels.pin_memory(), labels.pin_memory()
        return pixels, labels, draws[rows], extents[rows] if self._images.has_sides else None


_Raw = tuple[Tensor, Tensor, Draws, npt.NDArray[np.float64] | None]
"""Pixels, labels, draws; height and width of each picture where its pixels have sides."""


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


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return step_rng(seed, "order", epoch).permutation(count)
