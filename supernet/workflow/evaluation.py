"""Networks side by side: accuracy, latency, size and memory of files and of subnets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from supernet.data import Dataset, load_dataset
from supernet.errors import ConfigError, FileFormatError
from supernet.evaluate.batches import ViewBatches
from supernet.evaluate.evaluator import images_at_once, some_images
from supernet.export import FORMATS, OpenedModel, exporter_of, format_of
from supernet.export.pixels import pixels_of
from supernet.latency import Protocol, measure
from supernet.latency.backends import open_backend
from supernet.progress import Progress, silent
from supernet.reading import FRESH, reading_told
from supernet.runs import Run, find_run
from supernet.space import (
    SubnetFile,
    check_operators,
    network_peak_bytes,
    total_macs,
    weight_bytes,
)
from supernet.workflow.export import enclosing_run, find_subnet
from supernet.workflow.export_latency import file_latencies
from supernet.workflow.feeding import Feeding, feeding_of, reads_pixels, with_output
from supernet.workflow.finetune import unfinished_note, with_finetuned
from supernet.workflow.peak_memory import peak_memory

__all__ = ["EvaluateRequest", "Evaluated", "evaluate_files", "found_files"]

Image: TypeAlias = tuple[int, int, int]
"""Channels, rows, columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """On what, and how files are fed that do not say it themselves."""

    data: str | None = None
    """Images; those of the run when not given."""
    run: Path | None = None
    """Whose images; of the first subnet when not given, else that in which the first file lies,
    else the newest."""
    images: int = 0
    """Test images at most, always the same; 0 for all."""
    mean: tuple[float, ...] = ()
    """Of pixel values from 0 to 1; of the images' own when not given."""
    std: tuple[float, ...] = ()
    resolution: int = 0
    """For files whose input size varies."""
    finetuned: bool = True
    """Of subnets, take finetuned weights where there are some, as an export does."""

    def __post_init__(self) -> None:
        for name, least in (("mean", None), ("std", 0.0)):
            for value in getattr(self, name):
                if not math.isfinite(value) or (least is not None and value <= least):
                    above = " above 0" if least is not None else ""
                    raise ConfigError(f"{name}: must be finite numbers{above}, found {value:g}")
                if abs(value) > 1:
                    raise ConfigError(
                        f"{name}: is of pixel values from 0 to 1, found {value:g}",
                        hint="divide by 255 what is of values from 0 to 255",
                    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """One network and what was measured of it on this machine."""

    path: Path
    runtime: str
    top1: float
    """Percent of the test images."""
    images: int
    latency_ms: float
    """One thread, `batch` images."""
    batch: int = 1
    """Images at once, of a file that takes no fewer."""
    size_bytes: int
    memory_bytes: int | None
    """Peak, as `supernet.workflow.peak_memory`; of a subnet its live tensors and weights."""
    macs: int | None
    """Multiply-adds of convolutions and linear layers; None where the format does not tell."""
    thop_macs: float | None = None
    """As the package ``thop`` counts them; of subnets alone."""
    resolution: int
    finetuned: tuple[float, float] | None = None
    """What `supernet finetune` gave, where the weights are its own: top-1 on held-out images before
    and after, percent."""
    notes: tuple[str, ...] = ()
    """What was taken from a file of others; that a subnet's finetuning has no end yet."""


def found_files(paths: Sequence[Path]) -> list[Path]:
    """Files that can be evaluated; of a folder, all in it that are networks.

    Raises:
        ConfigError: a path leads nowhere, or to a folder without networks.
    """
    suffixes = tuple(info.suffix for info in FORMATS.values() if info.load().runs_here)
    all_suffixes = tuple(info.suffix for info in FORMATS.values())
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and not path.name.endswith(all_suffixes):
            inside = sorted(file for file in path.iterdir() if file.name.endswith(suffixes))
            if not inside:
                known = ", ".join(suffixes)
                raise ConfigError(f"{path}: no network in it (files that end in {known})")
            found += inside
        else:
            found.append(path)
    return found


def evaluate_files(
    paths: Sequence[Path], request: EvaluateRequest, progress: Progress = silent
) -> list[Evaluated]:
    """Measure networks on the test images of one data set, in their order.

    Args:
        paths: of ``subnet.json`` files of runs, and of files of any format of `FORMATS`.
        request: on what.
        progress: told about every one.

    Raises:
        ConfigError: no such file, no images, other classes or another kind of input; or subnets
            of runs with other images.
        FileFormatError: a file that is no network, or damaged.
    """
    wanted = found_files(paths)
    networks = [path for path in wanted if path.suffix != ".json"]
    for path in networks:
        if not path.exists():
            raise ConfigError(f"{path}: no such file")
        made = format_of(path).load()
        if not made.runs_here:
            raise ConfigError(f"{path}: {made.title} does not run on this machine")
        made.check()
    found = []
    images = _Images(request, _run_of(wanted, request), progress)
    sizes = {path: _tried(path, images) for path in networks}
    ms = file_latencies(networks, None, None, progress, images=sizes) if networks else {}
    # opened after the timing: some runtimes have one pool of threads for all their files
    opened = {path: exporter_of(path).open(path, threads=0) for path in networks}
    # one that does not fit is told before any is evaluated
    fitted = {path: _fitted(path, model, images) for path, model in opened.items()}
    for number, path in enumerate(wanted):
        progress(number, len(wanted), f"evaluating, {path.name}")
        if path.suffix == ".json":
            found.append(_subnet(path, request, progress))
        else:
            row = _file(path, fitted[path], request.images, sizes[path])
            found.append(replace(row, latency_ms=ms[path]))
    return found


def _run_of(paths: Sequence[Path], request: EvaluateRequest) -> Run | None:
    """The run whose images all networks are measured on; None for the newest, or where not needed.

    Raises:
        ConfigError: there are subnets of runs with other images, and none are given.
    """
    if request.data is not None or request.run is not None:
        return None
    subnets = [path for path in paths if path.suffix == ".json"]
    found = {path: find_subnet(path, None)[1] for path in subnets}
    first = next(iter(found.values()), None)
    for path, run in found.items():
        if first is not None and _images_of(run) != _images_of(first):
            raise ConfigError(
                f"{path}: belongs to {run.folder}, whose images are not those of {first.folder}",
                hint="give images for all of them by --data",
            )
    return first or next(filter(None, map(enclosing_run, paths)), None)


def _images_of(run: Run) -> tuple[str, str]:
    """What tells the test images of runs apart."""
    config = run.config()
    known = config.fingerprints.get("test", "")
    return "" if known else config.data, known


class _Images:
    """The data set, loaded when the first file asks for it."""

    def __init__(self, request: EvaluateRequest, run: Run | None, progress: Progress) -> None:
        self.request, self._run, self._progress = request, run, progress
        self._known: dict[tuple[int, str], Dataset] = {}

    def dataset(self, resolution: int, told: Mapping[str, Any]) -> Dataset:
        """Images of at least this size, read as a file tells it."""
        key = resolution, repr([told.get(name) for name in ("fit", "levels")])
        if key not in self._known:
            request = self.request
            if request.data is not None:
                self._known[key] = load_dataset(
                    request.data,
                    resolution=resolution,
                    reading=reading_told(told, FRESH),
                    progress=self._progress,
                )
            else:
                run = self._run or find_run(request.run)
                self._known[key] = run.dataset(
                    self._progress,
                    resolution=resolution,
                    reading=reading_told(told, run.config().reading),
                )
        return self._known[key]


def _tried(path: Path, images: _Images) -> Image:
    """Channels, rows, columns of the images that a file is fed, on which it was run once.

    Raises:
        ConfigError: its size varies and none was given, or it does not suit the images.
        FileFormatError: it does not run.
    """
    model = exporter_of(path).open(path)
    size = _resolution(path, model, images.request)
    channels = model.input.image[0]
    if channels is None:
        channels = images.dataset(size, model.preprocessing).in_channels
    image = channels, size, size
    try:
        model.runner(image)()
    except Exception as error:  # of any kind: each runtime has its own
        told = " ".join(str(error).split())[-300:] or type(error).__name__
        raise FileFormatError(
            f"{path}: does not run on an image of {channels} x {size} x {size}: {told}"
        ) from error
    return image


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Fitted:
    """A file with the images that it is measured on."""

    model: OpenedModel
    feeding: Feeding
    dataset: Dataset
    resolution: int


def _fitted(path: Path, model: OpenedModel, images: _Images) -> _Fitted:
    """A file with its images, of which it gets one right or not.

    Raises:
        ConfigError: other channels, other classes.
    """
    resolution, request = _resolution(path, model, images.request), images.request
    dataset = images.dataset(resolution, model.preprocessing)
    channels = model.input.image[0]
    if channels not in (None, dataset.in_channels):
        raise ConfigError(
            f"{path}: reads {channels} channels, the images have {dataset.in_channels}",
            hint="give images of its kind by --data",
        )
    feeding = feeding_of(path, model, dataset.views, mean=request.mean, std=request.std)
    blank = np.zeros((1, dataset.in_channels, resolution, resolution), np.float32)
    model = with_output(path, model, len(dataset.classes), blank)
    found = _Fitted(model=model, feeding=feeding, dataset=dataset, resolution=resolution)
    _hits(path, found, 1)
    return found


def _file(path: Path, fitted: _Fitted, most: int, image: Image) -> Evaluated:
    hits, count = _hits(path, fitted, most)
    model = fitted.model
    return Evaluated(
        path=path,
        runtime=model.runtime,
        top1=100 * hits / count,
        images=count,
        latency_ms=0.0,
        batch=model.input.batch or 1,
        size_bytes=_size(path),
        memory_bytes=peak_memory(path, image),
        macs=_macs(path, model.input.sized(image)),
        resolution=fitted.resolution,
        notes=fitted.feeding.notes,
    )


def _hits(path: Path, fitted: _Fitted, most: int) -> tuple[int, int]:
    """How many test images a file gets right, and of how many.

    Args:
        path: of the file.
        fitted: it, with its images.
        most: images at most; 0 for all.
    """
    model, dataset, views = fitted.model, fitted.dataset, fitted.feeding.views
    test = dataset.test
    if most and most < len(test):
        test = some_images(test, most)
    batches = ViewBatches(
        test,
        fitted.resolution,
        views,
        batch_size=images_at_once(fitted.resolution),
        device=torch.device("cpu"),
    )
    hits, start = 0, 0
    for batch in batches:
        fed = pixels_of(batch, views.mean, views.std) if reads_pixels(model) else batch
        logits = model.logits([fed])
        if logits.shape[1] != len(dataset.classes):
            raise ConfigError(
                f"{path}: gives {logits.shape[1]} outputs, the images have "
                f"{len(dataset.classes)} classes",
                hint="give the images that it was trained for by --data",
            )
        labels = test.labels[start : start + len(logits)]
        hits += int((logits.argmax(axis=1) == labels).sum())
        start += len(logits)
    return hits, len(test)


def _size(path: Path) -> int:
    """Bytes of a file and of what belongs to it."""
    if path.is_dir():
        return sum(part.stat().st_size for part in path.rglob("*"))
    return sum(part.stat().st_size for part in exporter_of(path).parts(path))


def _macs(path: Path, shape: Sequence[int]) -> int | None:
    if path.suffix != ".onnx":
        return None
    import onnx

    from supernet.export.counting import onnx_macs

    try:
        return onnx_macs(onnx.load(path), shape)
    except FileFormatError:  # a graph whose shapes depend on its input
        return None


def _resolution(path: Path, model: OpenedModel, request: EvaluateRequest) -> int:
    if model.preprocessing.get("output") == "features":
        raise ConfigError(
            f"{path}: a backbone gives maps of features, which have no accuracy",
            hint="evaluate the subnet.json that it was made from",
        )
    _, rows, columns = model.input.image
    if rows is not None and columns is not None and rows != columns:
        raise ConfigError(f"{path}: reads {rows} x {columns} pixels; only squares are supported")
    found = rows or columns or request.resolution
    if not found:
        raise ConfigError(f"{path}: its input size varies", hint="give one by --resolution")
    return found


def _subnet(path: Path, request: EvaluateRequest, progress: Progress) -> Evaluated:
    """A subnet of a run, in torch."""
    from supernet.export.card import thop_macs

    path, run = find_subnet(path, request.run)
    file = SubnetFile.load(path)
    check_operators(run.space(), file)
    note = unfinished_note(run, file) if request.finetuned else ""
    trained, file = with_finetuned(run, file) if request.finetuned else (run, file)
    evaluator = trained.evaluator("cpu", data=request.data, progress=progress)
    network = evaluator.network(file.subnet)
    resolution = file.subnet.resolution
    score = evaluator.score(network, resolution, "test", images=request.images)
    backend = open_backend("torch")
    threads = torch.get_num_threads()
    timing = measure([file.network], Protocol(), backend=backend, progress=progress)[0]
    torch.set_num_threads(threads)
    shape = (evaluator.dataset.in_channels, resolution, resolution)
    weights = round(sum(map(weight_bytes, file.operators)))
    return Evaluated(
        path=path,
        runtime=f"torch {torch.__version__.split('+')[0]}",
        top1=score.top1,
        images=len(evaluator.images("test", request.images)),
        latency_ms=timing.ms,
        size_bytes=weights,
        memory_bytes=round(network_peak_bytes(file.network)) + weights,
        macs=total_macs(file.operators),
        thop_macs=thop_macs(network.to(memory_format=torch.contiguous_format), shape),
        resolution=resolution,
        finetuned=file.finetuned if trained is not run else None,
        notes=(note,) if note else (),
    )
