"""A training chosen for images, a device and a time: looked at, timed, and told in five lines."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from supernet.data import Decoding, Look, PolicyName, look_at
from supernet.errors import ConfigError
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading
from supernet.space import Space, save_space
from supernet.train import (
    Processes,
    Recipe,
    at_batch_size,
    at_precision,
    augmented,
    check_auxiliary,
    check_norms,
    check_teachers,
    only_phases,
    save_recipe,
    scaled,
)
from supernet.train.batches import steps_per_epoch
from supernet.train.recipe import Precision
from supernet.workflow.architecture import check_searches
from supernet.workflow.beginning import of_images, seeded_supernet
from supernet.workflow.planning.choice import (
    Candidate,
    batch_size_for,
    candidates,
    epochs_enough,
    epochs_wanted,
    halves,
    in_steps_enough,
    of_its_length,
)
from supernet.workflow.planning.needs import Needs, needs_of, own_mib, parts_that_fit
from supernet.workflow.planning.schedule import (
    EVENING_MINUTES,
    Duration,
    duration,
    fitted,
)
from supernet.workflow.planning.timing import Speed, time_steps
from supernet.workflow.planning.words import notes_of, plan_lines
from supernet.workflow.start import check_source, check_start, no_weights_named
from supernet.workflow.train import check_device

__all__ = [
    "TrainingPlan",
    "Wishes",
    "plan_training",
    "write_plan",
]

_TIMING_SHARE, _LEAST_TIMING_S, _MOST_TIMING_S = 0.05, 2.0, 40.0
_GMACS, _GMACS_A_SECOND = 3.0, 0.4
"""10^9 multiply-adds of a step that is timed on a CPU, at least, and for a second of timing: what
a step costs whatever its batch is, such as the optimiser's work, would count too much in less."""
_HOPELESS = 2.0
"""Times the time: a space that would take so long by the speed of the lightest is not timed."""
_MOST_EPOCHS = 3.0
"""Times the epochs wanted: more are not planned, however long there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was asked for; None where it is to be chosen."""

    data: str
    """As for `supernet.data.load_dataset`."""
    reading: Reading = FRESH
    """How its files become pixels."""
    command: tuple[str, ...] = ()
    """All of this as options of the command line, to be told there."""
    space: Space | None = None
    recipe: Recipe | None = None
    """With everything that was asked otherwise about it, the batch and the epochs included."""
    init: str | None = None
    """Weights to start from."""
    epochs: float | None = None
    batch_size: int | None = None
    precision: Precision | None = None
    augment: PolicyName | None = None
    phases: tuple[str, ...] | None = None
    minutes: float | None = None
    """That all of it takes, looking and decoding included."""
    seed: int = 0
    """Of the hold-out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What will be trained, and what that takes."""

    space: Space
    recipe: Recipe
    look: Look
    duration: Duration
    needs: Needs
    decoding: Decoding
    epochs_wanted: float
    """After which more are of little use."""
    wishes: Wishes
    device: str

    @property
    def lines(self) -> list[str]:
        """What was chosen and why, how long it takes, what it needs, and how to change it."""
        return plan_lines(self)

    @property
    def notes(self) -> list[str]:
        """What would be better, and what looks wrong about the images."""
        return notes_of(self)

    def as_dict(self) -> dict[str, Any]:
        """For other programs."""
        look = self.look
        return {
            "data": look.name,
            "images": {
                "train": look.train_images,
                "holdout": look.holdout_images,
                "test": look.test_images,
                "classes": len(look.classes),
                "short_sides": list(look.short_sides),
                "notes": list(look.notes),
            },
            "space": {"name": self.space.name, "resolutions": list(self.space.resolutions)},
            "recipe": asdict(self.recipe),
            "device": self.device,
            "seconds": {**asdict(self.duration), "total": self.duration.total},
            "needs": asdict(self.needs),
            "decoding": asdict(self.decoding),
            "lines": self.lines,
            "notes": self.notes,
        }


