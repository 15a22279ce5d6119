"""A run: one folder with everything a training produced, where later commands look.

=======================  ======================================================
``config.yaml``          everything resolved: data, recipe, seed, classes
``space.yaml``           the search space
``images.npz``           which images of a folder it was trained with
``metrics.jsonl``        one line an epoch
``architecture.jsonl``   one line an epoch of a phase that searches: probabilities
``targets/``             latency tables of such phases, by their names
``checkpoints/``         weights and the state of training
``evaluations.sqlite``   subnet -> accuracy, with what it was measured on
``predictor/``           the accuracy predictor, learned or imported; ``pairs.npz``
``search/<name>/``       searches (see `supernet.search.saved`)
``quality.json``         accuracies of subnets of all sizes
``comparison.json``      networks measured beside a search
``standalone/<key>/``    runs of single subnets that were trained standalone, to compare
``finetune/<key>/``      runs of single subnets that were finetuned from this one's weights
``export/``              one folder a subnet: files, model card, script
``report.html``          the report
=======================  ======================================================
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet.errors import ConfigError, FileFormatError
from supernet.evaluate import CALIBRATION_IMAGES, Condition, Split, resolved_device
from supernet.files import read_as, sha256, write_document
from supernet.progress import Progress, silent
from supernet.reading import Reading
from supernet.run_images import RECORD, check_fits, dataset_of, fingerprint_of
from supernet.space import Precision, Space, load_space, save_space

if TYPE_CHECKING:  # torch is loaded by what needs weights or images
    from supernet.data import Dataset, ImageRecord
    from supernet.evaluate import Evaluator
    from supernet.models import Supernet

__all__ = [
    "RUNS",
    "Run",
    "RunConfig",
    "check_new",
    "find_run",
]

RUNS = Path("runs")
"""Where runs are made and looked for, below the working directory."""

_VERSION = 1

OLD_READING = Reading(integers=(0.0, 65535.0), floats=(0.0, 255.0), looked=True)
"""Of runs that do not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a training or an import was started with, resolved."""

    data: str
    """The name of a data set (``fashion_mnist``, ``cifar10``), or the absolute path of a
    folder of class folders; empty for an imported supernet that came without images."""
    classes: tuple[str, ...]
    """Class names, in the order of the network's outputs."""
    in_channels: int
    """Channels of an image."""
    mean: tuple[float, ...]
    """Subtracted from pixel values (0 to 1), per channel."""
    std: tuple[float, ...]
    """Pixel values are divided by this, per channel."""
    recipe: dict[str, Any]
    """The recipe, as in its YAML file."""
    seed: int = 0
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    """When, UTC."""
    images: int = 0
    """Training images, without those held out; 0 where that is not known."""
    holdout_images: int = 0
    """Images held out, capped by `supernet.data.HOLDOUT_IMAGES`; 0 where not known."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Of the images of a folder: a hash of the contents and classes of those of ``train``,
    ``holdout`` and ``test``; empty for data sets that cannot change, and older runs."""
    reading: Reading = OLD_READING
    """How picture files became pixels."""
    imported: dict[str, str] = field(default_factory=dict)
    """Where the weights came from (``source``, ``sha256``), if they were not trained here."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder and what is in it."""

    folder: Path

    @classmethod
    def create(
        cls, folder: Path, space: Space, config: RunConfig, images: "ImageRecord | None" = None
    ) -> "Run":
        """Write what a training is started with into a new run folder.

        Args:
            folder: to make.
            space: what may be chosen.
            config: everything else.
            images: that it is trained with, where they can change.

        Raises:
            ConfigError: the folder holds a run already.
            StorageError: it cannot be written.
        """
        check_new(folder)
        save_space(space, folder / "space.yaml")
        if images is not None:
            images.save(folder / RECORD)
            config = replace(config, fingerprints=images.fingerprints())
        write_document(folder / "config.yaml", "run", _VERSION, asdict(config))
        return cls(folder)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def architecture(self) -> Path:
        """What phases that search have learned, one line an epoch."""
        return self.folder / "architecture.jsonl"

    @property
    def tables(self) -> Path:
        """Folder of the latency tables that phases search by."""
        return self.folder / "targets"

    @property
    def evidence(self) -> Path:
        """The database of evaluations (`supernet.evaluate.Evidence`)."""
        return self.folder / "evaluations.sqlite"

    @property
    def pairs(self) -> Path:
        """Subnets and their accuracies as arrays, for predictors."""
        return self.folder / "predictor" / "pairs.npz"

    @property
    def predictor(self) -> Path:
        """The accuracy predictor that was learned from this run's evaluations."""
        return self.folder / "predictor" / "predictor.json"

    @property
    def searches(self) -> Path:
        """Folder of the searches, one folder each."""
        return self.folder / "search"

    @property
    def standalone(self) -> Path:
        """Folder of the runs of single subnets, by `Subnet.key`."""
        return self.folder / "standalone"

    @property
    def finetuned(self) -> Path:
        """Folder of the runs of single subnets that were finetuned, by `Subnet.key`."""
        return self.folder / "finetune"

    @property
    def exports(self) -> Path:
        """Folder of the exported files."""
        return self.folder / "export"

    @property
    def imported_predictor(self) -> Path:
        """Where an accuracy predictor that was trained elsewhere is kept."""
        return self.folder / "predictor" / "imported.json"

    def known_predictor(self) -> Path:
        """The accuracy predictor that is there: an imported one, else the learned one.

        Raises:
            ConfigError: there is none.
        """
        for path in (self.imported_predictor, self.predictor):
            if path.is_file():
                return path
        raise ConfigError(
            f"{self.folder}: no accuracy predictor in it",
            hint="`supernet search` learns one; `supernet import ofa` brings one in",
        )

    def config(self) -> RunConfig:
        """What the training was started with.

        Raises:
            FileFormatError: not a run.
            ConfigError: values that break rules; all problems at once.
        """
        return read_as(RunConfig, self.folder / "config.yaml", "run", _VERSION)

    def space(self) -> Space:
        """The search space, with the classes and channels of the run's images."""
        config = self.config()
        return replace(
            load_space(self.folder / "space.yaml"),
            num_classes=len(config.classes),
            in_channels=config.in_channels,
        )

    def metrics(self) -> list[dict[str, Any]]:
        """What the training reported, one record an epoch; none of an imported supernet.

        Raises:
            FileFormatError: damaged.
        """
        return _records(self.folder / "metrics.jsonl")

    def learned(self) -> list[dict[str, Any]]:
        """What phases that search have learned, one record an epoch; none without such.

        Raises:
            FileFormatError: damaged.
        """
        return _records(self.architecture)

    def supernet(self) -> "Supernet":
        """The supernet with the newest weights.

        Raises:
            FileFormatError: nothing trained yet, or damaged weights.
        """
        from supernet.models import Supernet, load_weights

        supernet = Supernet(self.space())
        load_weights(self.weights(), supernet)
        return supernet.eval()

    def weights(self) -> Path:
        """The newest weights file.

        Raises:
            FileFormatError: nothing trained yet.
        """
        found = sorted(
            self.checkpoints.glob("step-*/supernet.safetensors"),
            key=lambda path: int(path.parent.name[5:]),
        )
        if not found:
            raise FileFormatError(
                f"{self.folder}: no checkpoint in it", hint="go on with `supernet train --resume`"
            )
        return found[-1]

    def checkpoint(self, folder: Path) -> dict[str, str]:
        """The newest weights as a ``subnet.json`` in `folder` names them."""
        weights = self.weights()
        return {"path": os.path.relpath(weights, folder), "sha256": sha256(weights)}

    def condition(
        self,
        split: Split = "holdout",
        *,
        images: int = 0,
        calibration_images: int = CALIBRATION_IMAGES,
        finetune_epochs: float = 0.0,
        precision: Precision = "fp32",
        data: str | None = None,
    ) -> Condition:
        """Under which the evaluations of `evaluator` are kept.

        Args:
            split: the images that are evaluated.
            images: how many of them at most; 0 for all.
            calibration_images: for the batch norm statistics, at most.
            finetune_epochs: passes over the training images before a subnet is measured.
            precision: of the computation.
            data: images instead of those of the run.
        """
        if data:
            from supernet.data import absolute_source

            data = absolute_source(data)
        weights = sha256(self.weights())
        if finetune_epochs:  # other weights, made from these by the run's recipe
            told = f"{weights} {sorted(self.config().recipe.items())} {finetune_epochs}"
            weights = hashlib.sha256(told.encode()).hexdigest()
        told, fingerprint = data or self.config().data, fingerprint_of(self, split, data)
        return Condition(
            weights=weights,
            data=Path(told).name if fingerprint else told,
            split=split,
            images=images,
            calibration_images=calibration_images,
            precision=precision,
            fingerprint=fingerprint,
        )

    def evaluator(
        self, device: str = "cpu", *, data: str | None = None, progress: Progress = silent
    ) -> "Evaluator":
        """What measures subnets of this run, the same for every command.

        Args:
            device: where to run; ``auto`` for a GPU where there is one.
            data: images instead of those of the run.
            progress: told about every decoded image.

        Raises:
            FileFormatError: nothing trained yet, or damaged weights.
            DataError: the images are gone or damaged.
            ConfigError: the classes have changed, or the run has no images.
        """
        from supernet.evaluate import Evaluator

        device = resolved_device(device)
        dataset = self.dataset(progress, data=data)
        return Evaluator(self.supernet().to(device), dataset, device=device)

    def dataset(
        self,
        progress: Progress = silent,
        *,
        data: str | None = None,
        resolution: int = 0,
        reading: Reading | None = None,
    ) -> "Dataset":
        """The images it was trained on, split as then.

        Args:
            progress: told about every decoded image, and about images that have changed.
            data: images to take instead, of the same classes.
            resolution: largest input size that will be asked for; the space's when 0.
            reading: how picture files become pixels; as in the training when not given.

        Raises:
            DataError: they are gone or damaged.
            ConfigError: the classes have changed, or the run has no images.
        """
        config = self.config()
        if not (data or config.data):
            raise ConfigError(
                f"{self.folder}: the supernet was imported without images, and batch norm "
                "statistics, accuracies and exports need some",
                hint="give a folder with train/<class>/ and val/<class>/ by --data",
            )
        resolution = resolution or load_space(self.folder / "space.yaml").resolutions[-1]
        dataset = dataset_of(self, data, resolution, reading, progress)
        check_fits(dataset, len(config.classes), config.in_channels)
        if len(config.mean) != config.in_channels:  # imported without images
            return dataset
        views = replace(dataset.views, mean=config.mean, std=config.std)
        return replace(dataset, views=views)


