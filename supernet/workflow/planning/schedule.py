"""How long a training will take, and how many epochs fit into a time."""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from supernet.data import Decoding, Look
from supernet.evaluate import CALIBRATION_IMAGES
from supernet.space import Space, macs_of
from supernet.train import Phase, Recipe, only_phases, scaled
from supernet.train.batches import steps_per_epoch
from supernet.train.schedule import plan
from supernet.workflow.planning.timing import Speed, kind_of, phase_work
from supernet.workflow.train import validated_genes

__all__ = ["EVENING_MINUTES", "Duration", "duration", "fitted", "total_steps"]

EVENING_MINUTES = 180.0
"""What a training may take where nobody says how long."""

_VALIDATION_SHARE = 0.2
"""Of the time, at most, that accuracies after the phases may take before phases are left out."""
_LEAST_STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Seconds of everything that a training does."""

    preparing: float
    """Looking, timing, building the network."""
    decoding: float
    training: float
    """Decoding included of images that have no place decoded."""
    validating: float
    """Accuracies of subnets after each phase."""
    checkpoints: float

    @property
    def total(self) -> float:
        """All of it."""
        seconds: dict[str, float] = asdict(self)
        return sum(seconds.values())


def duration(
    space: Space, recipe: Recipe, look: Look, speed: Speed, *, preparing: float, decoding: Decoding
) -> Duration:
    """How long a training takes.

    Args:
        space: that is trained.
        recipe: how.
        look: at the images.
        speed: of this device, measured in this space or a similar one.
        preparing: seconds spent before.
        decoding: of the images; those without a place are decoded in each epoch.
    """
    per_epoch = steps_per_epoch(look.train_images, recipe.batch_size)
    usual = max(speed.step_s.values())  # of kinds that were not timed
    training = validating = epochs = 0.0
    for stretch in plan(recipe.phases, per_epoch):
        rate = speed.step_s.get(kind_of(stretch.phase), usual)
        phase = _timeless(stretch.phase)
        work = _mean_work(space, phase) * recipe.batch_size
        training += stretch.steps * work * rate / 1e9
        validating += _validation_s(space, phase, look, speed)
        epochs += -(-stretch.steps // per_epoch)
    return Duration(
        preparing=preparing,
        decoding=decoding.seconds,
        training=training + recipe.epochs * decoding.streamed * decoding.image_s,
        validating=validating,
        checkpoints=epochs * speed.checkpoint_s,
    )


def fitted(
    space: Space,
    recipe: Recipe,
    look: Look,
    speed: Speed,
    *,
    preparing: float,
    decoding: Decoding,
    seconds: float,
    most_epochs: float,
) -> Recipe:
    """The recipe with as many epochs as fit into a time.

    Where accuracies between its phases would take much of it, only the first and the last
    phase are kept.

    Args:
        space: as for `duration`, like all others but the last two.
        recipe: how.
        look: at the images.
        speed: of this device.
        preparing: seconds spent before.
        decoding: of the images; those without a place are decoded in each epoch.
        seconds: that all of it may take.
        most_epochs: that are of any use.
    """

    def takes(some: Recipe) -> Duration:
        return duration(space, some, look, speed, preparing=preparing, decoding=decoding)

    phases = recipe.phases
    if len(phases) > 2 and takes(recipe).validating > _VALIDATION_SHARE * seconds:
        recipe = only_phases(recipe, [phases[0].name, phases[-1].name])
    least = _LEAST_STEPS / steps_per_epoch(look.train_images, recipe.batch_size)
    low, high = min(least, most_epochs), most_epochs
    for _ in range(40):  # halving: phases have whole steps, so it is no straight line
        middle = (low * high) ** 0.5
        low, high = (
            (middle, high)
            if takes(scaled(recipe, middle)).total <= seconds
            else (
                low,
                middle,
            )
        )
    return scaled(recipe, _round(high if takes(scaled(recipe, high)).total <= seconds else low))


def total_steps(recipe: Recipe, images: int) -> int:
    """Steps of the whole training, of so many images an epoch."""
    return plan(recipe.phases, steps_per_epoch(images, recipe.batch_size))[-1].end


def _round(epochs: float) -> float:
    """Two digits that count, or tenths."""
    return round(epochs, 1) if epochs >= 1 else float(f"{epochs:.2g}")


@lru_cache(maxsize=256)
def _mean_work(space: Space, phase: Phase) -> float:
    return phase_work(space, phase)


@lru_cache(maxsize=256)
def _validated_work(space: Space, phase: Phase) -> float:
    return float(macs_of(space, validated_genes(space, phase, 0)).sum())


def _timeless(phase: Phase) -> Phase:
    """The phase as far as its subnets go, so that work is found once for all lengths."""
    return replace(phase, epochs=1.0, warmup_epochs=0.0, lr=1.0, lr_end=0.0, search=None)


def _validation_s(space: Space, phase: Phase, look: Look, speed: Speed) -> float:
    """Of five subnets: statistics from training images, accuracy on held-out ones."""
    images = (min(CALIBRATION_IMAGES, look.train_images) + look.holdout_images) / 2
    return _validated_work(space, phase) * images * speed.evaluation_s / 1e9
