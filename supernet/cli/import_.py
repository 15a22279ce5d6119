"""`supernet import`: what others published becomes ours."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.latency.texts import imported_json, imported_rows
from supernet.cli.output import command_line, print_json, print_table, progress_bar
from supernet.cli.outputs import check_replaced, output_option
from supernet.errors import ConfigError
from supernet.progress import Progress

if TYPE_CHECKING:
    from supernet.runs import Run
    from supernet.space import Space


@click.group(epilog="Example:  supernet import ofa --checkpoint ofa_mbv3_d234_e346_k357_w1.2")
def command() -> None:
    """Bring in what others published."""


@command.command(
    epilog="Every FILE may be a URL: it is downloaded once, and checked where its sha256 is known "
    "(published small files, `#sha256=...` at the end of the URL, or digits in the file's name). "
    "Options may be combined: the predictor then goes into the run of the checkpoint."
)
@click.option(
    "--checkpoint",
    cls=options.Once,
    metavar="FILE",
    help="A supernet's weights: makes a run.",
)
@click.option(
    "--subnet",
    cls=options.Once,
    metavar="FILE",
    help="A network's net.config: makes a subnet.json.",
)
@click.option(
    "--accuracy-predictor",
    cls=options.Once,
    metavar="FILE",
    help="A predictor (.pth): goes into a run.",
)
@click.option(
    "--latency-table",
    metavar="DIR_OR_FILE",
    multiple=True,
    help="Tables (.yaml, .json), one target from all of them.",
)
@click.option("--space", "space_name", help="Name or YAML file; found out when not given.")
@click.option(
    "--width",
    type=options.FloatRange(0, 1000, min_open=True),
    help="Width multiplier of --space, such as 1.2.",
)
@click.option(
    "--data", help="Images for the run, in train/<class>/ and val/<class>/; may follow later."
)
@click.option("--resolution", type=click.IntRange(8, 4096), help="Input size of --subnet.")
@click.option("--sizes", help="Input sizes that --accuracy-predictor knows, such as 160,192,224.")
@click.option("--name", help="Of the target that --latency-table makes.")
@output_option(
    "The subnet.json, or the predictor, to write.",
    "subnet",
    "predictor",
    "mlp_predictor",
)
@options.run("Run folder: to make with --checkpoint, else an existing one.")
@options.common
def ofa(as_json: bool, **given: Any) -> None:
    """Once-for-All and ProxylessNAS: supernets, networks, predictors, latency tables."""
    asked = _Asked(**given)
    _check(asked)
    from supernet.runs import find_run
    from supernet.space import at_width

    space = at_width(asked.space_name, asked.width) if asked.space_name else None
    found = _Imported()
    try:
        with progress_bar() as progress:
            run = None
            if asked.checkpoint:
                run = _import_checkpoint(asked, space, found, progress)
            elif asked.run_folder:
                run = find_run(asked.run_folder)
            if asked.accuracy_predictor:
                _import_predictor(asked, space, run, found, progress)
            if asked.subnet:
                _import_subnet(asked, space, run, found, progress)
            if asked.latency_table:
                _import_tables(asked, found, progress)
    finally:  # what was imported before an error stays, and is told
        if found.rows:
            print_table("Imported", found.rows)
            _print_paths(found.result)
    click.echo(_next(found.result))
    if as_json:
        print_json(found.result)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The options."""

    checkpoint: str | None
    subnet: str | None
    accuracy_predictor: str | None
    latency_table: tuple[str, ...]
    space_name: str | None
    width: float | None
    data: str | None
    resolution: int | None
    sizes: str | None
    name: str | None
    output: Path | None
    run_folder: Path | None


@dataclass(frozen=True)
class _Imported:
    """What was imported so far."""

    rows: list[list[str]] = field(default_factory=list)
    """Shown."""
    result: dict[str, Any] = field(default_factory=dict)
    """The document of ``--json``."""


def _import_checkpoint(
    asked: _Asked, space: "Space | None", found: _Imported, progress: Progress
) -> "Run":
    from supernet.workflow.importing import import_checkpoint

    assert asked.checkpoint
    run = import_checkpoint(
        asked.checkpoint, space=space, data=asked.data, folder=asked.run_folder, progress=progress
    )
    found.rows.append(["supernet", f"{run.space().name}, {run.space().num_classes} classes"])
    found.result["run"] = str(run.folder)
    return run


