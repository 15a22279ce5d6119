"""A found subnet trained a little further, as a run of its own that export takes."""

from dataclasses import dataclass, replace
from pathlib import Path

from supernet.errors import ConfigError, FileFormatError
from supernet.files import fill, sha256
from supernet.locks import remove_folder
from supernet.models import Supernet, extract, load_pretrained, save_weights
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.space import Subnet, SubnetFile, check_operators, decode, largest
from supernet.train import Phase, Recipe
from supernet.train.recipe import RUN_TEACHER
from supernet.workflow.quality import standalone_space
from supernet.workflow.train import resume_training, train_supernet

__all__ = [
    "FinetuneOutcome",
    "FinetuneRequest",
    "finetune_subnet",
    "finetuned_file",
    "unfinished_note",
    "with_finetuned",
]

_FILE = "subnet.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRequest:
    """How a subnet is finetuned."""

    epochs: float = 3.0
    lr: float = 0.0
    """Highest learning rate. When 0, a fifth of the recipe's highest; half of it where the
    finetuning is long beside a training from random weights."""
    distill: float | None = None
    """Weight of what the supernet's largest subnet says. When not given, .5; 0 where the
    finetuning is long beside a training from random weights: that subnet knows too little then."""
    ema: float = 0.0
    """Share that an average of the weights keeps at each step; 0 for none."""
    qat: bool = False
    """Train for 8-bit integers: quantisation-aware."""

    def recipe(self, trained: Recipe, teacher: Path) -> Recipe:
        """The supernet's recipe, as one phase.

        Args:
            trained: of the supernet.
            teacher: its run.
        """
        long = not trained.init and self.epochs >= _LONG * trained.epochs
        share, distill = _LONG_WAY if long else _SHORT_WAY
        phase = Phase(
            name="finetune",
            epochs=self.epochs,
            lr=self.lr or share * max(phase.lr for phase in trained.phases),
            warmup_epochs=min(_WARMUP, self.epochs / 4),
            subnets=("largest",),
            distill=distill if self.distill is None else self.distill,
            teacher=f"{RUN_TEACHER}{teacher.resolve()}",
            int8=self.qat,
        )
        return replace(
            trained,
            name=f"{trained.name}-finetune",
            drop_path=0.0,
            auxiliary=0.0,
            ema=self.ema,
            phases=(phase,),
        )


_LONG = 0.25
"""Of the epochs of the supernet."""
_SHORT_WAY, _LONG_WAY = (0.2, 0.5), (0.5, 0.0)
"""Share of the recipe's highest learning rate, and weight of the teacher."""
_WARMUP = 0.25  # epochs: momentum and averages begin from nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOutcome:
    """A finetuned subnet."""

    file: Path
    """Its ``subnet.json``, in the folder of its run."""
    before: float
    """Accuracy on the held-out images with the supernet's weights, percent."""
    after: float
    """With its own."""
    phase: Phase
    """How it was trained."""


def finetuned_file(run: Run, file: SubnetFile) -> Path | None:
    """The file of a subnet that was finetuned from this run's newest weights, if there is one."""
    path = run.finetuned / file.subnet.key / _FILE
    try:
        found = SubnetFile.load(path)
    except (FileFormatError, ConfigError):
        return None
    fresh = found.measured.get("finetuned_from") == sha256(run.weights())
    return path if fresh else None


def with_finetuned(run: Run, file: SubnetFile) -> tuple[Run, SubnetFile]:
    """The run and the file of a subnet's finetuned weights; those given where there are none."""
    better = finetuned_file(run, file)
    if better is None:
        return run, file
    run, file = Run(better.parent), SubnetFile.load(better)
    check_operators(run.space(), file)
    return run, file


def unfinished_note(run: Run, file: SubnetFile) -> str:
    """What to say where a subnet's finetuning from the newest weights has no end; else nothing."""
    place = Run(run.finetuned / file.subnet.key)
    if (place.folder / _FILE).exists():
        return ""
    try:
        begun = fill(Recipe, place.config().recipe, "recipe").init
    except (FileFormatError, ConfigError):  # it was not begun
        return ""
    if Path(begun).name != _start_name(run):
        return ""
    return (
        "its finetuning is not finished, so the supernet's weights are taken; `supernet finetune` "
        "goes on with it"
    )