def plan_training(
    wishes: Wishes,
    *,
    processes: Processes | None = None,
    progress: Progress = silent,
    since: float | None = None,
) -> TrainingPlan:
    """Choose what was left open of a training, and say what it takes.

    Several processes choose alike: the first one does.

    Args:
        wishes: what was asked for.
        processes: those that will train together, and where.
        progress: told about what is timed.
        since: when the command began, by `time.perf_counter`; now when not given.

    Raises:
        ConfigError: options do not fit, or nothing fits into the time.
        DataError: the images are missing or none can be read.
    """
    processes = processes or Processes()
    check_device(processes.device)
    begun = since or time.perf_counter()
    return processes.from_main(lambda: _Planner(wishes, processes, progress, begun).plan())


def write_plan(plan: TrainingPlan, folder: Path) -> tuple[Path, Path]:
    """Write the space and the recipe of a plan as files to edit; their paths.

    Raises:
        ConfigError: one of them is there already.
        StorageError: they cannot be written.
    """
    paths = folder / "space.yaml", folder / "recipe.yaml"
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: there already", hint="name another folder, or remove it")
    save_space(plan.space, paths[0])
    save_recipe(plan.recipe, paths[1])
    return paths


def _family(candidate: Candidate) -> tuple[object, ...]:
    return candidate.space.stages, candidate.init