def _import_predictor(
    asked: _Asked,
    space: "Space | None",
    run: "Run | None",
    found: _Imported,
    progress: Progress,
) -> None:
    from supernet.runs import find_run
    from supernet.workflow.importing import import_predictor

    assert asked.accuracy_predictor
    predictor, path = import_predictor(
        asked.accuracy_predictor,
        run=run or (None if asked.output else find_run(None)),
        space=space,
        sizes=_sizes(asked.sizes),
        output=asked.output,
        progress=progress,
    )
    found.rows.append(["accuracy predictor", _knows(predictor.sizes)])
    found.result["predictor"] = str(path)


def _import_subnet(
    asked: _Asked,
    space: "Space | None",
    run: "Run | None",
    found: _Imported,
    progress: Progress,
) -> None:
    from supernet.workflow.importing import import_subnet

    assert asked.subnet
    made = import_subnet(
        asked.subnet,
        space=space,
        resolution=asked.resolution,
        run=run,
        output=asked.output if run or not asked.accuracy_predictor else None,
        progress=progress,
    )
    found.rows.extend(_subnet_rows(made))
    found.result.update(subnet=str(made.path), space=made.space.name)
    if made.space_path:
        found.result["space_file"] = str(made.space_path)


def _import_tables(asked: _Asked, found: _Imported, progress: Progress) -> None:
    from supernet.workflow.importing import import_latency_table

    table, path = import_latency_table(asked.latency_table, name=asked.name, progress=progress)
    found.rows.extend(imported_rows(table))
    found.result.update(imported_json(table), table=str(path))


def _check(asked: _Asked) -> None:
    """Refuse options that say something of what was not asked for."""
    if not (asked.checkpoint or asked.subnet or asked.accuracy_predictor or asked.latency_table):
        raise ConfigError(
            "nothing to import was named",
            hint="give --checkpoint, --subnet, --accuracy-predictor or --latency-table",
        )
    alone = asked.accuracy_predictor and not (asked.checkpoint or asked.run_folder)
    of_what = {
        "--width": (asked.width, asked.space_name, "--space"),
        "--data": (asked.data, asked.checkpoint, "--checkpoint"),
        "--resolution": (asked.resolution, asked.subnet, "--subnet"),
        "--sizes": (asked.sizes, asked.accuracy_predictor, "--accuracy-predictor"),
        "--name": (asked.name, asked.latency_table, "--latency-table"),
        "--output": (asked.output, asked.subnet or alone, "--subnet"),
    }
    for option, (value, subject, name) in of_what.items():
        if value is not None and not subject:
            raise ConfigError(f"{option} is of {name}", hint=f"give {name} as well")
    if asked.output:
        kinds = ("subnet",) if asked.subnet else ("predictor", "mlp_predictor")
        check_replaced(asked.output, kinds)


def _sizes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(sorted({int(size) for size in text.split(",")}))
    except ValueError:
        raise ConfigError(f"--sizes: expected numbers and commas, found {text[:60]!r}") from None


def _subnet_rows(found: Any) -> list[list[str]]:
    from supernet.space import total_macs, total_params

    operators = found.file.operators
    return [
        ["subnet of space", found.space.name],
        ["multiply-adds", f"{total_macs(operators) / 1e6:.1f} M"],
        ["parameters", f"{total_params(operators) / 1e6:.2f} M"],
    ]


def _knows(sizes: tuple[int, ...]) -> str:
    return f"knows {sizes[0]} to {sizes[-1]} px" if sizes else "for all input sizes"


def _print_paths(result: dict[str, Any]) -> None:
    """Outside of the table, which would break them: they are there to be copied."""
    click.echo()
    for key in ("run", "predictor", "subnet", "space_file", "table"):
        if key in result:
            click.echo(f"{key.replace('_', ' ')}: {result[key]}")


def _next(result: dict[str, Any]) -> str:
    """What to do now."""
    run = ["--run", result["run"]] if "run" in result else []
    target = ["--target", result["target"]] if "target" in result else []
    if "subnet" not in result:
        return f"next: {command_line('search', *run, *target, '--max-latency-ms', 'LIMIT')}"
    export = ["export", result["subnet"], "--onnx", "--data", "IMAGES", *(run or ["--run", "RUN"])]
    missing = "" if run else f"  (a run of space {result['space']}, see --checkpoint)"
    return f"next: {command_line(*export)}{missing}"
