"""Training a supernet into a run folder."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from supernet import __version__
from supernet.data import EMBEDDED, Dataset, absolute_source, load_dataset
from supernet.errors import ConfigError
from supernet.evaluate import Evaluator
from supernet.files import fill
from supernet.latency import LatencyTable
from supernet.models import Supernet
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading
from supernet.run_images import check_unchanged
from supernet.runs import Run, RunConfig
from supernet.space import Genes, Space, decode
from supernet.space.layout import layout_of
from supernet.train import (
    Phase,
    Processes,
    Recipe,
    Trainer,
    at_precision,
    check_auxiliary,
    check_norms,
    check_shares,
    list_checkpoints,
    phase_genes,
)
from supernet.train.architecture.phase import image_halves
from supernet.train.batches import steps_per_epoch
from supernet.train.sampling import lowest_allowed, step_rng
from supernet.workflow.architecture import (
    finish_searches,
    keep_tables,
    kept_tables,
)
from supernet.workflow.beginning import Beginning, begun, outlined, seeded_supernet
from supernet.workflow.claims import claimed_run, held_run
from supernet.workflow.report import report_run
from supernet.workflow.resuming import check_goes_on
from supernet.workflow.start import (
    absolute_sources,
    adapt_start,
    check_source,
    normalised,
    start_from,
)

__all__ = [
    "EachEpoch",
    "resume_training",
    "seeded_supernet",
    "train_supernet",
    "validated_genes",
]

EachEpoch: TypeAlias = Callable[[Evaluator, dict[str, Any]], dict[str, Any]]
"""Called with the record of an epoch; its values go to the metrics, what it raises ends the
training."""

_RANDOM: tuple[Literal["random"], ...] = ("random",) * 3
"""Random subnets whose accuracy is measured after each phase."""


def train_supernet(
    space: Space,
    recipe: Recipe,
    data: str = EMBEDDED,
    *,
    folder: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    processes: Processes | None = None,
    reading: Reading = FRESH,
    progress: Progress = silent,
    each_epoch: EachEpoch | None = None,
    like: Run | None = None,
) -> Run:
    """Train a supernet from the start; the run it made.

    Args:
        space: what may be chosen.
        recipe: how to train, and from which weights.
        data: ``fashion_mnist``, another data set by name, or a folder of class folders.
        folder: for the run; a new one below ``runs/`` when not given.
        seed: of everything that is random.
        device: where to train.
        processes: those that train together, and where (`supernet.train.joined_processes`).
        reading: how picture files become pixels.
        progress: told about every step.
        each_epoch: measures each epoch, in place of the accuracies after each phase.
        like: a run on the same data, whose images are read and used alike here; `data` and
            `reading` are of no effect then.

    Raises:
        DataError: the images are missing or broken.
        ConfigError: the folder holds a run already, or options do not fit.
        TrainingError: the loss is not finite.
    """
    processes = processes or Processes(device=device)
    check_device(processes.device)
    progress = progress if processes.is_main else silent
    now = datetime.datetime.now(datetime.UTC)
    with claimed_run(folder, space, now, processes) as run:
        check_auxiliary(space, recipe)
        check_norms(space, recipe, processes)
        check_shares(recipe, processes)
        recipe = processes.broadcast(at_precision(recipe, processes.device))
        reading = replace(reading, whole=bool(recipe.augment and recipe.augment.whole))
        check_source(recipe.init)
        with processes.one_a_machine_first():
            outline = outlined(
                space, recipe, data, like, seed=seed, reading=reading, progress=progress
            )
        beginning = begun(space, recipe, outline, seed=seed, processes=processes, progress=progress)
        with processes.one_a_machine_first():
            size = space.resolutions[-1]
            if like is not None:
                dataset = like.dataset(progress, resolution=size)
            else:
                dataset = load_dataset(
                    data, resolution=size, seed=seed, reading=reading, progress=progress
                )
                dataset = normalised(dataset, beginning.normalisation)
        config = RunConfig(
            data=absolute_source(data),
            classes=dataset.classes,
            in_channels=dataset.in_channels,
            mean=dataset.views.mean,
            std=dataset.views.std,
            images=len(dataset.train),
            holdout_images=len(dataset.holdout),
            reading=dataset.reading,
            recipe={},  # until it is complete
            seed=seed,
            device=processes.device,
            versions={"supernet": __version__, "torch": str(torch.__version__)},
            created=now.isoformat(timespec="seconds"),
        )
        return _begun(run, space, beginning, config, dataset, processes, progress, each_epoch)


def _begun(
    run: Run,
    space: Space,
    beginning: Beginning,
    config: RunConfig,
    dataset: Dataset,
    processes: Processes,
    progress: Progress,
    each_epoch: EachEpoch | None,
) -> Run:
    """The run, trained in a folder that is held."""
    supernet, recipe, tables = beginning.supernet, beginning.recipe, beginning.tables
    halves = image_halves(dataset, config.seed) if recipe.searching else ()
    for images in (dataset.train, *halves):  # without broken ones
        steps_per_epoch(len(images), recipe.batch_size)
    config = replace(config, recipe=asdict(absolute_sources(recipe)))
    adapt_start(supernet, recipe.init, dataset, processes=processes)
    trainer = _trainer(
        run, supernet, config, dataset, recipe, tables, processes, progress, each_epoch
    )
    if processes.is_main:
        keep_tables(run, tables)
        Run.create(run.folder, space, config, dataset.record)
    return _trained(run, trainer, processes, progress)


def resume_training(
    run: Run,
    *,
    device: str = "cpu",
    processes: Processes | None = None,
    progress: Progress = silent,
    each_epoch: EachEpoch | None = None,
) -> Run:
    """Go on with a training as if it had never stopped.

    Raises:
        FileFormatError: the newest checkpoint is damaged.
        ConfigError: the run's images have changed, or another process is at work in it.
    """
    processes = processes or Processes(device=device)
    check_device(processes.device)
    progress = progress if processes.is_main else silent
    config = run.config()
    if config.imported:
        raise ConfigError(
            f"{run.folder}: its weights were imported ({config.imported['source']}), so there is "
            "no training to go on with",
            hint="start a new one from them with --init",
        )
    with held_run(run, processes):
        return _resumed(run, config, processes, progress, each_epoch)


def _resumed(
    run: Run,
    config: RunConfig,
    processes: Processes,
    progress: Progress,
    each_epoch: EachEpoch | None,
) -> Run:
    """The run, trained to its end in a folder that is held."""
    recipe = fill(Recipe, config.recipe, "recipe")
    check_norms(run.space(), recipe, processes)  # their number may be another now
    check_shares(recipe, processes)
    supernet, tables = seeded_supernet(run.space(), config.seed), kept_tables(run, recipe)
    found = list_checkpoints(run.checkpoints)
    fresh = recipe.init if not found else ""
    check_goes_on(run, config, recipe, supernet, device=processes.device)
    with processes.one_a_machine_first():
        check_unchanged(run)
        if fresh:
            start_from(supernet, fresh, progress, classes=config.classes)
        dataset = run.dataset(progress)
    if config.images not in (0, len(dataset.train)):
        raise ConfigError(
            f"{config.data}: has {len(dataset.train)} training images, the run was started with "
            f"{config.images}, so it cannot go on as if it had never stopped",
            hint="put them back, or start a new run from this one's weights with --init",
        )
    adapt_start(supernet, fresh, dataset, processes=processes)
    trainer = _trainer(
        run, supernet, config, dataset, recipe, tables, processes, progress, each_epoch
    )
    if found:
        trainer.resume(found[-1])
    processes.barrier()  # before the first of them removes old checkpoints
    return _trained(run, trainer, processes, progress)


def _trained(run: Run, trainer: Trainer, processes: Processes, progress: Progress) -> Run:
    """The run after its training, with the results of the phases that search."""
    trainer.train()
    if processes.is_main:
        finish_searches(run, trainer.recipe, device=processes.device, progress=progress)
        if trainer.recipe.searching:
            report_run(run)
    processes.barrier()
    return run


def _trainer(
    run: Run,
    supernet: Supernet,
    config: RunConfig,
    dataset: Dataset,
    recipe: Recipe,
    tables: Mapping[str, LatencyTable],
    processes: Processes,
    progress: Progress,
    each_epoch: EachEpoch | None,
) -> Trainer:
    evaluator = Evaluator(supernet, dataset, device=processes.device)
    return Trainer(
        supernet,
        dataset,
        recipe,
        folder=run.folder,
        seed=config.seed,
        processes=processes,
        latencies={phase: table.predictor(supernet.space) for phase, table in tables.items()},
        progress=progress,
        after_phase=None if each_epoch else _validation(evaluator, supernet.space, config.seed),
        after_epoch=partial(each_epoch, evaluator) if each_epoch else None,
    )


def check_device(device: str) -> None:
    """Refuse a device that torch does not have.

    Raises:
        ConfigError: it is not there.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(
            f"device {device!r} is not there: {reason}", hint="use --device cpu"
        ) from None


def _validation(evaluator: Evaluator, space: Space, seed: int) -> Callable[[Phase], dict[str, Any]]:
    """Accuracy on the held-out images of subnets that a phase has trained."""

    def validate(phase: Phase) -> dict[str, Any]:
        genes = validated_genes(space, phase, seed)
        top1 = [evaluator.subnet_top1(subnet, "holdout") for subnet in decode(space, genes)]
        return {
            "top1_largest": top1[0],
            "top1_smallest": top1[1],
            "top1_random": sum(top1[2:]) / len(_RANDOM),
        }

    return validate


def validated_genes(space: Space, phase: Phase, seed: int) -> Genes:
    """The subnets measured after a phase: largest, smallest, some random, at sizes of their own.

    The subnets of a training step share one size; here the largest has the largest.
    """
    genes = phase_genes(
        space, replace(phase, subnets=("largest", "smallest", *_RANDOM)), seed, step=0
    )
    resolution = layout_of(space).resolution
    if resolution.column >= 0:
        low, high = lowest_allowed(space, phase.elastic)[resolution.column], len(resolution.choices)
        drawn = step_rng(seed, "validation", 0).integers(low, high, size=len(_RANDOM))
        genes[:, resolution.column] = [high - 1, low, *drawn]
    return genes
