"""ImageNet's thousand classes: networks trained on them know classes that are named alike."""

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


def imagenet_outputs(classes: Sequence[str]) -> list[int]:
    """The outputs of a network of all thousand that are these classes.

    Args:
        classes: names; empty is returned unless all of them are WordNet ids of ImageNet.
    """
    known = _numbers()
    return [known[name] for name in classes] if all(name in known for name in classes) else []


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
