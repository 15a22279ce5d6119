"""Batches of evaluation views, made from stored pixels when they are asked for.

Views are floats, 4 times the size of the pixels and more: those of a large split are never
held at once. Small ones are kept, since many subnets see the same.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias, overload

import torch
from torch import Tensor

from supernet.data import ImageSet, Views, eval_view, moved

__all__ = ["ViewBatches", "ViewCache"]

_FLOAT_BYTES = 4
Key: TypeAlias = tuple[str, int, int]


class ViewBatches(Sequence[Tensor]):
    """What a network sees of some images, batch by batch; each is made when it is asked for.

    Args:
        images: whose views.
        resolution: side of a view in pixels.
        views: how an image is seen.
        batch_size: images of a batch; the last one may have fewer.
        device: where the views are made.
    """

    def __init__(
        self,
        images: ImageSet,
        resolution: int,
        views: Views,
        *,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._images, self._resolution, self._views = images, resolution, views
        self._batch_size, self._device = batch_size, device

    @property
    def num_bytes(self) -> int:
        """Of all batches together."""
        per_image = self._images.channels * self._resolution**2 * _FLOAT_BYTES
        return len(self._images) * per_image

    def __len__(self) -> int:
        return math.ceil(len(self._images) / self._batch_size)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = range(len(self))[index] * self._batch_size
        pixels = self._images.pixels(slice(start, start + self._batch_size))
        there = moved(torch.from_numpy(pixels), self._device)
        return eval_view(there, self._resolution, self._views)

    def made(self) -> list[Tensor]:
        """All batches, made now, in one block: many would leave holes in freed memory."""
        size = len(self._images), self._images.channels, self._resolution, self._resolution
        whole = torch.empty(size, device=self._device, memory_format=torch.channels_last)
        batches = list(torch.split(whole, self._batch_size))
        for kept, batch in zip(batches, self):
            kept.copy_(batch)
        return batches


class ViewCache:
    """Keeps the batches of small sets, up to a number of bytes; drops the oldest.

    Args:
        most_bytes: that are kept in all; a set that is larger is made anew each time.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, list[Tensor]] = OrderedDict()
        self._bytes: dict[Key, int] = {}

    def get(self, key: Key, make: Callable[[], ViewBatches]) -> Sequence[Tensor]:
        """The batches of `key`, kept or made."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        batches = make()
        if batches.num_bytes > self._most_bytes:
            return batches
        while sum(self._bytes.values()) + batches.num_bytes > self._most_bytes:
            oldest, _ = self._kept.popitem(last=False)
            del self._bytes[oldest]
        self._kept[key], self._bytes[key] = batches.made(), batches.num_bytes
        return self._kept[key]
