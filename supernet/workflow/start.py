"""What a supernet starts from: a published network, a run, or a checkpoint."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from supernet.data import Dataset
from supernet.errors import ConfigError
from supernet.evaluate import Evaluator, adapt_norms
from supernet.models import Supernet, Taken, load_pretrained, load_shared, open_network
from supernet.models.own import is_own
from supernet.models.packaged import PACKAGED
from supernet.models.published import Normalisation
from supernet.models.sources import absolute_network, is_network, normalisation_of
from supernet.progress import Progress, silent
from supernet.runs import Run, find_run
from supernet.train import Processes, Recipe
from supernet.train.recipe import RUN_TEACHER

__all__ = [
    "SPACES",
    "absolute_sources",
    "adapt_start",
    "begin_from",
    "check_source",
    "check_start",
    "no_weights_named",
    "normalisation_at",
    "normalised",
    "start_from",
]

SPACES = {
    **{name: packaged.space for name, packaged in PACKAGED.items()},
    **{f"timm:tf_{name}": packaged.space for name, packaged in PACKAGED.items()},
    "torchvision:mobilenet_v2": "mobilenet_v2",
    "timm:mobilenetv2_100": "mobilenet_v2",
    "torchvision:mobilenet_v3_large": "mobilenet_v3_large",
    "timm:mobilenetv3_large_100": "mobilenet_v3_large",
    "timm:resnet50d": "resnet50d",
    "timm:mobilenetv4_conv_small": "mobilenet_v4_small",
    "timm:mobilenetv4_conv_medium": "mobilenet_v4_medium",
    "timm:mobilenetv4_conv_large": "mobilenet_v4_large",
    "timm:mobilenetv4_hybrid_medium": "mobilenet_v4_hybrid",
}
"""The shipped spaces whose largest subnets are published networks."""
_WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
"""Suffixes of files of weights."""


def start_from(
    supernet: Supernet, source: str, progress: Progress = silent, *, classes: Sequence[str] = ()
) -> Taken:
    """Give a new supernet the weights that `source` names.

    Args:
        supernet: changed in place.
        source: as in `supernet.train.Recipe.init`: ``efficientnet_lite0`` (or 1, 2),
            ``torchvision:NAME``, ``timm:NAME``, either with ``=FILE``, or
            ``FILE.py:FUNCTION`` (the network becomes the largest subnet), a run folder, or a
            weights file (both of the same space; the number of classes may differ).
        progress: told about a download, and what was taken.
        classes: names of the supernet's classes; where all are ImageNet's, it also
            takes their part of the classifier of a published network of all thousand.

    Raises:
        ConfigError: nothing was named, or a network or space that does not fit.
        MissingPackageError: timm or the package of the weights is not installed.
        DataError: the weights cannot be downloaded.
        FileFormatError: a file that is missing, damaged, or of another network or space.
    """
    taken = _taken(supernet, source, classes, progress)
    unsaid = is_own(source) and not any(normalisation_of(source))
    told = "; no MEAN and STD in it: images normalised as the data set says" * unsaid
    progress(1, 1, f"starting from {source} ({taken}{told})")
    return taken


def begin_from(
    supernet: Supernet,
    source: str,
    dataset: Dataset,
    *,
    processes: Processes | None = None,
    progress: Progress = silent,
) -> Taken:
    """As `start_from`; the norms of a published network are then adapted to the images.

    Args:
        supernet: changed in place, and moved to the device.
        source: as of `start_from`.
        dataset: the training images; the first of the processes sees some for all of them.
        processes: those that will train, and where.
        progress: told about a download, and what was taken.

    Raises:
        SupernetError: as `start_from`.
    """
    taken = start_from(supernet, source, progress, classes=dataset.classes)
    adapt_start(supernet, source, dataset, processes=processes or Processes())
    return taken


def adapt_start(supernet: Supernet, source: str, dataset: Dataset, *, processes: Processes) -> None:
    """Adapt the norms of a published network that a supernet started from to its images.

    Args:
        supernet: that started; changed in place, and moved to the device.
        source: as of `start_from`.
        dataset: the training images; the first of the processes sees some for all of them.
        processes: those that will train, and where.
    """
    if not is_network(source):  # the statistics of a supernet of ours belong to no subnet
        return
    supernet.to(processes.device)
    if processes.is_main:
        adapt_norms(Evaluator(supernet, dataset, device=processes.device))
    processes.copy_from_main(value.detach() for value in supernet.state_dict().values())


def check_start(
    supernet: Supernet, source: str, progress: Progress = silent, *, classes: Sequence[str] = ()
) -> None:
    """Refuse what `start_from` would refuse; nothing is told but a download.

    Args:
        supernet: changed in place.
        source: as of `start_from`, and so are the others; empty for none.
        progress: told about a download.
        classes: names of the supernet's classes.

    Raises:
        SupernetError: as `start_from`.
    """
    if source:
        _taken(supernet, source, classes, progress)


def normalised(dataset: Dataset, normalisation: Normalisation) -> Dataset:
    """`dataset` with its images normalised by other numbers.

    As it is where there are none, or where grey images would need three normalisations.
    """
    mean, std = normalisation
    if len({*zip(mean, std)}) == 1:  # one number for all channels, however it was written
        mean, std = mean[:1] * dataset.in_channels, std[:1] * dataset.in_channels
    if len(mean) != dataset.in_channels:
        return dataset
    return replace(dataset, views=replace(dataset.views, mean=mean, std=std))


def normalisation_at(source: str) -> Normalisation:
    """Mean and deviation that what `source` names was trained on; empty where it is not known.

    Args:
        source: as of `start_from`.

    Raises:
        ConfigError: an unknown network.
        MissingPackageError: timm is not installed.
    """
    if is_network(source):
        return normalisation_of(source)
    path = Path(source).resolve()
    # a run, or one of its checkpoints: run/checkpoints/step-100/supernet.safetensors
    folder = path.parents[2] if path.parent.parent.name == "checkpoints" else path
    if source and (folder / "config.yaml").is_file():
        config = Run(folder).config()
        return config.mean, config.std
    return (), ()


def check_source(source: str) -> None:
    """Refuse what names no weights, before any image is decoded.

    Args:
        source: as of `start_from`; empty for none.

    Raises:
        ConfigError: no such file or folder, or weights are wanted and none were named.
    """
    if source == "required":
        raise no_weights_named()
    if source and not is_network(source) and not Path(source).exists():
        if _is_path(source):
            raise ConfigError(
                f"{source}: no such run folder or weights file",
                hint=f"it is looked for as {Path(source).expanduser().absolute()}",
            )
        close = _like(source)
        raise ConfigError(
            f"{source}: no such run folder or weights file, nor a network by that name",
            hint=f"did you mean {close!r}?"
            if close
            else "networks of others are named as torchvision:NAME or timm:NAME, your own as "
            f"FILE.py:FUNCTION, those that come as packages {', '.join(PACKAGED)}",
        )


def _is_path(source: str) -> bool:
    """Whether it is written as paths are, and no name of a network is."""
    return source[0] in ".~" or "/" in source or Path(source).suffix.lower() in _WEIGHTS


def _like(source: str) -> str:
    """The network whose name is nearest; empty where none is near."""
    from torchvision import models

    known = {*SPACES, *(f"torchvision:{name}" for name in models.list_models(module=models))}
    by_name = {name.rpartition(":")[2]: name for name in sorted(known)}
    close = difflib.get_close_matches(source.rpartition(":")[2].lower(), by_name, n=1, cutoff=0.75)
    return by_name[close[0]] if close else ""


def no_weights_named() -> ConfigError:
    """That a recipe starts from weights, and none were given."""
    return ConfigError(
        "this recipe starts from trained weights, and none were named",
        hint=f"give --init {next(iter(PACKAGED))}, torchvision:NAME, timm:NAME, "
        "FILE.py:FUNCTION, a run folder or a weights file",
    )


def absolute_sources(recipe: Recipe) -> Recipe:
    """`recipe` with files and run folders as later commands find them from any folder."""
    phases = tuple(replace(p, teacher=_absolute_teacher(p.teacher)) for p in recipe.phases)
    init = recipe.init
    if is_network(init):
        init = absolute_network(init)
    elif init not in ("", "required"):
        init = str(Path(init).resolve())
    return replace(recipe, init=init, phases=phases)


def _absolute_teacher(source: str) -> str:
    if source.startswith(RUN_TEACHER):
        return f"{RUN_TEACHER}{Path(source.removeprefix(RUN_TEACHER)).resolve()}"
    return absolute_network(source) if is_network(source) else source


def _taken(supernet: Supernet, source: str, classes: Sequence[str], progress: Progress) -> Taken:
    check_source(source)
    if is_network(source):
        network = open_network(source, classes=classes, progress=progress)
        try:
            return load_pretrained(supernet, network)
        except ConfigError as error:
            made = SPACES.get(source.partition("=")[0])
            if made in (None, supernet.space.name):
                raise
            raise ConfigError(error.problems, hint=f"--space {made} is made for it") from None
    path = Path(source)
    return load_shared(supernet, find_run(path).weights() if path.is_dir() else path)
