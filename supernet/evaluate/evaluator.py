"""Real accuracy of subnets: extracted, recalibrated, run over images."""

import time
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from supernet.data import Dataset, ImageSet, moved
from supernet.evaluate.batches import ViewBatches, ViewCache
from supernet.evaluate.fold import fold_norms
from supernet.evaluate.norms import recalibrate
from supernet.evaluate.task import CALIBRATION_IMAGES, Evaluation, EvaluationTask, Split
from supernet.memory import keep_freed_memory
from supernet.metrics import percent_true
from supernet.models import Network, Supernet, extract
from supernet.space import Subnet

__all__ = ["Evaluator", "Score", "images_at_once", "percent", "some_images"]

_BATCH_SIZE = 500
_BATCH_PIXELS = 200 * 128**2  # 300 are a tenth faster, and take half as much memory more
_KEPT_BYTES = 570 << 20  # of views, on the device: 3,000 colour images of 128 px
_SEED = 937162211  # the same images for every subnet


class Score(NamedTuple):
    """How good a subnet is on some images."""

    top1: float
    """Accuracy in percent."""
    loss: float
    """Mean cross-entropy, in nats."""


class Evaluator:
    """Takes recalibrated networks from a supernet and measures their accuracy.

    On a CPU it tells the C library to keep freed memory (`supernet.memory`). Images are
    held as pixels; of their views only small sets are kept.

    Args:
        supernet: where the weights are.
        dataset: statistics come from its training images.
        device: where to run.
        calibration_images: training images for the batch norm statistics, at most.
        batch_size: images at a time, at most; of large ones as many as have no more pixels
            together than 200 of 128 px, so that memory does not grow with the size.
            Statistics are averaged over batches.
        kept_bytes: of views that are kept on the device for the next subnet.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        *,
        device: str = "cpu",
        calibration_images: int = CALIBRATION_IMAGES,
        batch_size: int = _BATCH_SIZE,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self.supernet, self.dataset = supernet, dataset
        self._device, self._batch_size = torch.device(device), batch_size
        if self._device.type == "cpu":
            keep_freed_memory()
        self.device = device
        self._calibration = mixed_images(dataset.train, calibration_images)
        self._cache = ViewCache(kept_bytes)

    def network(self, subnet: Subnet, *, calibration_images: int = 0) -> Network:
        """The plain network of `subnet`, recalibrated, in eval mode.

        Args:
            subnet: to take from the supernet.
            calibration_images: of those of the evaluator, at most; 0 for all.
        """
        network = extract(self.supernet, subnet).to(memory_format=torch.channels_last)
        self.recalibrate(network, subnet.resolution, calibration_images)
        return network.eval()

    def recalibrate(self, network: Network, resolution: int, calibration_images: int = 0) -> None:
        """Compute the batch norm statistics of a network anew.

        Args:
            network: changed in place.
            resolution: input size in pixels.
            calibration_images: of those of the evaluator, at most; 0 for all.
        """
        images = calibration_images if calibration_images < len(self._calibration) else 0
        batches = self._views("calibration", resolution, images)
        size = self._images_of_batch(resolution)
        count = max(1, (images or len(self._calibration)) // size)  # the whole ones
        recalibrate(network, (batches[index] for index in range(count)))

    def evaluate(self, task: EvaluationTask) -> Evaluation:
        """Measure one subnet."""
        start = time.perf_counter()
        score = self.subnet_score(
            task.subnet,
            task.split,
            images=task.images,
            calibration_images=task.calibration_images,
        )
        return Evaluation(
            key=task.subnet.key,
            genes=task.genes,
            top1=score.top1,
            loss=score.loss,
            seconds=time.perf_counter() - start,
        )

    def top1(self, network: nn.Module, resolution: int, split: Split) -> float:
        """Accuracy of a network in percent."""
        return self.score(network, resolution, split).top1

    def subnet_top1(self, subnet: Subnet, split: Split) -> float:
        """Accuracy of `subnet`, recalibrated, in percent."""
        return self.subnet_score(subnet, split).top1

    def subnet_score(
        self, subnet: Subnet, split: Split, *, images: int = 0, calibration_images: int = 0
    ) -> Score:
        """Accuracy and loss of `subnet`, recalibrated.

        Args:
            subnet: to measure.
            split: on which images.
            images: how many of them at most; 0 for all.
            calibration_images: for the batch norm statistics, at most; 0 for all that the
                evaluator has.
        """
        network = self.network(subnet, calibration_images=calibration_images)
        fold_norms(network)
        return self.score(network, subnet.resolution, split, images=images)

    def score(self, network: nn.Module, resolution: int, split: Split, *, images: int = 0) -> Score:
        """Accuracy and loss of a network; its logits are never held for a whole split."""
        labels = moved(torch.from_numpy(self.images(split, images).labels), self._device)
        count = len(self._views(split, resolution, images))
        found, start = torch.zeros(count, 2, device=self._device), 0
        for index, logits in enumerate(self._logits(network, resolution, split, images)):
            own = labels[start : start + len(logits)]
            found[index, 0] = (logits.argmax(dim=1) == own).sum()
            found[index, 1] = nn.functional.cross_entropy(logits, own, reduction="sum")
            start += len(logits)
        # the only time that the host waits for the device
        hits, loss_sum = found.cpu().double().sum(dim=0).tolist()
        return Score(100.0 * hits / start, loss_sum / start)

    def logits(self, network: nn.Module, resolution: int, split: Split) -> Tensor:
        """Outputs for all images of a split, on the host, shape ``(N, classes)``."""
        return torch.cat(list(self._logits(network, resolution, split, 0))).cpu()

    def views(
        self, split: Split | Literal["calibration"], resolution: int, count: int = 0
    ) -> Sequence[Tensor]:
        """What the network sees of a split, in batches that are made when asked for.

        Args:
            split: ``calibration`` for the images of the batch norm statistics.
            resolution: input size in pixels.
            count: of the images at most, always the same; 0 for all.
        """
        return self._views(split, resolution, count)

    def images(self, split: str, count: int = 0) -> ImageSet:
        """The images of a split, or `count` of them at random, always the same."""
        sets = {
            "calibration": self._calibration,
            "holdout": self.dataset.holdout,
            "test": self.dataset.test,
        }
        return some_images(sets[split], count) if count else sets[split]

    def _images_of_batch(self, resolution: int) -> int:
        return images_at_once(resolution, self._batch_size)

    @torch.inference_mode()
    def _logits(
        self, network: nn.Module, resolution: int, split: Split, images: int
    ) -> Iterator[Tensor]:
        for batch in self._views(split, resolution, images):
            yield network(batch).float()

    def _views(self, split: str, resolution: int, images: int = 0) -> Sequence[Tensor]:
        def make() -> ViewBatches:
            return ViewBatches(
                self.images(split, images),
                resolution,
                self.dataset.views,
                batch_size=self._images_of_batch(resolution),
                device=self._device,
            )

        return self._cache.get((split, resolution, images), make)


def percent(logits: Tensor, labels: npt.NDArray[np.int64]) -> float:
    """Share of images whose largest logit is at their label, in percent."""
    return percent_true(logits.argmax(dim=1).numpy() == labels)


def images_at_once(resolution: int, most: int = _BATCH_SIZE) -> int:
    """How many images of a size make a batch."""
    return max(1, min(most, _BATCH_PIXELS // resolution**2))


def some_images(images: ImageSet, count: int) -> ImageSet:
    """At most `count` images, drawn at random: always the same ones, in their order.

    A larger count holds those of a smaller one.
    """
    return images.take(np.sort(_order(images)[:count]))


def mixed_images(images: ImageSet, count: int) -> ImageSet:
    """As `some_images`, in random order, so that each batch has its share of every class."""
    return images.take(_order(images)[:count])


def _order(images: ImageSet) -> npt.NDArray[np.int64]:
    return np.random.default_rng(_SEED).permutation(len(images))
