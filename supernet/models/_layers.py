"""Which layer of a network becomes which of another, and how its values fit there.

Shapes: ``O`` outputs, ``I`` inputs of a group, ``K`` kernel size.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.errors import ConfigError

__all__ = ["Counts", "Layer", "Pair", "Place", "layer_order", "layer_pairs", "outputs_of"]

Layer: TypeAlias = nn.Module
"""A convolution, a batch norm, a linear layer, or what has `_factors`."""
_LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
_KINDS = {nn.Conv2d: "convolution", nn.BatchNorm2d: "batch norm", nn.Linear: "linear layer"}


@dataclass(frozen=True, slots=True)
class Place:
    """A layer with its name, in the order of running."""

    name: str
    layer: Layer

    def __str__(self) -> str:
        layer, factors = self.layer, _factors(self.layer)
        if factors is not None:
            return f"{self.name} (scale of {len(factors)} channels)"
        assert isinstance(layer, _LAYERS)
        kind = next(text for cls, text in _KINDS.items() if isinstance(layer, cls))
        if isinstance(layer, nn.BatchNorm2d):
            return f"{self.name} ({kind} of {layer.num_features} channels)"
        shape = "x".join(map(str, layer.weight.shape))
        stride = f", stride {layer.stride[0]}" if isinstance(layer, nn.Conv2d) else ""
        bias = ", bias" if layer.bias is not None else ""
        return f"{self.name} ({kind} {shape}{stride}{bias})"


@dataclass(slots=True)
class Counts:
    """What was done, layer by layer."""

    tensors: int = 0
    grown: int = 0
    rescaled: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of ours and what it takes its weights from."""

    ours: Layer
    theirs: Layer
    bias: Tensor | None = None
    """Of the convolution before, that ours lacks: a batch norm takes it off its mean."""

    def copy(self, counts: Counts) -> None:
        """Give ours the function of theirs."""
        if isinstance(self.ours, nn.BatchNorm2d):
            assert isinstance(self.theirs, nn.BatchNorm2d)
            counts.rescaled += _copy_norm(self.ours, self.theirs)
            if self.bias is not None:
                assert self.ours.running_mean is not None
                self.ours.running_mean.sub_(self.bias)
            counts.tensors += 4
            return
        factors, others = _factors(self.ours), _factors(self.theirs)
        if factors is not None and others is not None:
            factors.copy_(others)
            counts.tensors += 1
            return
        assert isinstance(self.ours, nn.Conv2d | nn.Linear)
        assert isinstance(self.theirs, nn.Conv2d | nn.Linear)
        weight = _fitted(self.theirs.weight, self.ours.weight)
        counts.grown += weight.shape[2:] > self.theirs.weight.shape[2:]
        self.ours.weight.copy_(weight)
        counts.tensors += 1
        if self.ours.bias is not None:
            counts.tensors += 1
            if self.theirs.bias is not None:
                self.ours.bias.copy_(self.theirs.bias)
            else:
                self.ours.bias.zero_()


def layer_order(network: nn.Module, image: Tensor) -> list[Place]:
    """The layers of a network with weights, in the order in which they run.

    Raises:
        ConfigError: it has weights in other kinds of layers, or cannot take the image.
    """
    names = {module: name for name, module in network.named_modules()}
    foreign = [
        f"{name or type(module).__name__} ({type(module).__name__})"
        for module, name in names.items()
        if not _is_layer(module) and any(True for _ in module.parameters(recurse=False))
    ]
    if foreign:
        raise ConfigError(
            "the network holds weights of another kind than convolution, batch norm and linear "
            f"layer: {foreign[0]}",
            hint="start from a network such as torchvision:mobilenet_v2",
        )
    found: list[Place] = []
    hooks = [
        module.register_forward_hook(_recorder(found, name))
        for module, name in names.items()
        if _is_layer(module)
    ]
    try:
        network(image)
    except Exception as error:  # noqa: BLE001  # whatever others wrote for what they cannot take
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ConfigError(
            f"the network cannot take an image of shape {tuple(image.shape)}: {reason}",
            hint="the images must have as many channels as those it was trained on",
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _recorder(found: list[Place], name: str) -> Callable[..., None]:
    def record(module: nn.Module, inputs: object, output: object) -> None:  # noqa: ARG001  # called by torch
        found.append(Place(name, module))

    return record


def _factors(module: nn.Module) -> Tensor | None:
    """The weights of a module that has a vector of them alone: a factor for each channel.

    Whether it does scale is seen where both networks are run.
    """
    own = [*module.parameters(recurse=False)]
    plain = not isinstance(module, _LAYERS) and not [*module.children()]
    return own[0] if plain and len(own) == 1 and own[0].ndim == 1 else None


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _LAYERS) or _factors(module) is not None


