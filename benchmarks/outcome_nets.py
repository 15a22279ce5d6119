"""Networks that a person would take anyway, trained well, and the files that they become.

``mobilenet_v2_0.5@96`` is torchvision's MobileNetV2 of half width at 96 px, ``mobilenet_v3_small``
torchvision's, ``efficientnet_lite0`` timm's (``tf_efficientnet_lite0``), from random weights or
from its ImageNet weights. For images of less than 48 px the first halving is left out: without two,
as is usual for long trainings on CIFAR-10, they learn less in minutes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from supernet.export.formats.onnx import open_onnx, to_onnx
from torch import nn

from supernet.data import Dataset, ImageSet
from supernet.evaluate import CALIBRATION_IMAGES, recalibrate
from supernet.evaluate.batches import ViewBatches
from supernet.metrics import percent_true
from supernet.models.imagenet import narrow_classifier
from supernet.models.packaged import weights_path
from supernet.models.weights import load_tensors
from supernet.progress import Progress, silent
from supernet.train import (
    Phase,
    Recipe,
    at_batch_size,
    at_precision,
    load_recipe,
    standalone_recipe,
)
from supernet.train.batches import steps_per_epoch
from supernet.train.finetune import finetune

__all__ = ["Rival", "Start", "file_top1", "recipes", "train_alone", "train_rival", "write_file"]

Start: TypeAlias = Literal["scratch", "published"]

PUBLISHED = "efficientnet_lite0"
"""The network of others that starts from real weights, those of a package."""
AS_OURS = "as our networks alone"
"""The recipe of ours, in a phase."""
_WIDTH = re.compile(r"mobilenet_v2_(\d+(?:\.\d+)?)")
_SMALL = 48  # px: below it, networks made for photographs halve too often
_BATCH = 100
_BATCH_IN_MINUTES = 64
"""Of both recipes from random weights: larger ones have too few steps."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A network of others at an input size."""

    network: str
    size: int

    @classmethod
    def of(cls, text: str) -> "Rival":
        """From ``NAME@SIZE``."""
        network, _, size = text.partition("@")
        if not size.isdecimal() or not _is_known(network):
            raise SystemExit(
                f"{text}: expected mobilenet_v2_WIDTH@SIZE, mobilenet_v3_small@SIZE or "
                f"{PUBLISHED}@SIZE"
            )
        return cls(network, int(size))

    def __str__(self) -> str:
        return f"{self.network}@{self.size}"

    def built(self, classes: tuple[str, ...], start: Start, seed: int) -> nn.Module:
        """The network, in channels-last memory."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _built(self.network, len(classes))
        if start == "published":
            if self.network != PUBLISHED:
                raise SystemExit(f"{self}: no published weights here; {PUBLISHED} has some")
            network = _published(classes)
        if self.size < _SMALL:
            convs = (m for m in network.modules() if isinstance(m, nn.Conv2d))
            next(conv for conv in convs if conv.stride[0] == 2).stride = (1, 1)
        changed: nn.Module = network.to(memory_format=torch.channels_last)
        return changed


def _is_known(network: str) -> bool:
    return network in ("mobilenet_v3_small", PUBLISHED) or bool(_WIDTH.fullmatch(network))


def _built(network: str, classes: int) -> nn.Module:
    import timm
    from torchvision import models

    width = _WIDTH.fullmatch(network)
    if width:
        built: nn.Module = models.mobilenet_v2(width_mult=float(width[1]), num_classes=classes)
    elif network == PUBLISHED:
        built = timm.create_model(f"tf_{PUBLISHED}", num_classes=classes)
    else:
        built = models.mobilenet_v3_small(num_classes=classes)
    return built


def _published(classes: tuple[str, ...]) -> nn.Module:
    """Both list their tensors in the order of running."""
    network = _built(PUBLISHED, 1000)
    theirs = load_tensors(weights_path(PUBLISHED))
    network.load_state_dict(dict(zip(network.state_dict(), theirs.values(), strict=True)))
    classifier = network.get_submodule("classifier")
    assert isinstance(classifier, nn.Linear)
    if not narrow_classifier(classifier, classes):
        network.classifier = nn.Linear(classifier.in_features, len(classes))
    return network


# ---------------------------------------------------------------- training


def recipes(start: Start) -> dict[str, Recipe]:
    """Ways to train one network, of which short trainings choose by the held-out images."""
    if start == "published":
        base = replace(load_recipe("from_pretrained"), init="")
        phase = Phase(name="alone", epochs=1, warmup_epochs=0.04, lr=1e-3, subnets=("largest",))
        gentle = replace(phase, lr=3e-4)
        return {
            "AdamW 1e-3": replace(base, phases=(phase,)),
            "AdamW 3e-4": replace(base, phases=(gentle,)),
        }
    alone = standalone_recipe(load_recipe("from_scratch"), largest=True)
    ours = at_batch_size(alone, _BATCH_IN_MINUTES)
    phase = Phase(name="alone", epochs=1, warmup_epochs=0.04, lr=0.1, subnets=("largest",))
    usual = replace(ours, weight_decay=1e-4, label_smoothing=0.1, phases=(phase,))
    return {AS_OURS: ours, "SGD 0.1, batch 64": usual}


def in_steps(recipe: Recipe, images: int, steps: int) -> Recipe:
    """The one phase of a recipe in so many steps, its warm-up in proportion."""
    (phase,) = recipe.phases
    epochs = steps / steps_per_epoch(images, recipe.batch_size)
    warmup = phase.warmup_epochs * epochs / phase.epochs
    return replace(recipe, phases=(replace(phase, epochs=epochs, warmup_epochs=warmup),))


def rival_turn(
    network: nn.Module, dataset: Dataset, size: int, recipe: Recipe, steps: int, device: str
) -> Callable[[Progress], None]:
    """Some steps, to be timed; weights are of no use afterwards."""
    short = in_steps(recipe, len(dataset.train), steps)

    def turn(progress: Progress) -> None:
        finetune(network.to(device), dataset, size, short, device=device, progress=progress)

    return turn


def train_rival(
    rival: Rival,
    dataset: Dataset,
    recipe: Recipe,
    steps: int,
    *,
    start: Start,
    seed: int,
    device: str,
    progress: Progress = silent,
) -> nn.Module:
    """A network of others, trained from its start."""
    network = rival.built(dataset.classes, start, seed).to(device)
    how = at_precision(in_steps(recipe, len(dataset.train), steps), device)
    train_alone(network, dataset, rival.size, how, seed=seed, device=device, progress=progress)
    return network


def train_alone(
    network: nn.Module,
    dataset: Dataset,
    size: int,
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    progress: Progress = silent,
) -> None:
    """Train a network in place; norms are recalibrated where that helps on held-out images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout
        finetune(network, dataset, size, recipe, device=device, seed=seed, progress=progress)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    as_trained = network_top1(network, dataset, dataset.holdout, size)
    count = min(CALIBRATION_IMAGES, len(dataset.train))
    chosen = np.random.default_rng(seed).permutation(len(dataset.train))[:count]
    recalibrate(network, _views(dataset, dataset.train.take(chosen), size, device))
    if network_top1(network, dataset, dataset.holdout, size) < as_trained:
        network.load_state_dict(before)