def finetune_subnet(
    path: Path,
    run: Run,
    request: FinetuneRequest,
    *,
    device: str = "cpu",
    fresh: bool = False,
    progress: Progress = silent,
) -> FinetuneOutcome:
    """Train a subnet a little further from its slice of the supernet's weights.

    The recipe is the run's own in one phase (`FinetuneRequest.recipe`). It becomes a run in
    ``finetune/`` whose space is this subnet alone. What was stopped goes on when called again.

    Args:
        path: of the ``subnet.json``.
        run: holds its weights.
        request: how long and how.
        device: where to train.
        fresh: begin again where it was finetuned before.
        progress: told about every step.

    Raises:
        ConfigError: the subnet is of another space; or it was finetuned otherwise before.
        DataError: the run's images are gone.
        TrainingError: a loss is not finite.
    """
    file = SubnetFile.load(path)
    check_operators(run.space(), file)
    if run.config().imported:
        raise ConfigError(
            f"{run.folder}: its weights were imported, so it has no recipe to finetune by",
            hint="train from them by `supernet train --init`",
        )
    subnet, place = file.subnet, Run(run.finetuned / file.subnet.key)
    if fresh:
        remove_folder(place.folder)
    _train(run, place, subnet, request, device, progress)
    before = run.evaluator(device, progress=progress).subnet_top1(subnet, "holdout")
    only = decode(place.space(), largest(place.space()))[0]
    after = place.evaluator(device, progress=progress).subnet_top1(only, "holdout")
    made = SubnetFile.of(
        place.space(),
        only,
        checkpoint=place.checkpoint(place.folder),
        predicted=file.predicted,
        measured={
            "finetuned_from": sha256(run.weights()),
            "before_finetuning_holdout_top1": before,
            "holdout_top1": after,
        },
    )
    made.save(place.folder / _FILE)
    (phase,) = fill(Recipe, place.config().recipe, "recipe").phases
    return FinetuneOutcome(file=place.folder / _FILE, before=before, after=after, phase=phase)


def _train(
    run: Run,
    place: Run,
    subnet: Subnet,
    request: FinetuneRequest,
    device: str,
    progress: Progress,
) -> None:
    """Begin the training in `place`, or go on with it."""
    config = run.config()
    start = place.folder.resolve() / _start_name(run)
    recipe = request.recipe(fill(Recipe, config.recipe, "recipe"), run.folder)
    recipe = replace(recipe, init=str(start))
    if (place.folder / "config.yaml").is_file():
        _check_same(place, recipe)
        resume_training(place, device=device, progress=progress)
        return
    own = standalone_space(run.space(), subnet, dropout=0.0)
    alone = Supernet(own)
    load_pretrained(alone, extract(run.supernet(), subnet))
    save_weights(start, alone.state_dict())
    train_supernet(
        own,
        recipe,
        config.data,
        folder=place.folder,
        seed=config.seed,
        device=device,
        progress=progress,
        like=run,
    )


def _start_name(run: Run) -> str:
    """Name of the file of the weights that a subnet begins with."""
    return f"start-{sha256(run.weights())[:16]}.safetensors"


def _check_same(place: Run, recipe: Recipe) -> None:
    known = fill(Recipe, place.config().recipe, "recipe")
    if Path(known.init).name != Path(recipe.init).name:
        raise ConfigError(
            f"{place.folder}: the supernet was trained on since the subnet was finetuned",
            hint="--fresh begins again from its newest weights",
        )
    if replace(known, init="", precision="auto") != replace(recipe, init="", precision="auto"):
        raise ConfigError(
            f"{place.folder}: the subnet was finetuned otherwise before",
            hint="give the same options to go on, or --fresh to begin again",
        )
