"""What others published becomes ours: supernets, subnets, predictors, latency tables."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from supernet import __version__
from supernet.data import Dataset, absolute_source, load_dataset
from supernet.errors import ConfigError, DataError, FileFormatError
from supernet.fetch import fetch, is_url, name_of
from supernet.files import sha256
from supernet.latency import import_latency_table
from supernet.models import save_weights
from supernet.models.ofa import ofa_supernet
from supernet.models.weights import load_tensors
from supernet.predict import MLPPredictor
from supernet.predict.ofa import from_ofa
from supernet.progress import Progress, silent
from supernet.reading import FRESH
from supernet.run_images import check_fits
from supernet.runs import Run, RunConfig
from supernet.space import Operator, Space, SubnetFile, list_spaces, load_space, save_space
from supernet.space.identify import find_subnet, fixed_space
from supernet.space.net_config import read_bn_eps, read_net_config, read_run_config
from supernet.workflow.claims import claimed_run
from supernet.workflow.subnet_files import subnet_file

__all__ = [
    "ImportedSubnet",
    "import_checkpoint",
    "import_latency_table",
    "import_predictor",
    "import_subnet",
]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels: what the published networks were trained with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSubnet:
    """A published network as a subnet."""

    file: SubnetFile
    path: Path
    space: Space
    space_path: Path | None
    """Its space as YAML, where it is in none of the shipped ones."""


def import_checkpoint(
    source: str,
    *,
    space: Space | None = None,
    data: str | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Run:
    """A run that holds the weights of a published Once-for-All supernet.

    Args:
        source: path or URL of the checkpoint.
        space: that it is of; found out by its tensors where not given.
        data: images to recalibrate, evaluate and export with.
        folder: for the run; a new one below ``runs/`` when not given.
        progress: told about the download.

    Raises:
        FileFormatError: not a checkpoint, or of another space.
        ConfigError: the folder holds a run, or the images have other classes.
        DataError: the file or the images are missing or broken.
    """
    path = fetch(source, progress)
    supernet = ofa_supernet(path, space)
    space = supernet.space
    now = datetime.datetime.now(datetime.UTC)
    with claimed_run(folder, space, now) as run:
        dataset = _images(data, space, progress)
        config = RunConfig(
            data=absolute_source(data) if data else "",
            classes=dataset.classes if dataset else _numbered(space.num_classes),
            in_channels=space.in_channels,
            mean=_MEAN,
            std=_STD,
            reading=dataset.reading if dataset else FRESH,
            recipe={},
            versions={"supernet": __version__, "torch": str(torch.__version__)},
            created=now.isoformat(timespec="seconds"),
            imported={"source": source, "sha256": sha256(path)},
        )
        # first the weights: a folder without them never looks like a run
        save_weights(run.checkpoints / "step-0" / "supernet.safetensors", supernet.state_dict())
        return Run.create(run.folder, space, config, dataset.record if dataset else None)


def _images(data: str | None, space: Space, progress: Progress) -> Dataset | None:
    if not data:
        return None
    dataset = load_dataset(data, resolution=space.resolutions[-1], progress=progress)
    check_fits(dataset, space.num_classes, space.in_channels)
    return dataset


def _numbered(count: int) -> tuple[str, ...]:
    """Names of classes of which only the number is known."""
    return tuple(str(number) for number in range(count))


def import_subnet(
    source: str,
    *,
    space: Space | None = None,
    resolution: int | None = None,
    run: Run | None = None,
    output: Path | None = None,
    progress: Progress = silent,
) -> ImportedSubnet:
    """A published ``net.config`` as a ``subnet.json``.

    It becomes a subnet of the run's space, of `space`, or of the first shipped one that
    has it; a network that is in none of them gets a space of its own, whose YAML file is
    written beside it.

    Args:
        source: path or URL of the ``net.config``, or of the folder that holds it.
        space: to look in.
        resolution: input size in pixels; that of the ``run.config`` beside it, else 224.
        run: whose supernet holds the weights; the file then goes to its ``search/``.
        output: path of the ``subnet.json``.
        progress: told about the download.

    Raises:
        FileFormatError: not a published network.
        ConfigError: it is not in the space that was named.
    """
    path, beside = _net_config(source, progress)
    size = resolution or (read_run_config(beside) if beside else 224)
    operators = read_net_config(path, size)
    if run:
        space = _space_of(run, space)
    if space is not None and space.cells is not None:
        raise ConfigError(
            f"{source}: a net.config says blocks that follow each other, and space {space.name!r} "
            "has cells, which are graphs",
            hint="`supernet spaces subnet` writes cells that were published",
        )
    name = name_of(source)
    try:
        found, own = _space_with(operators, name, read_bn_eps(path), space)
        subnet = find_subnet(found, operators)
    except ConfigError as error:
        raise FileFormatError(f"{path}: {error}") from None
    if subnet is None:
        raise ConfigError(
            f"{source}: at {size} px not a subnet of space {found.name!r}",
            hint="without --run and --space it gets the space that has it, or one of its own",
        )
    if output is None:
        where = run.folder / "search" / "imported" if run else Path()
        output = where / ("subnet.json" if run else f"{name}.json")
    if run:
        file = subnet_file(run, found, subnet, output.parent)
    else:
        file = SubnetFile(subnet=subnet, operators=operators)
    space_path = output.with_name(f"{output.stem}.space.yaml") if own else None
    if space_path:
        save_space(found, space_path)
    file.save(output)
    return ImportedSubnet(file=file, path=output, space=found, space_path=space_path)


def _space_with(
    operators: Sequence[Operator], name: str, bn_eps: float, space: Space | None
) -> tuple[Space, bool]:
    """The space to look for a network in, and whether it was made for this network."""
    if space:
        return space, False
    for known in list_spaces():
        candidate = load_space(known)
        if find_subnet(candidate, operators) is not None:
            return candidate, False
    return fixed_space(name, operators, bn_eps=bn_eps), True


def _space_of(run: Run, named: Space | None) -> Space:
    """The space of a run.

    Raises:
        ConfigError: another one was named.
    """
    space = run.space()
    if named and named.hash != space.hash:
        raise ConfigError(
            f"{run.folder}: its space is {space.name!r}, not {named.name!r}",
            hint="leave out --space, or choose another --run",
        )
    return space


def _net_config(source: str, progress: Progress) -> tuple[Path, Path | None]:
    """The ``net.config``, and the ``run.config`` beside it where there is one."""
    found = fetch(source, progress)
    if found.is_dir():
        found = fetch(str(found / "net.config"))
    beside = found.with_name("run.config")
    if is_url(source):  # the neighbour is fetched as well
        url, question, query = source.partition("#")[0].partition("?")
        if not url.endswith("/net.config"):
            return found, None
        try:
            neighbour = url.removesuffix("net.config") + "run.config"
            beside = fetch(neighbour + question + query, progress)
        except (DataError, FileFormatError):
            return found, None
    return found, beside if beside.is_file() else None


def import_predictor(
    source: str,
    *,
    run: Run | None = None,
    space: Space | None = None,
    sizes: tuple[int, ...] | None = None,
    output: Path | None = None,
    progress: Progress = silent,
) -> tuple[MLPPredictor, Path]:
    """A published accuracy predictor; searches in `run` use it from then on.

    Args:
        source: path or URL of the file.
        run: to put it into.
        space: that it predicts, where there is no run.
        sizes: input sizes it knows, where the file does not tell.
        output: path of the description to write, where there is no run.
        progress: told about the download.

    Raises:
        FileFormatError: not such a predictor, or of another space.
        ConfigError: neither a run nor a space and a path.
    """
    target = run.imported_predictor if run else output
    if run:
        space = _space_of(run, space)
    if target is None or space is None:
        raise ConfigError(
            "an accuracy predictor needs the supernet that it predicts",
            hint="give --run, --checkpoint, or --space and --output",
        )
    path = fetch(source, progress)
    state = {name: value.float().numpy() for name, value in load_tensors(path).items()}
    origin = {"source": source, "sha256": sha256(path)}
    try:
        predictor = from_ofa(state, space, origin, sizes)
    except (ConfigError, FileFormatError) as error:
        raise FileFormatError(f"{path}: {error}", hint=error.hint) from None
    predictor.save(target)
    return predictor, target
