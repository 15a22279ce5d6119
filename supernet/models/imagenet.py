"""ImageNet's thousand classes: networks trained on them know classes that are named alike."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import torch
from torch import nn

__all__ = ["imagenet_outputs", "narrow_classifier"]


@cache
def _numbers() -> dict[str, int]:
    """The WordNet ids of the classes (ILSVRC 2012), in the order of all published networks."""
    text = (files("supernet.models") / "imagenet.txt").read_text(encoding="ascii")
    return {name: number for number, name in enumerate(text.split())}


@cache
def _words() -> dict[str, int]:
    """The words of the classes, as torchvision has them, where a word is of one class alone."""
    from torchvision.models import MobileNet_V2_Weights  # a second to import

    words = [_plain(word) for word in MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]]
    times = Counter(words)
    return {word: number for number, word in enumerate(words) if times[word] == 1}


def _plain(word: str) -> str:
    return " ".join(word.lower().replace("_", " ").replace("-", " ").split())


def imagenet_outputs(classes: Sequence[str]) -> list[int]:
    """The outputs of a network of all thousand that are these classes.

    Args:
        classes: names. Empty is returned unless all of them are WordNet ids of ImageNet, or all
            are words for its classes, such as ``golf ball`` (``Golf_ball`` is the same).
    """
    known = _numbers()
    if not all(name in known for name in classes):
        known, classes = _words(), [_plain(name) for name in classes]
    outputs = [known[name] for name in classes if name in known]
    return outputs if len(set(outputs)) == len(classes) else []


@torch.no_grad()
def narrow_classifier(classifier: nn.Linear, classes: Sequence[str]) -> bool:
    """Leave a classifier the outputs of these classes; whether it was one of all thousand.

    Args:
        classifier: of a published network; changed in place.
        classes: names in the wanted order.
    """
    outputs = imagenet_outputs(classes)
    if not outputs or classifier.out_features != len(_numbers()):
        return False
    classifier.weight = nn.Parameter(classifier.weight[outputs].clone())
    if classifier.bias is not None:
        classifier.bias = nn.Parameter(classifier.bias[outputs].clone())
    classifier.out_features = len(outputs)
    return True
