"""Real accuracy of subnets: extracted, recalibrated, run over images."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from supernet.data import Dataset, ImageSet, eval_view
from supernet.evaluate.recalibrate import recalibrate
from supernet.models import Network, Supernet, extract
from supernet.space import Subnet

__all__ = ["Evaluator", "Score", "Split"]

Split = Literal["holdout", "test"]


class Score(NamedTuple):
    """How good a subnet is on some images."""

    top1: float
    """Accuracy in percent."""
    loss: float
    """Mean cross-entropy, in nats."""


class Evaluator:
    """Takes recalibrated networks from a supernet and measures their accuracy.

    Args:
        supernet: where the weights are.
        dataset: statistics come from its training images.
        device: where to run.
        calibration_images: training images for the batch norm statistics, at most.
        batch_size: images at a time; statistics are averaged over batches.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        *,
        device: str = "cpu",
        calibration_images: int = 2000,
        batch_size: int = 250,
    ) -> None:
        self.supernet, self.dataset = supernet, dataset
        self._device, self._batch_size = torch.device(device), batch_size
        count = min(calibration_images, len(dataset.train))
        rng = np.random.default_rng(937162211)  # the same images for every subnet
        index = np.sort(rng.choice(len(dataset.train), count, replace=False))
        self._calibration = dataset.train.take(index)
        self._views = lru_cache(maxsize=4)(self._make_views)

    def network(self, subnet: Subnet) -> Network:
        """The plain network of `subnet`, recalibrated, in eval mode."""
        network = extract(self.supernet, subnet).to(memory_format=torch.channels_last)
        batches = self._views("calibration", subnet.resolution)
        whole = [batch for batch in batches if len(batch) == len(batches[0])]
        recalibrate(network, whole)
        return network.eval()

    def top1(self, network: nn.Module, resolution: int, split: Split) -> float:
        """Accuracy of a network in percent."""
        return percent(self.logits(network, resolution, split), self.images(split).labels)

    def subnet_top1(self, subnet: Subnet, split: Split) -> float:
        """Accuracy of `subnet`, recalibrated, in percent."""
        return self.subnet_score(subnet, split).top1

    def subnet_score(self, subnet: Subnet, split: Split) -> Score:
        """Accuracy and loss of `subnet`, recalibrated."""
        logits = self.logits(self.network(subnet), subnet.resolution, split)
        labels = self.images(split).labels
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        return Score(percent(logits, labels), float(loss))

    @torch.inference_mode()
    def logits(self, network: nn.Module, resolution: int, split: Split) -> Tensor:
        """Outputs for all images of a split, shape ``(N, classes)``."""
        return torch.cat([network(batch).cpu() for batch in self._views(split, resolution)])

    def views(self, split: Split, resolution: int) -> Sequence[Tensor]:
        """What the network sees of a split, in batches."""
        return self._views(split, resolution)

    def images(self, split: str) -> ImageSet:
        """The images of a split."""
        sets = {
            "calibration": self._calibration,
            "holdout": self.dataset.holdout,
            "test": self.dataset.test,
        }
        return sets[split]

    def _make_views(self, split: str, resolution: int) -> list[Tensor]:
        images = self.images(split)
        starts = range(0, len(images), self._batch_size)
        return [
            eval_view(
                torch.from_numpy(images.pixels(slice(i, i + self._batch_size))).to(self._device),
                resolution,
                self.dataset.views,
            )
            for i in starts
        ]


def percent(logits: Tensor, labels: npt.NDArray[np.int64]) -> float:
    """Share of images whose largest logit is at their label, in percent."""
    hits = logits.argmax(dim=1).numpy() == labels
    return 100.0 * float(hits.mean())
