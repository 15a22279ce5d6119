"""Networks of packages, torchvision and timm by name, with published weights or with one's own.

Only tensors are read: torchvision's published files are fetched and checked like any
other (`supernet.fetch`), timm's by timm itself, as safetensors.
"""

import re
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from supernet.errors import ConfigError, DataError, FileFormatError, MissingPackageError
from supernet.fetch import fetch
from supernet.files import nearest
from supernet.models.packaged import PACKAGED, open_packaged
from supernet.models.weights import load_tensors
from supernet.progress import Progress, silent

__all__ = [
    "LIBRARIES",
    "Normalisation",
    "build_network",
    "check_weights",
    "classifier_of",
    "input_size",
    "is_published",
    "network_channels",
    "network_classes",
    "published_network",
    "published_normalisation",
]

_ONCE = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)$")
"""Names in torchvision's files of DenseNet, which are older than its code."""

LIBRARIES = ("torchvision", "timm")
"""Where networks come from: the part of a source before the colon."""

_LISTING = {
    "torchvision": "import torchvision.models as m; print(*m.list_models(m))",
    "timm": "import timm; print(*timm.list_models())",
}

Normalisation: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of pixel values from 0 to 1."""


def is_published(source: str) -> bool:
    """Whether `source` names a network of `PACKAGED` or of one of `LIBRARIES`, no file or run."""
    return source in PACKAGED or (source.partition(":")[0] in LIBRARIES and ":" in source)


def published_normalisation(source: str) -> Normalisation:
    """What a published network's images are normalised by.

    Args:
        source: as for `published_network`; a file of weights counts as normalised like the
            published ones.

    Raises:
        ConfigError: not such a source, or an unknown network.
        MissingPackageError: timm is not installed.
    """
    if source in PACKAGED:
        return PACKAGED[source].mean, PACKAGED[source].std
    library, name, _ = _parts(source)
    _check_known(library, name)
    if library == "timm":
        try:
            told = _timm().get_pretrained_cfg(name)
        except RuntimeError as error:
            raise ConfigError(
                f"timm:{name}: {error}", hint="leave out what stands after the dot"
            ) from None
        return tuple(told.mean), tuple(told.std)
    from torchvision import models

    shown = models.get_model_weights(name).DEFAULT.transforms()
    return tuple(shown.mean), tuple(shown.std)


def _parts(source: str) -> tuple[str, str, str]:
    """Library, name and file of a source of `LIBRARIES`."""
    library, _, rest = source.partition(":")
    name, _, file = rest.partition("=")
    if library not in LIBRARIES or not name or ("=" in rest and not file):
        raise ConfigError(
            f"{source!r}: expected torchvision:NAME or timm:NAME, with =FILE after it for "
            f"weights of your own, or one of {', '.join(PACKAGED)}"
        )
    return library, name, file


def build_network(source: str) -> nn.Module:
    """A network of a library with random weights.

    Args:
        source: ``torchvision:NAME`` or ``timm:NAME``.

    Raises:
        ConfigError: an unknown network, or weights named.
        MissingPackageError: timm is not installed.
    """
    library, name, file = _parts(source)
    if file:
        raise ConfigError(
            f"{source!r}: a space needs no weights",
            hint=f"give {library}:{name}, and to train --init {source}",
        )
    _check_known(library, name)
    return _build(library, name, {}).eval()


def input_size(source: str) -> int:
    """Pixels of the images that a network of a library was made for.

    Args:
        source: as of `build_network`.

    Raises:
        ConfigError: an unknown network.
        MissingPackageError: timm is not installed.
    """
    library, name, _ = _parts(source)
    _check_known(library, name)
    if library == "timm":
        return int(_timm().get_pretrained_cfg(name).input_size[-1])
    from torchvision import models

    (crop,) = models.get_model_weights(name).DEFAULT.transforms().crop_size
    return int(crop)


def published_network(source: str, progress: Progress = silent) -> nn.Module:
    """A network of a package or a library with its weights.

    Args:
        source: a name of `PACKAGED`, ``torchvision:NAME``, ``timm:NAME``, either with ``=FILE``.
        progress: told about a download.

    Raises:
        ConfigError: not such a source, or an unknown network.
        MissingPackageError: timm or the package of the weights is not installed.
        DataError: the weights cannot be downloaded.
        FileFormatError: the file is damaged or of another network.
    """
    return open_packaged(source) if source in PACKAGED else _of_library(source, progress)


def _of_library(source: str, progress: Progress) -> nn.Module:
    library, name, file = _parts(source)
    if file:
        return _with_file(library, name, Path(file))
    return _published_timm(name) if library == "timm" else _published_torchvision(name, progress)


def network_classes(network: nn.Module) -> int:
    """Outputs of a network's classifier.

    Raises:
        ConfigError: it has none.
    """
    return classifier_of(network)[1].out_features


def network_channels(network: nn.Module) -> int:
    """Channels of the images that a network reads.

    Raises:
        ConfigError: it holds no convolution.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ConfigError(f"{type(network).__name__}: holds no convolution")