# ---------------------------------------------------------------- accuracies and files


def _views(dataset: Dataset, images: ImageSet, size: int, device: str = "cpu") -> ViewBatches:
    place = torch.device(device)
    return ViewBatches(images, size, dataset.views, batch_size=_BATCH, device=place)


@torch.inference_mode()
def network_top1(network: nn.Module, dataset: Dataset, images: ImageSet, size: int) -> float:
    """Percent of images."""
    views = _views(dataset, images, size, str(next(network.parameters()).device))
    found = [network(batch).argmax(1).cpu().numpy() for batch in views]
    return percent_true(np.concatenate(found) == images.labels)


def write_file(network: nn.Module, path: Path, size: int) -> Path:
    """The ONNX file of a network, fp32, batch 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return to_onnx(network.cpu(), path, in_channels=3, resolution=size)


def file_top1(path: Path, dataset: Dataset) -> float:
    """Percent of all test images, by the file that is shipped."""
    file = open_onnx(path, threads=torch.get_num_threads())
    size = file.input.shape[-1]
    assert size is not None
    found = [
        int(file.call(image[None].contiguous().numpy())[0].argmax())
        for batch in _views(dataset, dataset.test, size)
        for image in batch
    ]
    return percent_true(np.array(found) == dataset.test.labels)


def described(recipe: Recipe) -> dict[str, Any]:
    """A recipe as far as results tell it."""
    keys = ("optimizer", "batch_size", "weight_decay", "label_smoothing", "precision")
    return {key: getattr(recipe, key) for key in keys} | {"lr": recipe.phases[0].lr}