def layer_pairs(ours: list[Place], theirs: list[Place]) -> list[Pair]:
    """Layer by layer; all but the classifiers must fit.

    A bias before a batch norm changes no output, in training as in evaluation: it moves the mean.

    Raises:
        ConfigError: with the first place where they do not, and what would fit there.
    """
    pairs: list[Pair] = []
    final = max(len(ours), len(theirs)) - 1
    for index, (own, other) in enumerate(itertools.zip_longest(ours, theirs)):
        bias = _without_place(pairs[-1]) if pairs else None
        if own is None or other is None or not _fits(own.layer, other.layer, index, final, bias):
            there = other or "nothing more"
            here = f"{own} of the largest subnet" if own else "no further layer"
            raise ConfigError(
                f"layer {index + 1} of the network does not fit: it has {there}, the space {here}",
                hint=_needs(own),
            )
        pairs.append(Pair(own.layer, other.layer, bias))
    return pairs


def _without_place(pair: Pair) -> Tensor | None:
    """The bias of a convolution of theirs where ours has none."""
    if not isinstance(pair.theirs, nn.Conv2d) or not isinstance(pair.ours, nn.Conv2d):
        return None
    return pair.theirs.bias if pair.ours.bias is None else None


def _needs(own: Place | None) -> str:
    if own is None:
        return "the network is longer than the largest subnet: take the space that is made for it"
    if isinstance(own.layer, nn.Conv2d):
        return f"{own.name} takes the same shape, or a smaller odd kernel of the same stride"
    return f"{own.name} takes the same shape only"


def _fits(ours: Layer, theirs: Layer, index: int, final: int, bias: Tensor | None) -> bool:
    """Whether ours, the layer number `index` of `final` + 1, can compute what theirs does.

    A batch norm alone can take off the `bias` of the layer before.
    """
    if bias is not None and not isinstance(ours, nn.BatchNorm2d):
        return False
    if isinstance(ours, nn.BatchNorm2d) or isinstance(theirs, nn.BatchNorm2d):
        return _norms_fit(ours, theirs)
    if not isinstance(ours, nn.Conv2d | nn.Linear) or not isinstance(theirs, nn.Conv2d | nn.Linear):
        factors, others = _factors(ours), _factors(theirs)
        return factors is not None and others is not None and factors.shape == others.shape
    return _weights_fit(ours, theirs, first=index == 0, last=index == final)


def _weights_fit(
    ours: nn.Conv2d | nn.Linear, theirs: nn.Conv2d | nn.Linear, *, first: bool, last: bool
) -> bool:
    unplaced = theirs.bias is not None and ours.bias is None
    if isinstance(ours, nn.Linear):
        if isinstance(theirs, nn.Conv2d) and (theirs.kernel_size != (1, 1) or theirs.groups > 1):
            return False
        outputs = last or ours.weight.shape[0] == theirs.weight.shape[0]
        return outputs and not unplaced and ours.weight.shape[1] == theirs.weight.shape[1]
    if not isinstance(theirs, nn.Conv2d):
        return False
    same = (ours.stride, ours.groups) == (theirs.stride, theirs.groups)
    grows = theirs.kernel_size[0] % 2 == 1 and theirs.kernel_size[0] <= ours.kernel_size[0]
    square = all(len({*conv.kernel_size}) == 1 for conv in (ours, theirs))
    wide, deep = theirs.weight.shape[:2]
    greys = first and ours.in_channels == 1 and deep == 3
    shape = (wide, 1 if greys else deep)
    like = square and theirs.dilation == ours.dilation
    return same and grows and like and tuple(ours.weight.shape[:2]) == shape


def _norms_fit(ours: Layer, theirs: Layer) -> bool:
    return (
        isinstance(ours, nn.BatchNorm2d)
        and isinstance(theirs, nn.BatchNorm2d)
        and ours.num_features == theirs.num_features
        and theirs.affine
        and theirs.track_running_stats
    )


def outputs_of(layer: Layer) -> int:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    return layer.weight.shape[0]


def _fitted(theirs: Tensor, ours: Tensor) -> Tensor:
    """``(O, I, k, k)`` in the centre of ``(O, I, K, K)``; a 1x1 convolution as a matrix."""
    if ours.ndim == 2:
        return theirs.flatten(1)
    if theirs.shape[1] > ours.shape[1]:  # three colours where all are the same grey
        theirs = theirs.sum(dim=1, keepdim=True)
    margin = (ours.shape[-1] - theirs.shape[-1]) // 2
    return F.pad(theirs, [margin] * 4)


def _copy_norm(ours: nn.BatchNorm2d, theirs: nn.BatchNorm2d) -> bool:
    """Take over a batch norm; whether its weights had to be scaled for another eps."""
    assert theirs.running_mean is not None
    assert theirs.running_var is not None
    assert ours.running_mean is not None
    assert ours.running_var is not None
    variance = theirs.running_var
    scale = torch.sqrt((variance + ours.eps) / (variance + theirs.eps))
    differs = not math.isclose(ours.eps, theirs.eps)
    ours.weight.copy_(theirs.weight * scale if differs else theirs.weight)
    ours.bias.copy_(theirs.bias)
    ours.running_mean.copy_(theirs.running_mean)
    ours.running_var.copy_(variance)
    return differs