def check_weights(network: nn.Module) -> None:
    """Refuse weights that no supernet can take over; on the device ``meta`` their kind alone.

    Raises:
        ConfigError: they are not in single precision, or not all finite numbers.
    """
    parameters = dict[str, Tensor](network.named_parameters())
    for name, values in parameters.items():
        if values.dtype != torch.float32:
            kind = str(values.dtype).removeprefix("torch.")
            raise ConfigError(
                f"the network's {name} has values of {kind}, and those of a supernet are float32",
                hint="give the network in single precision: network.float()",
            )
    for name, values in [*parameters.items(), *network.named_buffers()]:
        if not values.is_meta and not values.isfinite().all():
            raise ConfigError(
                f"the network's {name} has values that are no finite numbers (NaN or infinity), "
                "so it computes nothing",
                hint="give weights from before its training went wrong",
            )


def classifier_of(network: nn.Module) -> tuple[str, nn.Linear]:
    """The last linear layer with its name.

    Raises:
        ConfigError: there is none.
    """
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise ConfigError(
            f"{type(network).__name__}: ends in no linear layer, so it has no classifier"
        )
    return layers[-1]


def _published_torchvision(name: str, progress: Progress) -> nn.Module:
    from torchvision import models

    _check_known("torchvision", name)
    weights = models.get_model_weights(name).DEFAULT
    try:
        path = fetch(weights.url, progress)
    except DataError as error:
        raise DataError(
            str(error),
            hint="download it by other means and give the file: " + f"torchvision:{name}=FILE",
        ) from None
    return _filled("torchvision", name, len(weights.meta["categories"]), path)


def _published_timm(name: str) -> nn.Module:
    timm = _timm()
    _check_known("timm", name)
    try:
        network: nn.Module = timm.create_model(name, pretrained=True)
    except Exception as error:  # noqa: BLE001  # timm, its hub and its files may raise anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DataError(
            f"timm:{name}: its published weights could not be downloaded: {reason}",
            hint=f"download them by other means and give the file: timm:{name}=FILE",
        ) from None
    return network


def _with_file(library: str, name: str, path: Path) -> nn.Module:
    """A network with the weights of a file, and with as many classes as these have."""
    _check_known(library, name)
    layer, _ = classifier_of(_build(library, name, {}))
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file")
    weight = load_tensors(path).get(f"{layer}.weight")
    if weight is None or weight.ndim != 2:
        raise FileFormatError(
            f"{path}: not weights of {library}:{name}: no matrix {layer}.weight in it",
            hint="it must be a state_dict of that network, under its own names",
        )
    return _filled(library, name, len(weight), path)


def _filled(library: str, name: str, num_classes: int, path: Path) -> nn.Module:
    network = _build(library, name, {"num_classes": num_classes})
    own = network.state_dict()
    state = {_ONCE.sub(r"\1\2", n): value for n, value in load_tensors(path).items()}
    counters = [n for n in own if n.endswith("num_batches_tracked") and n not in state]
    wrong = sorted(own.keys() - state.keys() - set(counters))
    wrong += sorted(state.keys() - own.keys())
    wrong += [n for n in own if n in state and own[n].shape != state[n].shape]
    if wrong:
        raise FileFormatError(
            f"{path}: not weights of {library}:{name}: {len(wrong)} tensors differ, first: "
            f"{wrong[0][:80]}{_shapes(wrong[0], own, state)}"
        )
    network.load_state_dict(state, strict=False)  # all names were compared
    return network


def _shapes(name: str, own: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    if name not in own or name not in state:
        return " (missing)" if name in own else " (unknown)"
    return f" ({tuple(state[name].shape)} in place of {tuple(own[name].shape)})"


def _build(library: str, name: str, options: dict[str, Any]) -> nn.Module:
    """The network without weights of anyone.

    Options hold the number of classes, where it is known.
    """
    if library == "timm":
        network: nn.Module = _timm().create_model(name, pretrained=False, **options)
        return network
    from torchvision import models

    if name in ("googlenet", "inception_v3"):  # as torchvision makes them for its own weights
        options = {**options, "init_weights": False, "transform_input": True}
    made: nn.Module = models.get_model(name, weights=None, **options)
    return made


def _check_known(library: str, name: str) -> None:
    if library == "timm":
        known = _timm().list_models()
    else:
        from torchvision import models

        known = models.list_models(module=models)
    plain = name.partition(".")[0] if library == "timm" else name  # a tag names its weights
    if plain not in known:
        raise ConfigError(
            f"{library} has no classification network {name!r}; {nearest(name, known)}",
            hint=f"python -c '{_LISTING[library]}' lists them",
        )


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError:
        raise MissingPackageError(
            "networks of timm need the package timm", hint="pip install 'supernet[timm]'"
        ) from None
    module: ModuleType = timm
    return module
