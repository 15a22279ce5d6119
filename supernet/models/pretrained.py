"""A supernet that starts from the weights of a network that was trained elsewhere.

The largest subnet then computes what that network computes: its convolutions, batch
norms and linear layers are taken over one by one, in the order in which they run.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from supernet.elastic import ElasticBlock
from supernet.errors import ConfigError, FileFormatError
from supernet.models._layers import Counts, Place, layer_order, layer_pairs, outputs_of
from supernet.models.network import Network
from supernet.models.published import check_weights, network_channels
from supernet.models.recognise import recognise
from supernet.models.supernet import Supernet, extract
from supernet.models.weights import load_tensors
from supernet.space import stage_operators

__all__ = [
    "Taken",
    "load_pretrained",
    "load_shared",
]

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
        ConfigError: its layers are not those of the largest subnet, it computes something else
            with them, or its weights are not finite or not in single precision; the supernet is
            left as it was.
    """
    check_weights(network)
    device = next(supernet.parameters()).device
    source = network.to(device).eval()
    space, size = supernet.space, min(supernet.space.resolutions)
    target = extract(supernet, replace(supernet.largest, resolution=size)).eval()
    image = _image(space.in_channels, size, device)
    greys = space.in_channels == 1 and network_channels(source) == 3
    shown = image.expand(-1, 3, -1, -1) if greys else image
    pairs = layer_pairs(_own_order(supernet, target, image), _their_order(source, shown))
    *_, last = pairs
    takes = outputs_of(last.ours) == outputs_of(last.theirs)
    counts = Counts()
    for pair in pairs if takes else pairs[:-1]:
        pair.copy(counts)
    expected = _outcome(source, shown, last.theirs)
    _check_same(_outcome(target, image, last.ours), expected, whole=takes)
    supernet.activate(supernet.largest)
    _write(supernet, target)
    training = supernet.training
    read = _outcome(supernet.eval(), image, supernet.active_modules[-1])
    supernet.train(training)
    _check_same(read, expected, whole=takes)
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


def _own_order(supernet: Supernet, network: Network, image: Tensor) -> list[Place]:
    """As `_order` of the largest subnet, under the names of the space's slots."""
    names = {
        module: ".".join(filter(None, (slot, name)))
        for (slot, _), own in zip(
            stage_operators(supernet.space, supernet.largest), network.layers, strict=True
        )
        for name, module in own.named_modules()
    }
    return [Place(names[place.layer], place.layer) for place in layer_order(network, image)]


def _their_order(network: nn.Module, image: Tensor) -> list[Place]:
    """The layers in the order of our own networks: a shortcut's after those that it leads past.

    Where the network is not recognised, in the order in which they run.
    """
    places = layer_order(network, image)
    try:
        rows = recognise(network, image).rows
    except ConfigError:
        return places
    by_name = {place.name: place for place in places}
    names = [weight.rpartition(".")[0] for row in rows for weight in row.weights]
    same = sorted(names) == sorted(place.name for place in places)
    return [by_name[name] for name in names] if same else places


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


_Outcome: TypeAlias = tuple[Tensor, Tensor]
"""What the classifier reads, ``(C,)``, and the logits."""


def _check_same(found: _Outcome, expected: _Outcome, *, whole: bool) -> None:
    """Compare outcomes.

    Both parts of them: the logits of a new classifier may be all 0, or nothing but its bias.

    Args:
        found: of ours.
        expected: of theirs.
        whole: whether the logits must be the same too.

    Raises:
        ConfigError: they differ, or there is nothing in them to compare.
    """
    (features, logits), (their_features, their_logits) = found, expected
    pairs = [(logits, their_logits)] if whole else []
    if not whole or features.shape == their_features.shape:  # it may stand before the pooling
        pairs.append((features, their_features))
    if not pairs[-1][1].any():
        raise ConfigError(
            "the network gives 0 everywhere for a random image, so what it computes cannot be "
            "compared with the largest subnet",
            hint="look for a layer of it, or a batch norm, whose weights are all 0",
        )
    for ours, theirs in pairs:
        size = float(theirs.abs().max())
        error = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else math.inf
        if not error <= _TOLERANCE * size:  # also where either is not a number
            raise ConfigError(
                "the network has the layers of the largest subnet, but puts them together "
                f"differently: outputs up to {size:.3g} differ by {error:.3g}",
                hint="its activations, padding or shortcuts are others; choose another space",
            )


def _outcome(network: nn.Module, image: Tensor, classifier: nn.Module) -> _Outcome:
    read: list[Tensor] = []
    hook = classifier.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    try:
        logits: Tensor = network(image)
    finally:
        hook.remove()
    return read[0].flatten(), logits.flatten()
