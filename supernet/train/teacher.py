"""Networks that teach subnets: the largest one of some moment, or one from elsewhere."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from supernet.data.images import Dataset, Views
from supernet.errors import ConfigError, DataError, FileFormatError
from supernet.models import Supernet, extract, load_weights
from supernet.models.published import Normalisation, network_channels
from supernet.models.sources import is_network, normalisation_of, open_network
from supernet.run_images import images_are_there
from supernet.runs import Run, find_run
from supernet.space import Space, largest_subnet
from supernet.train.recipe import RUN_TEACHER, Elastic, Phase, Recipe

__all__ = ["Teachers", "check_teachers", "only_largest"]

_SHOWN = 5  # classes


def only_largest(phase: Phase) -> bool:
    """Whether a phase trains the largest subnet alone, at whatever input sizes."""
    elastic = phase.elastic
    return elastic == Elastic(resolution=elastic.resolution) or set(phase.subnets) == {"largest"}


class Teachers:
    """The frozen teachers of a training.

    Args:
        supernet: whose largest subnet is kept.
        recipe: whose phases ask for teachers.
        folder: where the kept one lies, as ``teacher.safetensors``.
        dataset: whose images are learned: how they are normalised, and the names of classes,
            where they tell which of a teacher's outputs these are.
    """

    def __init__(self, supernet: Supernet, recipe: Recipe, folder: Path, dataset: Dataset) -> None:
        self._supernet, self._views, self._classes = supernet, dataset.views, dataset.classes
        self.path = folder / "teacher.safetensors"
        wanted = any(phase.distill and phase.teacher == "frozen" for phase in recipe.phases)
        trained_first = not recipe.init or only_largest(recipe.phases[0])
        self.at_start = wanted and not trained_first
        """Whether the largest subnet is kept before the first phase."""
        self.after_first = wanted and trained_first
        """Whether it is kept after the first phase."""
        self._frozen: nn.Module | None = None
        self._foreign: dict[str, nn.Module] = {}

    def keep(self, network: nn.Module | None = None) -> nn.Module:
        """Keep the largest subnet as it is now, or `network`, which it was taken from."""
        network = network or extract(self._supernet, self._supernet.largest)
        self._frozen = _teacher(network)
        return network

    def resume(self, past_first_phase: bool) -> None:
        """Read the kept one back, if there should be one by now.

        Raises:
            FileFormatError: it is gone or damaged.
        """
        if self.at_start or (self.after_first and past_first_phase):
            load_weights(self.path, self.keep())

    def get(self, phase: Phase, device: torch.device) -> nn.Module | None:
        """The frozen teacher of a phase; None where it needs none.

        Raises:
            ConfigError: it has other classes or channels than the supernet.
        """
        if not phase.distill or phase.teacher == "in_place":
            return None
        if phase.teacher == "frozen":
            if self._frozen is None:
                raise FileFormatError(f"{self.path}: the teacher of phase {phase.name!r} is gone")
            return self._frozen
        if phase.teacher not in self._foreign:
            self._foreign[phase.teacher] = self._open(phase.teacher, device)
        return self._foreign[phase.teacher]

    def _open(self, source: str, device: torch.device) -> nn.Module:
        space = self._supernet.space
        if source.startswith(RUN_TEACHER):
            run = _teaching_run(source, space, self._classes)
            config = run.config()
            largest = run.evaluator(str(device)).network(largest_subnet(run.space()))
            return self._reading(largest, (config.mean, config.std))
        network = _teaching_network(source, space, self._classes)
        return self._reading(network.to(device), normalisation_of(source))

    def _reading(self, network: nn.Module, own: Normalisation) -> nn.Module:
        """The teacher that reads this training's images, trained on images normalised by `own`."""
        views = self._views
        if len(own[0]) == 1:  # one number for all channels
            own = own[0] * len(views.mean), own[1] * len(views.mean)
        if own == (views.mean, views.std) or len(own[0]) != len(views.mean):
            return _teacher(network)
        device = next(network.parameters()).device
        return _teacher(_Renormalised(network, views, own).to(device))


class _Renormalised(nn.Module):
    """A network that reads what was normalised by other numbers than it was trained on."""

    def __init__(self, network: nn.Module, views: Views, own: Normalisation) -> None:
        super().__init__()
        self.network = network
        mean, std, own_mean, own_std = (
            torch.tensor(values)[:, None, None] for values in (views.mean, views.std, *own)
        )
        self.scale = nn.Buffer(std / own_std, persistent=False)
        self.shift = nn.Buffer((mean - own_mean) / own_std, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, classes)`` logits."""
        logits: Tensor = self.network(x * self.scale + self.shift)
        return logits


def check_teachers(space: Space, recipe: Recipe, classes: Sequence[str]) -> None:
    """Refuse networks from elsewhere that cannot teach, before an image is decoded.

    Args:
        space: of the supernet, with the classes and channels of the images.
        recipe: whose phases name teachers.
        classes: their names.

    Raises:
        ConfigError: an unknown network or run, or one of other classes or channels.
        MissingPackageError: timm or the package of the weights is not installed.
        DataError: the weights cannot be downloaded, or the images of a run are gone.
        FileFormatError: a file that is missing, damaged, or of another network.
    """
    for source in dict.fromkeys(phase.teacher for phase in recipe.phases if phase.distill):
        if source.startswith(RUN_TEACHER):
            run = _teaching_run(source, space, classes)
            run.supernet()
            data = run.config().data
            if not data or not images_are_there(run):
                raise DataError(
                    f"teacher {source}: the images that it learned from are "
                    f"{f'not there: {data}' if data else 'not known'}; its batch norms need some",
                    hint="put them back, or name another teacher",
                )
        elif is_network(source):
            _teaching_network(source, space, classes)
            normalisation_of(source)


def _teaching_run(source: str, space: Space, classes: Sequence[str]) -> Run:
    """The run that is named, which knows the classes and channels of the images."""
    run = find_run(Path(source.removeprefix(RUN_TEACHER)))
    config = run.config()
    theirs, ours = (
        tuple(unicodedata.normalize("NFC", name) for name in names)
        for names in (config.classes, classes)
    )
    if theirs != ours or config.in_channels != space.in_channels:
        raise ConfigError(
            f"teacher {source}: knows {_counted(config.classes, config.in_channels)}, the "
            f"data have {_counted(classes, space.in_channels)}",
            hint="a teacher must have learned the same classes, in the same order",
        )
    return run


def _teaching_network(source: str, space: Space, classes: Sequence[str]) -> nn.Module:
    """The network that is named, with the outputs and channels of the images."""
    network = open_network(source, num_classes=space.num_classes, classes=classes)
    channels = network_channels(network)
    if channels != space.in_channels:
        raise ConfigError(
            f"teacher {source}: reads images of {channels} channels, the data have "
            f"{space.in_channels}"
        )
    return network


def _counted(classes: Sequence[str], channels: int) -> str:
    shown = ", ".join(map(repr, classes[:_SHOWN])) + ", ..." * (len(classes) > _SHOWN)
    return f"{len(classes)} classes ({shown}) in images of {channels} channels"


def _teacher(network: nn.Module) -> nn.Module:
    network.requires_grad_(False).eval()
    return network.to(memory_format=torch.channels_last)