class _Planner:
    """One plan on its way.

    Args:
        wishes: what was asked for.
        processes: those that will train.
        progress: told about what is timed.
        since: when the command began.
    """

    def __init__(
        self, wishes: Wishes, processes: Processes, progress: Progress, since: float
    ) -> None:
        self._wishes, self._processes = wishes, processes
        self._progress, self._since = progress, since
        self._before_mib, self._decodings = own_mib(), dict[tuple[int, bool], Decoding]()
        self._budget_s = 60 * (wishes.minutes or EVENING_MINUTES)
        timing = max(_LEAST_TIMING_S, _TIMING_SHARE * self._budget_s)
        self._timing_s = min(timing, _MOST_TIMING_S)

    @cached_property
    def _look(self) -> Look:
        wishes = self._wishes
        return look_at(
            wishes.data, seed=wishes.seed, reading=wishes.reading, progress=self._progress
        )

    def plan(self) -> TrainingPlan:
        """Look, choose, time, fit."""
        wishes = self._wishes
        init = wishes.recipe.init if wishes.recipe and not wishes.init else wishes.init
        if init == "required":
            init = None
        check_source(init or "")
        look = self._look
        batch_size = wishes.batch_size or (wishes.recipe.batch_size if wishes.recipe else 0)
        steps_per_epoch(look.train_images, batch_size or 1)  # refused before anything is timed
        some = candidates(look, space=wishes.space, init=init)
        if wishes.recipe and wishes.recipe.init == "required" and not some[0].init:
            raise no_weights_named()
        if wishes.recipe and not wishes.recipe.init:
            some = [replace(one, init="") for one in some]
        self._try_out(some[-1])
        candidate = some[0] if len(some) == 1 else self._affordable(some)
        recipe = self._recipe(candidate)
        speed = self._timed(candidate.space, recipe, self._timing_s)
        if wishes.recipe is None:
            parts = parts_that_fit(
                recipe, speed, processes=self._processes.count, device=self._processes.device
            )
            recipe = replace(recipe, accumulate=parts)
        recipe = self._fitted(candidate, recipe, speed)
        if wishes.recipe is None:
            recipe = of_its_length(recipe)
        return TrainingPlan(
            space=candidate.space,
            recipe=recipe,
            look=replace(look, listing=None),  # paths of all files, for nobody any more
            duration=self._duration(candidate.space, recipe, speed),
            needs=needs_of(
                candidate.space,
                recipe,
                look,
                speed,
                self._decoding(candidate.space, recipe),
                processes=self._processes.count,
                device=self._processes.device,
                before_mib=self._before_mib,
            ),
            decoding=self._decoding(candidate.space, recipe),
            epochs_wanted=epochs_wanted(look, candidate.init),
            wishes=wishes,
            device=self._processes.device,
        )

    def _try_out(self, candidate: Candidate) -> None:
        """Refuse weights, teachers and targets that do not fit, before anything is timed."""
        recipe, classes = self._recipe(candidate), self._look.classes
        own = self._own(candidate.space)
        check_start(seeded_supernet(own, 0), candidate.init, self._progress, classes=classes)
        check_teachers(own, recipe, classes)
        check_searches(own, recipe)

    def _own(self, space: Space) -> Space:
        """The space with the classes and channels of the images."""
        return of_images(space, self._look.classes, self._look.channels)

    def _recipe(self, candidate: Candidate) -> Recipe:
        """The recipe before its epochs are fitted."""
        wishes = self._wishes
        if wishes.recipe is not None:
            recipe = wishes.recipe
            return replace(recipe, init=candidate.init) if recipe.init == "required" else recipe
        recipe = candidate.recipe
        if wishes.augment is not None:
            recipe = augmented(recipe, wishes.augment)
        if wishes.phases is not None:
            recipe = only_phases(recipe, wishes.phases)
        if wishes.batch_size is not None:
            recipe = at_batch_size(recipe, wishes.batch_size)
        else:
            recipe = batch_size_for(self._look, recipe, self._processes.count)
        recipe = at_precision(
            replace(recipe, precision=wishes.precision or "auto"), self._processes.device
        )
        return scaled(recipe, wishes.epochs or epochs_wanted(self._look, candidate.init))

    def _affordable(self, some: Sequence[Candidate]) -> Candidate:
        """The first that gets epochs enough within the time; else the last.

        Each family of sizes is timed once, a little, and its speed holds for its other sizes; the
        lightest first, by whose speed the hopeless are passed over.
        """
        speeds: dict[tuple[object, ...], Speed] = {}
        usual = self._rough_speed(some[-1])
        speeds[_family(some[-1])] = usual
        for candidate in some:
            enough = self._recipe(candidate)
            if not self._fixed:
                enough = scaled(enough, epochs_enough(self._look, candidate.init))
            if self._duration(candidate.space, enough, usual).total > _HOPELESS * self._budget_s:
                continue
            family = _family(candidate)
            if family not in speeds:
                speeds[family] = self._rough_speed(candidate)
            if self._duration(candidate.space, enough, speeds[family]).total <= self._budget_s:
                return candidate
        return some[-1]

    def _rough_speed(self, candidate: Candidate) -> Speed:
        """Of the steps of the last phase."""
        recipe = self._recipe(candidate)
        last = replace(recipe, init=recipe.init or "random", phases=recipe.phases[-1:])
        return self._timed(candidate.space, last, 0.0)

    @property
    def _fixed(self) -> bool:
        """Whether the epochs are given."""
        wishes = self._wishes
        return wishes.minutes is None and (wishes.recipe is not None or wishes.epochs is not None)

    def _fitted(self, candidate: Candidate, recipe: Recipe, speed: Speed) -> Recipe:
        """The recipe with the epochs for which there is time, in steps enough."""
        if self._fixed:
            return recipe
        wanted, wishes = epochs_wanted(self._look, candidate.init), self._wishes
        sizes = [recipe.batch_size]
        if wishes.recipe is None and wishes.batch_size is None:
            sizes = halves(recipe.batch_size, self._processes.count * recipe.accumulate)

        def fit(one: Recipe) -> Recipe:
            return fitted(
                candidate.space,
                one,
                self._look,
                speed,
                preparing=self._spent_s,
                decoding=self._decoding(candidate.space, one),
                seconds=self._budget_s,
                most_epochs=wanted * (_MOST_EPOCHS if wishes.minutes else 1.0),
            )

        return in_steps_enough(recipe, sizes, fit, self._look.train_images)

    def _timed(self, space: Space, recipe: Recipe, seconds: float) -> Speed:
        check_auxiliary(space, recipe)
        check_norms(space, recipe, self._processes)
        return time_steps(
            seeded_supernet(self._own(space), 0),
            recipe,
            self._look,
            processes=self._processes,
            seconds=seconds,
            gmacs=max(_GMACS, _GMACS_A_SECOND * seconds),
            progress=self._progress,
        )

    def _duration(self, space: Space, recipe: Recipe, speed: Speed) -> Duration:
        return duration(
            space,
            recipe,
            self._look,
            speed,
            preparing=self._spent_s,
            decoding=self._decoding(space, recipe),
        )

    @property
    def _spent_s(self) -> float:
        return time.perf_counter() - self._since

    def _decoding(self, space: Space, recipe: Recipe) -> Decoding:
        asked = space.resolutions[-1], bool(recipe.augment and recipe.augment.whole)
        if asked not in self._decodings:
            self._decodings[asked] = self._look.decoding(asked[0], whole=asked[1])
        return self._decodings[asked]
