"""How good a supernet is: its subnets as they are, and against the same trained standalone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from supernet.errors import ConfigError, FileFormatError
from supernet.evaluate import CALIBRATION_IMAGES, Evidence, Score, Split
from supernet.files import fill, sha256
from supernet.models import Supernet, extract, load_pretrained, save_weights
from supernet.progress import Progress, silent
from supernet.run_images import tell_changes
from supernet.runs import Run
from supernet.space import Space, Subnet, decode, largest, operators, total_macs, total_params
from supernet.space.identify import fixed_space
from supernet.train import Processes, Recipe, standalone_recipe
from supernet.workflow.accuracies import Accuracies, random_pairs
from supernet.workflow.engines import EngineRequest
from supernet.workflow.quality_file import (
    QualityFile,
    SubnetQuality,
    correlations,
    write_quality,
)
from supernet.workflow.report import report_run
from supernet.workflow.start import begin_from
from supernet.workflow.train import resume_training, seeded_supernet, train_supernet

__all__ = ["measure_quality", "standalone_space"]

_NAMES = ("largest", "smallest")


def measure_quality(
    run: Run,
    *,
    subnets: int = 20,
    standalone: int = 0,
    split: Split = "test",
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[QualityFile, Path, Path]:
    """Measure subnets of a run; what was found, ``quality.json`` and the report.

    Nothing is measured or trained twice: called again after it was stopped, it goes on.

    Args:
        run: with a trained supernet.
        subnets: random subnets of all sizes, beside the smallest and the largest.
        standalone: how many of these are also trained standalone, as long as the supernet was: the
            largest, the smallest, then random ones; 0 for none.
        split: the images that accuracies are of.
        seed: of the random subnets.
        device: where to measure and train.
        progress: told about every subnet and every step.

    Raises:
        ConfigError: numbers that do not fit, or an imported run that has no recipe.
        DataError: the run's images are gone.
        TrainingError: a loss is not finite.
    """
    _check(run, subnets, standalone)
    tell_changes(run, progress)
    space = run.space()
    genes = random_pairs(space, subnets + len(_NAMES), seed)
    accuracies = Accuracies(run, EngineRequest(device=device), progress, split=split)
    scores = [Score(*pair) for pair in accuracies.measure(genes).T.tolist()]
    chosen = decode(space, genes)
    lone = _train_standalone(run, chosen[:standalone], split, device, progress)
    rows = _rows(space, chosen, scores, lone)
    kendall_macs, kendall_standalone, mean_gap = correlations(rows)
    quality = QualityFile(
        space=space.name,
        space_hash=space.hash,
        weights=sha256(run.weights()),
        split=split,
        images=len(getattr(run.dataset(progress), split)),
        calibration_images=CALIBRATION_IMAGES,
        seed=seed,
        standalone_epochs=_recipe(run).epochs if standalone else None,
        kendall_macs=kendall_macs,
        kendall_standalone=kendall_standalone,
        mean_gap=mean_gap,
        subnets=rows,
    )
    return quality, write_quality(run.folder, quality), report_run(run)


def _check(run: Run, subnets: int, standalone: int) -> None:
    if subnets < 0:
        raise ConfigError(f"subnets: must be 0 or more, found {subnets}")
    most = subnets + len(_NAMES)
    if standalone and not len(_NAMES) <= standalone <= most:
        raise ConfigError(
            f"standalone: must be 0, or from 2 (smallest and largest) to {most} (all that are "
            f"measured), found {standalone}",
            hint="measure more by --subnets",
        )
    if standalone and run.config().imported:
        raise ConfigError(
            f"{run.folder}: its weights were imported, so it has no recipe by which subnets "
            "could be trained standalone",
            hint="leave out --standalone",
        )


def _rows(
    space: Space, chosen: Sequence[Subnet], scores: Sequence[Score], lone: Sequence[Score]
) -> tuple[SubnetQuality, ...]:
    """All subnets by multiply-adds; the first of them have a standalone score."""
    rows = []
    for index, (subnet, score) in enumerate(zip(chosen, scores, strict=True)):
        found = operators(space, subnet)
        own = lone[index] if index < len(lone) else None
        rows.append(
            SubnetQuality(
                name=_NAMES[index] if index < len(_NAMES) else f"random {index - 1}",
                subnet=str(subnet),
                resolution=subnet.resolution,
                macs=total_macs(found),
                params=total_params(found),
                top1=score.top1,
                loss=score.loss,
                standalone_top1=own.top1 if own else None,
                standalone_loss=own.loss if own else None,
                gap=score.top1 - own.top1 if own else None,
            )
        )
    return tuple(sorted(rows, key=lambda row: row.macs))


# ---------------------------------------------------------------- standalone


def standalone_space(space: Space, subnet: Subnet, *, dropout: float) -> Space:
    """A space whose only subnet is `subnet`.

    Args:
        space: that it is of.
        subnet: the network.
        dropout: before the classifier.
    """
    name = f"{space.name}-standalone"
    if space.cells is not None:
        fixed = replace(space, name=name, cells=space.cells.fixed(subnet.cells))
    else:
        fixed = fixed_space(name, operators(space, subnet), bn_eps=space.bn_eps)
    head = replace(fixed.head, dropout=dropout)
    return replace(fixed, head=head, bn_momentum=space.bn_momentum)


def _recipe(run: Run) -> Recipe:
    return fill(Recipe, run.config().recipe, "recipe")


def _train_standalone(
    run: Run, chosen: Sequence[Subnet], split: Split, device: str, progress: Progress
) -> list[Score]:
    """Scores of subnets that are each trained standalone, in ``standalone/`` of the run."""
    scores = []
    for number, subnet in enumerate(chosen, start=1):
        # the supernet drops out while it trains its largest subnet, and there alone
        dropout = run.space().head.dropout if number == 1 else 0.0
        space = standalone_space(run.space(), subnet, dropout=dropout)
        own = decode(space, largest(space))[0]
        place = Run(run.standalone / subnet.key)
        score = _known(place, own, split)
        if score is None:
            telling = _prefixed(progress, f"standalone {number} of {len(chosen)}")
            if (place.folder / "config.yaml").is_file():  # begun, and stopped
                resume_training(place, device=device, progress=telling)
            else:
                _begin(run, place, space, subnet, number == 1, device, telling)
            measured = Accuracies(place, EngineRequest(device=device), telling, split=split)
            score = Score(*measured.measure(largest(space)).T.tolist()[0])
        scores.append(score)
    return scores


def _known(place: Run, subnet: Subnet, split: Split) -> Score | None:
    """The score that was measured after a training that had ended."""
    try:
        condition = place.condition(split)
    except FileFormatError:  # not begun, or stopped before the first checkpoint
        return None
    known = Evidence(place.evidence).lookup(condition, [subnet.key])
    return None if np.isnan(known.top1[0]) else Score(float(known.top1[0]), float(known.loss[0]))


def _begin(
    run: Run,
    place: Run,
    space: Space,
    subnet: Subnet,
    is_largest: bool,
    device: str,
    progress: Progress,
) -> None:
    """Train one subnet from what it was before the supernet was trained."""
    config, recipe = run.config(), _recipe(run)
    init = ""
    if recipe.init:
        path = place.folder.resolve() / "start.safetensors"
        save_weights(path, _start(run, recipe, space, subnet, device, progress).state_dict())
        init = str(path)
    train_supernet(
        space,
        standalone_recipe(recipe, largest=is_largest, init=init),
        config.data,
        folder=place.folder,
        seed=config.seed,
        device=device,
        progress=progress,
        like=run,
    )


def _start(
    run: Run, recipe: Recipe, space: Space, subnet: Subnet, device: str, progress: Progress
) -> Supernet:
    """The subnet's slice of the weights that the supernet's training began with."""
    begun = seeded_supernet(run.space(), run.config().seed)
    alone = Processes(device=device)
    begin_from(begun, recipe.init, run.dataset(progress), processes=alone, progress=progress)
    standalone = Supernet(space)
    load_pretrained(standalone, extract(begun, subnet))
    return standalone


def _prefixed(progress: Progress, text: str) -> Progress:
    return lambda done, total, what: progress(done, total, f"{text}: {what}")
