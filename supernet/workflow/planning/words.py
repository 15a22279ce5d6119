"""What a plan says: five lines, and notes."""

import math
import shlex
from typing import TYPE_CHECKING

from supernet.reading import FRESH
from supernet.space import count_subnets
from supernet.workflow.planning.choice import is_photographic, top_size
from supernet.workflow.planning.needs import Needs
from supernet.workflow.planning.schedule import EVENING_MINUTES
from supernet.workflow.planning.start import PRETRAINED_EXTRA, installed_start

if TYPE_CHECKING:
    from supernet.data import Look
    from supernet.workflow.plan import TrainingPlan

__all__ = ["in_words", "notes_of", "plan_lines"]

_IMBALANCE = 10
_FEW = 10
_WIDE = 1.6
_NAMED = 3


def plan_lines(plan: "TrainingPlan") -> list[str]:
    """Images, network, training, time and needs, and the command that writes it to edit."""
    return [
        f"images    {_images(plan.look)}",
        f"network   {_network(plan)}",
        f"training  {_training(plan)}",
        f"takes     {_takes(plan)}",
        f"to edit   {_command(plan)}",
    ]


def notes_of(plan: "TrainingPlan") -> list[str]:
    """What would be better, and what looks wrong."""
    return [*_start_notes(plan), *_class_notes(plan.look), *_time_notes(plan), *_room_notes(plan)]


