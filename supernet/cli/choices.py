"""What a training is made of, as options: those not given are chosen for the images."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from supernet.cli.options import FloatRange
from supernet.errors import ConfigError

if TYPE_CHECKING:
    from supernet.progress import Progress
    from supernet.reading import Reading
    from supernet.space import Space
    from supernet.train import Processes, Recipe
    from supernet.workflow.plan import Wishes

__all__ = ["chosen", "options", "reading_of", "wishes_of"]

_EMBEDDED_CHOICE = "demo"
"""Space and recipe of the embedded images, for which both were made."""

_OPTIONS = (
    click.option(
        "--data",
        default="fashion_mnist",
        show_default=True,
        help="A folder of class folders (train/<class>/ and val/<class>/, or <class>/ alone), tar "
        "files ('train-{000..012}.tar'), a data set of torchvision such as cifar10, or the "
        "embedded images.",
    ),
    click.option(
        "--space",
        "space_name",
        help="Name or YAML file; chosen for the images when not given (demo for the embedded).",
    ),
    click.option(
        "--recipe",
        "recipe_name",
        help="Name or YAML file; chosen for the images when not given (demo for the embedded).",
    ),
    click.option(
        "--minutes",
        type=FloatRange(0, 1e6, min_open=True),
        help="Time that all of it may take here: epochs, input sizes and batch are chosen for it.",
    ),
    click.option(
        "--epochs",
        type=FloatRange(0, 10000, min_open=True),
        help="Epochs of all phases together, which keep their shares; as the recipe says when not "
        "given.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 65536),
        help="Images a step, over all processes; learning rates are scaled with it.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16", "auto"]),
        help="Type to compute in; auto is bf16 where the device is faster with it. As the "
        "recipe says (fp32) when not given.",
    ),
    click.option(
        "--augment",
        type=click.Choice(["none", "trivial", "rand", "auto"]),
        help="Policy by which training images are varied beyond crops and mirroring; as the "
        "recipe says when not given.",
    ),
    click.option(
        "--init",
        help="Weights to start from: efficientnet_lite0 (1, 2), torchvision:NAME, timm:NAME "
        "(=FILE for your own), FILE.py:FUNCTION (a network of your own), a run folder, or a "
        "weights file of the same space.",
    ),
    click.option("--phases", help="Only these phases of the recipe, with commas between."),
    click.option(
        "--fit",
        type=click.Choice(["crop", "pad", "squash"]),
        default="crop",
        show_default=True,
        help="How a photograph becomes a square: by its centre, whole with black around it, or "
        "whole and out of proportion.",
    ),
    click.option(
        "--skip-broken",
        is_flag=True,
        help="Go on without images that cannot be decoded; list them.",
    ),
)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--data``, ``--space``, ``--recipe``, and what may be changed about them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen(
    data: str,
    *,
    reading: "Reading",
    since: float,
    processes: "Processes",
    progress: "Progress",
    **asked: Any,
) -> tuple["Space", "Recipe"]:
    """The space and the recipe to train: as asked for, the rest chosen, and said on stderr."""
    wishes = wishes_of(data, reading=reading, **asked)
    complete = wishes.recipe is not None and wishes.recipe.init != "required"
    if wishes.space and wishes.recipe and complete and wishes.minutes is None:
        return wishes.space, wishes.recipe
    from supernet.workflow.plan import plan_training

    plan = plan_training(wishes, processes=processes, progress=progress, since=since)
    if processes.is_main:
        for line in [*plan.lines, *(f"note: {note}" for note in plan.notes)]:
            click.echo(line, err=True)
    return plan.space, plan.recipe


def wishes_of(
    data: str,
    *,
    space_name: str | None,
    recipe_name: str | None,
    minutes: float | None,
    reading: "Reading",
    seed: int = 0,
    **changes: Any,
) -> "Wishes":
    """What was asked for; the embedded images keep the space and the recipe made for them.

    Raises:
        ConfigError: options that exclude each other, or unknown names.
    """
    from supernet.data import EMBEDDED, absolute_source
    from supernet.space import load_space
    from supernet.workflow.plan import Wishes
    from supernet.workflow.planning.choice import suited

    if minutes is not None and changes["epochs"] is not None:
        raise ConfigError(
            "--minutes and --epochs both say how long to train", hint="give one of them"
        )
    named = recipe_name is not None
    if absolute_source(data) == EMBEDDED:
        space_name, recipe_name = space_name or _EMBEDDED_CHOICE, recipe_name or _EMBEDDED_CHOICE
    aims = changes.get("target") is not None or changes.get("max_latency_ms") is not None
    if recipe_name is None and aims:
        recipe_name = _EMBEDDED_CHOICE  # it has no target, which is said now
    phases = changes["phases"]
    space = load_space(space_name) if space_name else None
    recipe = _recipe(recipe_name, **changes) if recipe_name else None
    if space is not None and recipe is not None and not named:
        recipe = suited(recipe, space)
    return Wishes(
        data=data,
        reading=reading,
        command=_given(),
        space=space,
        recipe=recipe,
        init=changes["init"],
        epochs=changes["epochs"],
        batch_size=changes["batch_size"],
        precision=changes["precision"],
        augment=changes["augment"],
        phases=None if phases is None else _names(phases),
        minutes=minutes,
        seed=seed,
    )


def reading_of(fit: Any, skip_broken: bool) -> "Reading":
    """What the options say of how files become pixels."""
    from supernet.reading import Reading

    return Reading(fit=fit, skip_broken=skip_broken)


def _given() -> tuple[str, ...]:
    """The options of this module that the command at work was given, as they are typed."""
    context = click.get_current_context(silent=True)
    if context is None:
        return ()
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if name == "data" or (given and name in _told()):
            value = context.params[name]
            text = f"{value:g}" if isinstance(value, float) else f"{value}"
            words += [parameter.opts[-1]] if value is True else [parameter.opts[-1], text]
    return tuple(words)


@cache
def _told() -> frozenset[str]:
    """Parameters of `options`, and the device."""
    made = click.command()(options(lambda: None))
    return frozenset(parameter.name or "" for parameter in made.params) | {"device"}


def _names(phases: str) -> tuple[str, ...]:
    return tuple(phase.strip() for phase in phases.split(","))


def _recipe(
    name: str,
    *,
    epochs: float | None,
    batch_size: int | None,
    precision: Any,
    init: str | None,
    phases: str | None,
    augment: Any = None,
    target: str | None = None,
    max_latency_ms: float | None = None,
) -> "Recipe":
    """The named recipe with what was asked for otherwise."""
    from dataclasses import replace

    from supernet.train import (
        aimed,
        at_batch_size,
        augmented,
        load_recipe,
        only_phases,
        scaled,
    )

    recipe = load_recipe(name)
    if augment is not None:
        recipe = augmented(recipe, augment)
    if init is not None:
        recipe = replace(recipe, init=init)
    if phases is not None:
        recipe = only_phases(recipe, _names(phases))
    if target is not None or max_latency_ms is not None:
        recipe = aimed(recipe, target, max_latency_ms)
    if epochs is not None:
        recipe = scaled(recipe, epochs)
    if batch_size is not None:
        recipe = at_batch_size(recipe, batch_size)
    return recipe if precision is None else replace(recipe, precision=precision)
