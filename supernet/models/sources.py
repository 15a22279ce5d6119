"""Networks of others by where they come from: a package, a library, a file of the user's own."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from supernet.errors import ConfigError
from supernet.models.imagenet import narrow_classifier
from supernet.models.own import absolute_own, is_own, own_network, own_normalisation
from supernet.models.published import (
    Normalisation,
    check_weights,
    classifier_of,
    is_published,
    published_network,
    published_normalisation,
)
from supernet.progress import Progress, silent

__all__ = ["absolute_network", "is_network", "normalisation_of", "open_network"]


def is_network(source: str) -> bool:
    """Whether `source` names a network as `open_network` takes it, no weights file or run."""
    return is_published(source) or is_own(source)


def open_network(
    source: str,
    *,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
    progress: Progress = silent,
) -> nn.Module:
    """A plain network with its weights, in eval mode.

    Args:
        source: a name of `PACKAGED`, ``torchvision:NAME`` or ``timm:NAME`` for the published
            weights, ``torchvision:NAME=FILE`` or ``timm:NAME=FILE`` for a state_dict of your
            own (``torch.save`` or safetensors), with as many classes as it has, or
            ``FILE.py:FUNCTION``: the file is run, and the function, called without
            arguments, gives the network.
        num_classes: refuse a network with another number of outputs; any when None.
        classes: names of the classes to tell apart; where all are ImageNet's, a
            network of its thousand classes keeps the outputs of these alone, in this order.
        progress: told about a download.

    Raises:
        ConfigError: not such a source, an unknown network, other classes, or weights that are
            not finite or not in single precision.
        MissingPackageError: timm or the package of the weights is not installed.
        DataError: the weights cannot be downloaded.
        FileFormatError: the file is damaged, of another network, or does not run.
    """
    own = is_own(source)
    network = own_network(source) if own else published_network(source, progress)
    check_weights(network)
    _, classifier = classifier_of(network)
    narrow_classifier(classifier, classes)
    found = classifier.out_features
    if num_classes is not None and found != num_classes:
        raise ConfigError(
            f"{source}: expected a network of {num_classes} classes, got {found}",
            hint=""
            if own
            else f"give weights of your own with {num_classes} classes: timm:NAME=FILE",
        )
    return network.eval()


def normalisation_of(source: str) -> Normalisation:
    """What the images of a network were normalised by; empty where a file of one's own says none.

    Args:
        source: as for `open_network`; weights of your own for a library's network count as
            normalised like the published ones.

    Raises:
        ConfigError: not such a source, or an unknown network.
        MissingPackageError: timm is not installed.
        FileFormatError: a file that does not run.
    """
    return own_normalisation(source) if is_own(source) else published_normalisation(source)


def absolute_network(source: str) -> str:
    """The same network, its file as it is found from any folder."""
    if is_own(source):
        return absolute_own(source)
    name, _, file = source.partition("=")
    return f"{name}={Path(file).resolve()}" if file else source
