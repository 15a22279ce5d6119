"""A supernet that starts from the weights of a network that was trained elsewhere.

The largest subnet then computes what that network computes: its convolutions, batch
norms and linear layers are taken over one by one, in the order in which they run.

Shapes: ``O`` outputs, ``I`` inputs of a group, ``K`` kernel size.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic import ElasticBlock
from supernet.errors import ConfigError, FileFormatError
from supernet.models.network import Network
from supernet.models.published import network_channels, network_classes, open_network
from supernet.models.supernet import Supernet, extract
from supernet.models.weights import load_tensors
from supernet.space import stage_operators

__all__ = [
    "Taken",
    "load_pretrained",
    "load_shared",
    "network_channels",
    "network_classes",
    "open_network",
]

_Layer: TypeAlias = nn.Conv2d | nn.BatchNorm2d | nn.Linear
_LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
_KINDS = {nn.Conv2d: "convolution", nn.BatchNorm2d: "batch norm", nn.Linear: "linear layer"}
_CLASSIFIER = "slots.head_classifier."
_TOLERANCE = 1e-4
"""Largest difference of an output, as a share of the largest output: float rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a supernet took over."""

    tensors: int
    """Tensors with new values."""
    classifier: bool
    """Whether the classifier is among them; it is left as it was where classes differ."""
    grown_kernels: int = 0
    """Kernels that were put into the centre of larger ones, with zeros around."""
    rescaled_norms: int = 0
    """Batch norms of another eps, whose weights were scaled to compute the same."""
    summed_colours: bool = False
    """Whether the first convolution reads grey in place of three equal colours."""

    def __str__(self) -> str:
        words = [f"{self.tensors} tensors"]
        words += [f"{self.grown_kernels} kernels grown"] * (self.grown_kernels > 0)
        words += [f"{self.rescaled_norms} batch norms rescaled"] * (self.rescaled_norms > 0)
        words += ["colours summed"] * self.summed_colours
        return ", ".join([*words, f"classifier {'taken' if self.classifier else 'fresh'}"])


@torch.no_grad()
def load_pretrained(supernet: Supernet, network: nn.Module) -> Taken:
    """Put the weights of a plain network into the largest subnet; its function is kept.

    Smaller kernels go into the centre of larger ones. The classifier is taken if it has
    as many classes. Where images are grey and the network reads colours, its first
    convolution reads the grey as all of them. Afterwards both are run on the same random
    image and compared.

    Args:
        supernet: changed in place; the largest subnet is active afterwards.
        network: of convolutions, batch norms and linear layers alone, such as
            `open_network` gives; afterwards on the supernet's device and in eval mode.

    Raises:
        ConfigError: its layers are not those of the largest subnet, or it computes
            something else with them; the supernet is left as it was.
    """
    device = next(supernet.parameters()).device
    source = network.to(device).eval()
    target = extract(supernet, supernet.largest).eval()
    space = supernet.space
    image = _image(space.in_channels, min(space.resolutions), device)
    greys = space.in_channels == 1 and network_channels(source) == 3
    shown = image.expand(-1, 3, -1, -1) if greys else image
    pairs = _pairs(_own_order(supernet, target, image), _order(source, shown))
    *_, last = pairs
    takes = _out(last.ours) == _out(last.theirs)
    counts = _Counts()
    for pair in pairs if takes else pairs[:-1]:
        pair.copy(counts)
    expected = _outcome(source, shown, last.theirs, whole=takes)
    _check_same(_outcome(target, image, last.ours, whole=takes), expected)
    supernet.activate(supernet.largest)
    _write(supernet, target)
    training = supernet.training
    read = _outcome(supernet.eval(), image, supernet.active_modules[-1], whole=takes)
    supernet.train(training)
    _check_same(read, expected)
    return Taken(
        tensors=counts.tensors,
        classifier=takes,
        grown_kernels=counts.grown,
        rescaled_norms=counts.rescaled,
        summed_colours=greys,
    )


@torch.no_grad()
def load_shared(supernet: Supernet, path: Path) -> Taken:
    """Put the weights of another supernet of the same space in, whatever its classes are.

    Args:
        supernet: changed in place.
        path: a checkpoint, such as a run's ``supernet.safetensors``.

    Raises:
        FileFormatError: damaged, or of another space.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file")
    state, own = load_tensors(path), supernet.state_dict()
    differ = [n for n in own if n in state and own[n].shape != state[n].shape]
    head = [n for n in differ if n.startswith(_CLASSIFIER)]
    wrong = sorted(own.keys() ^ state.keys()) + [n for n in differ if n not in head]
    inputs = {t[f"{_CLASSIFIER}weight"].shape[1:] for t in (own, state) if not wrong}
    if wrong or len(inputs) > 1:
        raise FileFormatError(
            f"{path}: not of space {supernet.space.name!r} ({len(wrong) or 1} tensors differ, "
            f"first: {(wrong or head)[0][:80]})",
            hint="name the space that the weights were trained with",
        )
    taken = {n: v for n, v in state.items() if not (head and n.startswith(_CLASSIFIER))}
    supernet.load_state_dict(taken, strict=False)  # all names were compared
    return Taken(tensors=len(taken), classifier=not head)


