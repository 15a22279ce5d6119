"""`supernet recipes`: how a supernet can be trained."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from supernet.cli import options
from supernet.cli.catalogue import CatalogueGroup
from supernet.cli.output import print_json, print_table

if TYPE_CHECKING:
    from supernet.train import Phase, Recipe


@click.group(
    "recipes",
    cls=CatalogueGroup,
    thing="recipe",
    epilog="Examples:  supernet recipes  |  supernet recipes show sandwich  |  "
    "supernet recipes show my.yaml",
)
@options.common
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the recipes of training with their epochs, batch size and source."""
    ctx.obj = as_json
    if ctx.invoked_subcommand is not None:
        return
    from supernet.train import list_recipes, load_recipe

    found = [load_recipe(name) for name in list_recipes()]
    if as_json:
        print_json({"recipes": [asdict(recipe) for recipe in found]})
        return
    for recipe in found:
        click.echo(f"{recipe.name}  ({recipe.epochs:g} epochs, batch {recipe.batch_size})")
        click.echo(click.wrap_text(recipe.about, 90, "    ", "    "))
    click.echo("\nphases of one: supernet recipes show NAME")


@command.command("show", epilog="Examples:  supernet recipes show demo  |  show my.yaml --json")
@click.argument("name")
@options.common
@click.pass_obj
def show(json_before: bool, name: str, as_json: bool) -> None:
    """Show the phases of one recipe: NAME of a shipped one, or a YAML file."""
    from supernet.train import load_recipe

    recipe = load_recipe(name)
    if as_json or json_before:
        print_json(asdict(recipe))
        return
    click.echo(click.wrap_text(f"{recipe.name}: {recipe.about}", 90))
    columns = ["phase", "epochs", "lr", "elastic", "subnets of a step", "taught by"]
    print_table("", [_row(phase) for phase in recipe.phases], columns)
    for phase in recipe.searching:
        click.echo(f"\nphase {phase.name} searches: {', '.join(_search(phase))}")
    click.echo("\n" + ", ".join(_shared(recipe)))


def _row(phase: "Phase") -> list[str]:
    choices = asdict(phase.elastic).items()
    elastic = [name if n == 0 else f"{name} (largest {n})" for name, n in choices if n != 1]
    taught = f"{phase.distill:g} x {phase.teacher}" if phase.distill else ""
    if phase.distill and phase.divergence == "alpha":
        taught += ", alpha"
    if phase.distill and phase.label_weight:
        taught += f" + {phase.label_weight:g} x labels"
    rates = f"{phase.lr:g} to {phase.lr_end:g}"
    return [
        phase.name,
        f"{phase.epochs:g}",
        rates,
        " ".join(elastic),
        " ".join(phase.subnets),
        taught,
    ]


def _search(phase: "Phase") -> list[str]:
    """What a phase that searches says of it, where it says something."""
    assert phase.search is not None
    return [f"{key} {value}" for key, value in asdict(phase.search).items() if value not in ("", 0)]


def _shared(recipe: "Recipe") -> list[str]:
    """What all phases share, where it is not the default."""
    known = {"name", "about", "phases"}
    defaults = {
        name: field.default
        for name, field in type(recipe).__dataclass_fields__.items()
        if name not in known
    }
    words = [f"batch_size {recipe.batch_size}"]
    for name, default in defaults.items():
        value = getattr(recipe, name)
        if name == "augment" and value is not None:
            given = {key: part for key, part in asdict(value).items() if part is not None}
            words += [f"{key} {part}" for key, part in given.items()]
        elif value != default and name != "batch_size":
            words.append(f"{name} {value}")
    return words