def in_words(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = seconds / 60
    if minutes < 10:
        return f"{_number(round(minutes, 1))} min"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _images(look: "Look") -> str:
    low, middle, high = look.short_sides
    size = f"{middle} px" if low == high else f"{low} to {high} px (short side, most of them)"
    counts = sorted(look.train_counts)
    each = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
    return (
        f"{look.train_images:,} to train on ({each} a class), {look.holdout_images:,} held out, "
        f"{look.test_images:,} to test, {len(look.classes)} classes, {size}"
    )


def _network(plan: "TrainingPlan") -> str:
    sizes = ", ".join(map(str, plan.space.resolutions))
    text = f"space {plan.space.name}, inputs of {sizes} px"
    if plan.wishes.space is not None:
        return f"{text}: as given"
    top = top_size(plan.look)
    if plan.space.resolutions[-1] >= top:
        return f"{text}: the images' own size, the smaller ones for faster subnets"
    why = "the least" if _too_short(plan) else f"the most for which {_budget(plan)} are enough"
    return f"{text}: {why}; the images would give {top}"


def _too_short(plan: "TrainingPlan") -> bool:
    """Whether the least that can be trained takes longer than was asked for."""
    minutes = plan.wishes.minutes
    return minutes is not None and plan.duration.total > 1.15 * 60 * minutes


def _budget(plan: "TrainingPlan") -> str:
    minutes = plan.wishes.minutes
    return f"{minutes:g} minutes" if minutes else f"an evening's {EVENING_MINUTES:g} minutes"


def _training(plan: "TrainingPlan") -> str:
    recipe = plan.recipe
    start = f"from the weights {recipe.init}" if recipe.init else "from random weights"
    phases = ", ".join(f"{phase.name} {_number(phase.epochs)}" for phase in recipe.phases)
    parts = f" in {recipe.accumulate} parts for want of memory" * (recipe.accumulate > 1)
    return (
        f"{start}, recipe {recipe.name}, {_epochs(recipe.epochs)} ({phases}), batches of "
        f"{recipe.batch_size}{parts}, {recipe.precision} on {plan.device}"
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value >= 1 else f"{value:.2g}"


def _epochs(value: float) -> str:
    return "1 epoch" if value == 1 else f"{_number(value)} epochs"


def _takes(plan: "TrainingPlan") -> str:
    took, needs = plan.duration, plan.needs
    whole = f"about {in_words(took.total)}"
    decoding = f", {in_words(took.decoding)} of them decoding" if took.decoding > 1 else ""
    gpu = f", {_gib(needs.gpu_mib)} of {_gib(needs.free_gpu_mib)} on the GPU" * (needs.gpu_mib > 0)
    return (
        f"{whole}{decoding}, by steps timed here; memory {_gib(needs.memory_mib)} of "
        f"{_gib(needs.free_memory_mib)} free{gpu}; disk "
        f"{_gib(needs.cache_mib + needs.run_mib)} of {_gib(needs.free_disk_mib)} free"
    )


def _gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def _command(plan: "TrainingPlan") -> str:
    wishes, reading = plan.wishes, plan.wishes.reading
    data = ["--data", wishes.data]
    minutes = ["--minutes", f"{wishes.minutes:g}"] if wishes.minutes else []
    asked = wishes.command or [*data, *minutes]
    read = ["--fit", reading.fit] * (reading.fit != FRESH.fit)
    read += ["--skip-broken"] * reading.skip_broken
    made = ["--space", "my/space.yaml", "--recipe", "my/recipe.yaml"]
    return (
        f"supernet plan {shlex.join(asked)} -o my; "
        f"then supernet train {shlex.join([*data, *read, *made])}"
    )


def _start_notes(plan: "TrainingPlan") -> list[str]:
    wishes, look = plan.wishes, plan.look
    ours = wishes.space is None and wishes.recipe is None and wishes.init is None
    if not ours or not is_photographic(look) or look.channels != 3 or installed_start():
        return []
    much = "much better with so few images" if look.train_images < 20_000 else "better sooner"
    return [f"from weights that know pictures it gets {much}: {PRETRAINED_EXTRA}"]


def _class_notes(look: "Look") -> list[str]:
    counts = dict(zip(look.classes, look.train_counts))
    notes = []
    few = sorted((name for name in counts if counts[name] < _FEW), key=lambda name: counts[name])
    if few:
        named = ", ".join(f"{name!r} ({counts[name]})" for name in few[:_NAMED])
        more = f" and {len(few) - _NAMED} more" * (len(few) > _NAMED)
        notes.append(
            f"classes with fewer than {_FEW} images to train on: {named}{more}; "
            "collect more, or leave them out"
        )
    least, most = min(counts, key=lambda n: counts[n]), max(counts, key=lambda n: counts[n])
    if counts[most] >= _IMBALANCE * max(1, counts[least]):
        notes.append(
            f"class {most!r} has {counts[most]:,} images, {least!r} only {counts[least]:,}: rare "
            "classes will be recognised less often than the accuracy suggests"
        )
    if look.long_share >= _WIDE:
        hidden = 100 * (1 - 1 / look.long_share)
        notes.append(
            f"the images are {look.long_share:.1f} times as long as wide: the centred square that "
            f"is used leaves out {hidden:.0f} % of them"
        )
    return notes


def _time_notes(plan: "TrainingPlan") -> list[str]:
    ours = plan.wishes.recipe is None and plan.wishes.epochs is None
    notes = []
    if ours and plan.recipe.epochs < 0.5 * plan.epochs_wanted:
        rest = plan.duration.total - plan.duration.training
        enough = rest + plan.duration.training * plan.epochs_wanted / plan.recipe.epochs
        notes.append(
            f"{_epochs(plan.recipe.epochs)}: few, as a good network wants about "
            f"{plan.epochs_wanted:g}, --minutes {math.ceil(enough / 60)}"
        )
        if not plan.recipe.init and count_subnets(plan.space) > 1:
            notes.append(
                "for one device alone, so little time makes a better network of one that is "
                "chosen by size: supernet spaces largest"
            )
    if plan.wishes.minutes and plan.duration.total < 0.8 * 60 * plan.wishes.minutes and ours:
        notes.append(
            f"more than {_epochs(plan.recipe.epochs)} would be of little use, so it ends "
            "before the time is up"
        )
    if _too_short(plan):
        notes.append(
            f"{plan.wishes.minutes:g} minutes are too few: the least that can be trained takes "
            f"{in_words(plan.duration.total)}"
        )
    if plan.recipe.searching:
        notes.append("the time is without what phases that search spend on their choices")
    return notes


def _room_notes(plan: "TrainingPlan") -> list[str]:
    needs = plan.needs
    notes = []
    if needs.memory_mib > needs.free_memory_mib or needs.gpu_mib > 0.95 * _least(needs):
        notes.append("this may not fit into memory: give a smaller --batch-size")
    if needs.run_mib > needs.free_disk_mib:
        notes.append("the disk has no room for the run: free some, or name a --run elsewhere")
    if plan.decoding.streamed:
        notes.append(
            f"the disk has no room for all decoded images: {plan.decoding.streamed:,} to train on "
            "are decoded each time they are seen; SUPERNET_HOME names a folder with more room"
        )
    return notes


def _least(needs: Needs) -> float:
    return needs.free_gpu_mib or math.inf