# ---------------------------------------------------------------- which layer is which


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer with its name, in the order of running."""

    name: str
    layer: _Layer

    def __str__(self) -> str:
        kind = next(text for cls, text in _KINDS.items() if isinstance(self.layer, cls))
        layer = self.layer
        if isinstance(layer, nn.BatchNorm2d):
            return f"{self.name} ({kind} of {layer.num_features} channels)"
        shape = "x".join(map(str, layer.weight.shape))
        stride = f", stride {layer.stride[0]}" if isinstance(layer, nn.Conv2d) else ""
        bias = ", bias" if layer.bias is not None else ""
        return f"{self.name} ({kind} {shape}{stride}{bias})"


@dataclass(slots=True)
class _Counts:
    """What was done, layer by layer."""

    tensors: int = 0
    grown: int = 0
    rescaled: int = 0


@dataclass(frozen=True, slots=True)
class _Pair:
    """A layer of ours and what it takes its weights from."""

    ours: _Layer
    theirs: _Layer

    def copy(self, counts: _Counts) -> None:
        """Give ours the function of theirs."""
        if isinstance(self.ours, nn.BatchNorm2d):
            assert isinstance(self.theirs, nn.BatchNorm2d)
            counts.rescaled += _copy_norm(self.ours, self.theirs)
            counts.tensors += 4
            return
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


def _own_order(supernet: Supernet, network: Network, image: Tensor) -> list[_Place]:
    """As `_order` of the largest subnet, under the names of the space's slots."""
    slots = [slot for slot, _ in stage_operators(supernet.space, supernet.largest)]
    found = []
    for place in _order(network, image):
        _, index, *rest = place.name.split(".")
        found.append(_Place(".".join([slots[int(index)], *rest]), place.layer))
    return found


