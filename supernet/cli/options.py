"""Options that several commands share, with one meaning everywhere."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

__all__ = [
    "SHAPE",
    "SIZES",
    "FloatRange",
    "Once",
    "Value",
    "common",
    "device",
    "engine",
    "finetuned",
    "images",
    "networks",
    "run",
    "seed",
    "sizes",
    "unit",
    "workers",
]


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json`` and ``--debug``; a command takes the first as `as_json`."""
    function = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as one JSON object on the last line of stdout.",
    )(function)
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )(function)


class Once(click.Option):
    """Refused when it is given twice, where click would silently take the last value."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ARG002  # as click calls it
        """As click's, but every value is kept."""
        parser.add_option(self, opts=self.opts, dest=self.name, action="append")

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> Any:
        """The only value."""
        given = opts.get(self.name or "", [])
        if len(given) > 1:
            raise click.UsageError(f"{self.opts[0]} may be given once, found {given}", ctx)
        return super().consume_value(ctx, {**opts, self.name: given[0]} if given else opts)


Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def run(help_text: str = "Run folder; the newest one below ./runs when not given.") -> Decorator:
    """``--run FOLDER``, or ``--run-folder``, since `torchrun` takes the first for its own."""
    path = click.Path(path_type=Path)
    return click.option("--run", "--run-folder", "run_folder", type=path, help=help_text)


seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Of everything that is random.",
)

device = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="cpu, cuda, cuda:1, mps; auto takes a GPU when there is one.",
)


finetuned = click.option(
    "--finetuned/--not-finetuned",
    default=True,
    show_default=True,
    help="Take the weights of `supernet finetune`, where there are some.",
)

images = click.option(
    "--images", type=click.IntRange(1), help="Hold-out images for each, always the same; else all."
)

workers = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Measurements at the same time; they share the processors.",
)


_MEASURES = "What measures: processes; ray, with an actor for each of --workers"


def engine(more: str = "", *, known: str = _MEASURES) -> Decorator:
    """``--engine NAME`` and ``--ray-address``; a command takes `engine` and `ray_address`.

    Args:
        more: about engines of this command alone, behind those that are `known`.
        known: what there is to choose from.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        address = click.option(
            "--ray-address",
            cls=Once,
            default="",
            help="HOST:PORT of a running Ray cluster, or auto; RAY_ADDRESS if not given, else Ray "
            "is started here.",
        )
        named = click.option(
            "--engine",
            cls=Once,
            default="processes",
            show_default=True,
            help=known + more + ".",
        )
        return named(address(function))

    return decorated


class Value(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """Base of the kinds of values that options of ours take."""


class FloatRange(click.FloatRange):
    """Finite numbers within bounds; click's own lets ``nan`` pass, which no bound refuses."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class _Sizes(Value):
    """Whole numbers with commas between them."""

    name = "sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(size) for size in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of sizes such as 160,192,224", param, ctx)


class _Shape(Value):
    """Rows and columns."""

    name = "rowsxcolumns"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value[0], value[1]
        sides = value.lower().split("x")
        if len(sides) > 2 or not all(side.isdecimal() for side in sides):
            self.fail(f"{value!r} is no size such as 384x512 (rows x columns) or 320", param, ctx)
        return int(sides[0]), int(sides[-1])


SIZES, SHAPE = _Sizes(), _Shape()

sizes = click.option(
    "--resolutions",
    type=SIZES,
    help="Input sizes such as 160,192,224, all of the space's when not given; others, such as a "
    "detector's 320, for backbones.",
)


unit = click.option(
    "--unit",
    type=click.Choice(["ms", "images/s"]),
    default="ms",
    show_default=True,
    help="Of the column; images/s become the ms of a batch.",
)


def networks(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--fit-networks`` and ``--check-networks``: whole networks that are measured."""
    function = click.option(
        "--check-networks",
        type=click.IntRange(0, 1000),
        default=20,
        show_default=True,
        help="Whole networks that are held out, to find the error.",
    )(function)
    return click.option(
        "--fit-networks",
        type=click.IntRange(4, 1000),
        default=12,
        show_default=True,
        help="Whole networks that the correction is fitted to.",
    )(function)
