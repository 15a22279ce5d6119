"""How a supernet is trained: phases on one engine, read from YAML."""

from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Literal

from supernet.errors import ConfigError
from supernet.files import nearest, read_as

__all__ = ["Elastic", "Phase", "Recipe", "list_recipes", "load_recipe", "scaled"]

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic:
    """How many choices of each kind a phase samples from, counted from the largest.

    1 fixes the largest choice, 0 admits all of them.
    """

    resolution: int = 0
    kernel: int = 1
    depth: int = 1
    expand: int = 1
    width: int = 1
    """Of stages, and of the stem and the head."""
    operator: int = 1
    """Kinds of block, squeeze-excite and shortcuts."""

    def __post_init__(self) -> None:
        counts = asdict(self).items()
        wrong = [f"{key}: must be 0 (all) or more, found {n}" for key, n in counts if n < 0]
        if wrong:
            raise ConfigError(wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One stretch of training with its own schedule: warm-up, then a cosine."""

    name: str
    """Shown in the progress and in ``metrics.jsonl``."""
    epochs: float
    """Passes over the training images; may be a fraction."""
    warmup_epochs: float = 0.0
    """Part of `epochs` in which the learning rate rises from zero."""
    lr: float
    """Highest learning rate, for the recipe's batch size."""
    lr_end: float = 0.0
    """Learning rate that the cosine ends at."""
    elastic: Elastic = field(default_factory=Elastic)
    """What the random subnets of this phase may choose from."""
    subnets: tuple[Literal["largest", "smallest", "random"], ...] = ("random",)
    """The subnets of one step; their gradients are added up."""
    distill: float = 0.0
    """Weight of the teacher's soft labels against the hard ones, 0 to 1."""
    teacher: Literal["frozen", "in_place"] = "frozen"
    """``frozen``: the largest subnet as it was at the end of the first phase.
    ``in_place``: the largest subnet of the same step, which then comes first, learns
    from hard labels alone and teaches the others (BigNAS, arXiv:2003.11142)."""
    sort_channels: bool = False
    """Whether channels are sorted by importance before this phase."""

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.epochs <= 10000:
            problems.append(f"epochs: must be above 0 and at most 10000, found {self.epochs}")
        if not 0 <= self.warmup_epochs <= self.epochs:
            problems.append(f"warmup_epochs: must be from 0 to epochs, found {self.warmup_epochs}")
        if not 0 < self.lr <= 100:
            problems.append(f"lr: must be above 0 and at most 100, found {self.lr}")
        if not 0 <= self.lr_end <= self.lr:
            problems.append(f"lr_end: must be from 0 to lr, found {self.lr_end}")
        if self.teacher == "in_place" and self.subnets[:1] != ("largest",):
            problems.append("subnets: must start with largest for teacher: in_place")
        if not self.subnets:
            problems.append("subnets: needs at least one")
        if not 0 <= self.distill <= 1:
            problems.append(f"distill: must be from 0 to 1, found {self.distill}")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A list of phases and what they share."""

    name: str
    """Short name, as given to ``--recipe``."""
    about: str = ""
    """One line for a reader, with the source of the recipe."""
    batch_size: int = 128
    """Images a step."""
    momentum: float = 0.9
    """Of Nesterov SGD."""
    weight_decay: float = 3e-5
    """Not on batch norm and biases."""
    label_smoothing: float = 0.1
    """Share of the hard label given to all classes alike."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0 for no clipping."""
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.batch_size <= 65536:
            problems.append(f"batch_size: must be from 1 to 65536, found {self.batch_size}")
        for name, high in (("momentum", 1), ("weight_decay", 1), ("label_smoothing", 1)):
            if not 0 <= getattr(self, name) < high:
                problems.append(f"{name}: must be from 0 to below {high}")
        if self.clip_norm < 0:
            problems.append(f"clip_norm: must not be negative, found {self.clip_norm}")
        if not self.phases:
            problems.append("phases: needs at least one")
        elif self.phases[0].distill and self.phases[0].teacher == "frozen":
            problems.append("phases[0].distill: there is no frozen teacher yet in the first phase")
        if len({phase.name for phase in self.phases}) < len(self.phases):
            problems.append("phases: names must differ")
        if problems:
            raise ConfigError(problems)


def list_recipes() -> list[str]:
    """Names of the shipped recipes."""
    files = resources.files("supernet.train.presets").iterdir()
    return sorted(file.name[:-5] for file in files if file.name.endswith(".yaml"))


def load_recipe(name: str | Path) -> Recipe:
    """A shipped recipe by its name, or your own from a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that breaks rules (all at once).
        FileFormatError: not a recipe file.
    """
    if isinstance(name, Path) or str(name).endswith((".yaml", ".yml")):
        return read_as(Recipe, Path(name), "recipe", _VERSION)
    if name not in list_recipes():
        raise ConfigError(
            f"unknown recipe {name!r}; {nearest(name, list_recipes())}",
            hint="give one of the shipped recipes, or the path of a YAML file",
        )
    with resources.as_file(resources.files("supernet.train.presets") / f"{name}.yaml") as path:
        return read_as(Recipe, path, "recipe", _VERSION)


def scaled(recipe: Recipe, factor: float) -> Recipe:
    """The recipe with every number of epochs multiplied by `factor`.

    Raises:
        ConfigError: the factor is not above zero.
    """
    if not 0 < factor <= 1000:
        raise ConfigError(f"epochs factor: must be above 0 and at most 1000, found {factor:g}")
    phases = tuple(
        replace(p, epochs=p.epochs * factor, warmup_epochs=p.warmup_epochs * factor)
        for p in recipe.phases
    )
    return replace(recipe, phases=phases)