def _order(network: nn.Module, image: Tensor) -> list[_Place]:
    """The layers of a network with weights, in the order in which they run.

    Raises:
        ConfigError: it has weights in other kinds of layers, or cannot take the image.
    """
    names = {module: name for name, module in network.named_modules()}
    foreign = [
        f"{name or type(module).__name__} ({type(module).__name__})"
        for module, name in names.items()
        if not isinstance(module, _LAYERS) and any(True for _ in module.parameters(recurse=False))
    ]
    if foreign:
        raise ConfigError(
            "the network holds weights of another kind than convolution, batch norm and linear "
            f"layer: {foreign[0]}",
            hint="start from a network such as torchvision:mobilenet_v2",
        )
    found: list[_Place] = []
    hooks = [
        module.register_forward_hook(_recorder(found, name))
        for module, name in names.items()
        if isinstance(module, _LAYERS)
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


def _recorder(found: list[_Place], name: str) -> Callable[..., None]:
    def record(module: nn.Module, inputs: object, output: object) -> None:  # noqa: ARG001  # called by torch
        assert isinstance(module, _LAYERS)
        found.append(_Place(name, module))

    return record


def _pairs(ours: list[_Place], theirs: list[_Place]) -> list[_Pair]:
    """Layer by layer; all but the classifiers must fit.

    Raises:
        ConfigError: with the first place where they do not, and what would fit there.
    """
    pairs = []
    final = max(len(ours), len(theirs)) - 1
    for index, (own, other) in enumerate(itertools.zip_longest(ours, theirs)):
        if own is None or other is None or not _fits(own.layer, other.layer, index, final):
            there = other or "nothing more"
            here = f"{own} of the largest subnet" if own else "no further layer"
            raise ConfigError(
                f"layer {index + 1} of the network does not fit: it has {there}, the space {here}",
                hint=_needs(own),
            )
        pairs.append(_Pair(own.layer, other.layer))
    return pairs


def _needs(own: _Place | None) -> str:
    if own is None:
        return "the network is longer than the largest subnet: take the space that is made for it"
    if isinstance(own.layer, nn.Conv2d):
        return f"{own.name} takes the same shape, or a smaller odd kernel of the same stride"
    return f"{own.name} takes the same shape only"


def _fits(ours: _Layer, theirs: _Layer, index: int, final: int) -> bool:
    """Whether ours, the layer number `index` of `final` + 1, can compute what theirs does."""
    if isinstance(ours, nn.BatchNorm2d) or isinstance(theirs, nn.BatchNorm2d):
        return _norms_fit(ours, theirs)
    if theirs.bias is not None and ours.bias is None:
        return False
    if isinstance(ours, nn.Linear):
        if isinstance(theirs, nn.Conv2d) and (theirs.kernel_size != (1, 1) or theirs.groups > 1):
            return False
        outputs = index == final or ours.weight.shape[0] == theirs.weight.shape[0]
        return outputs and ours.weight.shape[1] == theirs.weight.shape[1]
    if not isinstance(theirs, nn.Conv2d):
        return False
    same = (ours.stride, ours.groups) == (theirs.stride, theirs.groups)
    grows = theirs.kernel_size[0] % 2 == 1 and theirs.kernel_size[0] <= ours.kernel_size[0]
    square = theirs.kernel_size[0] == theirs.kernel_size[1] and theirs.dilation == (1, 1)
    wide, deep = theirs.weight.shape[:2]
    greys = index == 0 and ours.in_channels == 1 and deep == 3
    shape = (wide, 1 if greys else deep)
    return same and grows and square and tuple(ours.weight.shape[:2]) == shape


def _norms_fit(ours: _Layer, theirs: _Layer) -> bool:
    return (
        isinstance(ours, nn.BatchNorm2d)
        and isinstance(theirs, nn.BatchNorm2d)
        and ours.num_features == theirs.num_features
        and theirs.affine
        and theirs.track_running_stats
    )


def _out(layer: _Layer) -> int:
    return layer.weight.shape[0]


# ---------------------------------------------------------------- values


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


def _write(supernet: Supernet, network: Network) -> None:
    """The weights of a plain network into the active subnet: what `extract` does, reversed."""
    for elastic, layer in zip(supernet.active_modules, network.layers):
        if isinstance(elastic, ElasticBlock):
            state = elastic.active_state()  # of the largest kernels: views of the weights
            for name, value in layer.state_dict().items():
                if not name.endswith("num_batches_tracked"):
                    state[name].copy_(value)


def _image(channels: int, size: int, device: torch.device) -> Tensor:
    """A random image, ``(1, C, H, W)``, always the same one."""
    generator = torch.Generator().manual_seed(20240229)
    return torch.randn(1, channels, size, size, generator=generator).to(device)


def _check_same(found: Tensor, expected: Tensor) -> None:
    """Compare outputs.

    Raises:
        ConfigError: they differ, or are not finite.
    """
    size = float(expected.abs().max())
    same_shape = found.shape == expected.shape
    error = float((found - expected).abs().max()) if same_shape else math.inf
    if not error <= _TOLERANCE * size:  # also where either is not a number
        raise ConfigError(
            "the network has the layers of the largest subnet, but puts them together "
            f"differently: outputs up to {size:.3g} differ by {error:.3g}",
            hint="its activations, padding or shortcuts are others; choose another space",
        )


def _outcome(network: nn.Module, image: Tensor, classifier: nn.Module, *, whole: bool) -> Tensor:
    """Logits, or what the classifier reads, ``(C,)``."""
    read: list[Tensor] = []
    hook = classifier.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        logits: Tensor = network(image)
    finally:
        hook.remove()
    return (logits if whole else read[0]).flatten()