def _records(path: Path) -> list[dict[str, Any]]:
    """Records of epochs, a line each; a last one that was cut short is left out."""
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    found = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last end is cut
        try:
            found.append(json.loads(line))
            float(found[-1]["epoch"])
        except (ValueError, LookupError, TypeError):
            text = f"{path}, line {number}: not the record of an epoch"
            raise FileFormatError(text) from None
    return found


def check_new(folder: Path) -> None:
    """Refuse a folder in which a run was made already.

    Raises:
        ConfigError: it holds one.
    """
    if (folder / "config.yaml").exists():
        raise ConfigError(
            f"{folder} holds a run already",
            hint="go on with it by --resume, or choose another --run",
        )


def find_run(folder: Path | None) -> Run:
    """The run in `folder`, or the newest one below ``runs/``.

    Raises:
        ConfigError: there is none.
    """
    if folder is not None:
        if not (folder / "config.yaml").is_file():
            raise ConfigError(f"{folder}: not a run (no config.yaml in it)")
        return Run(folder)
    found = list(RUNS.glob("*/config.yaml"))
    if not found:
        raise ConfigError(
            f"no run below {RUNS.resolve()}",
            hint="make one with `supernet train`, or name one with --run",
        )
    return Run(max(found, key=lambda path: path.stat().st_mtime).parent)
