"""Recipes by name or from YAML, and what may be changed about one in a word."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from supernet.data import Augment, PolicyName
from supernet.errors import ConfigError
from supernet.files import nearest, read_as, write_document
from supernet.presets import list_presets, load_preset
from supernet.train.recipe import Phase, Recipe

__all__ = [
    "aimed",
    "at_batch_size",
    "augmented",
    "list_recipes",
    "load_recipe",
    "only_phases",
    "save_recipe",
    "scaled",
    "standalone_recipe",
]

_VERSION = 1
_PRESETS = "supernet.train.presets"


def list_recipes() -> list[str]:
    """Names of the shipped recipes."""
    return list_presets(_PRESETS)


def load_recipe(name: str | Path) -> Recipe:
    """A shipped recipe by its name, or your own from a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that breaks rules (all at once).
        FileFormatError: not a recipe file.
    """
    return load_preset(
        name,
        lambda path: read_as(Recipe, path, "recipe", _VERSION),
        package=_PRESETS,
        kind="recipe",
        hint="give one of the shipped recipes",
    )


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe as YAML, with every default written out."""
    body = asdict(recipe)
    augment = body.pop("augment")
    if augment is not None:
        body["augment"] = {key: value for key, value in augment.items() if value is not None}
    for phase in body["phases"]:
        if phase["labels"] is None:
            del phase["labels"]
    write_document(path, "recipe", _VERSION, body)


def scaled(recipe: Recipe, epochs: float) -> Recipe:
    """The recipe with the epochs of its phases stretched to `epochs` in all.

    Raises:
        ConfigError: not above zero.
    """
    if not 0 < epochs <= 10000:
        raise ConfigError(f"epochs: must be above 0 and at most 10000, found {epochs:g}")
    factor = epochs / recipe.epochs
    phases = tuple(
        replace(p, epochs=p.epochs * factor, warmup_epochs=p.warmup_epochs * factor)
        for p in recipe.phases
    )
    return replace(recipe, phases=phases)


def at_batch_size(recipe: Recipe, batch_size: int) -> Recipe:
    """The recipe at another batch size; learning rates grow with it.

    In proportion for SGD (arXiv:1706.02677), with the square root for AdamW.

    Raises:
        ConfigError: not a batch size, or not divided by ``accumulate``.
    """
    factor = batch_size / recipe.batch_size
    if recipe.optimizer == "adamw" and factor > 0:
        factor **= 0.5
    if factor <= 0:
        raise ConfigError(f"batch_size: must be from 1 to 65536, found {batch_size}")
    phases = tuple(replace(p, lr=p.lr * factor, lr_end=p.lr_end * factor) for p in recipe.phases)
    return replace(recipe, batch_size=batch_size, phases=phases)


def aimed(recipe: Recipe, target: str | None = None, limit_ms: float | None = None) -> Recipe:
    """The recipe with another target or latency limit of its phases that search.

    Raises:
        ConfigError: no phase searches, or not a limit.
    """
    if not recipe.searching:
        raise ConfigError(
            f"recipe {recipe.name!r} has no phase that searches, so it has no target and no limit",
            hint="take --recipe proxylessnas or tunas, or search after training: supernet search",
        )
    given: dict[str, Any] = {"target": target, "limit_ms": limit_ms}
    known = {name: value for name, value in given.items() if value is not None}
    phases = tuple(
        replace(p, search=replace(p.search, **known)) if p.search else p for p in recipe.phases
    )
    return replace(recipe, phases=phases)


def augmented(recipe: Recipe, policy: PolicyName) -> Recipe:
    """The recipe with another policy by which training images are varied."""
    return replace(recipe, augment=replace(recipe.augment or Augment(), auto=policy))


def only_phases(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """The recipe with only those of its phases, in its own order.

    Raises:
        ConfigError: an unknown phase; or the first one needs a teacher that an earlier
            phase would have made, and the recipe has no ``init``.
    """
    known = [phase.name for phase in recipe.phases]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"recipe {recipe.name!r} has no phase {name!r}; {nearest(name, known)}"
            )
    try:
        return replace(recipe, phases=tuple(p for p in recipe.phases if p.name in names))
    except ConfigError as error:
        way_out = "--init names them: a run folder or a weights file"
        raise ConfigError(error.problems, hint=way_out) from None


def standalone_recipe(recipe: Recipe, *, largest: bool, init: str = "") -> Recipe:
    """One phase as long as all of `recipe`: from its highest learning rate to its last.

    Without teacher: what a network reaches by itself in the same number of steps.

    Args:
        recipe: of the supernet.
        largest: whether the network is its largest subnet, the only one with drop-path.
        init: the weights to start from; random ones when not given.
    """
    first, last = recipe.phases[0], recipe.phases[-1]
    phase = Phase(
        name="standalone",
        epochs=recipe.epochs,
        warmup_epochs=first.warmup_epochs,
        lr=max(phase.lr for phase in recipe.phases),
        lr_end=last.lr_end,
        subnets=("largest",),
    )
    return replace(
        recipe,
        name=f"{recipe.name}-standalone",
        init=init,
        drop_path=recipe.drop_path if largest else 0.0,
        phases=(phase,),
    )
