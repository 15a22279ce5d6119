"""`supernet import`: what others published becomes ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from supernet.cli import options
from supernet.cli.latency.texts import error_text
from supernet.cli.output import print_json, print_table, progress_bar
from supernet.errors import ConfigError


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
    help="Tables (.yaml), one target from all of them.",
)
@click.option("--space", "space_name", help="Name or YAML file; found out when not given.")
@click.option("--width", type=float, help="Width multiplier of --space, such as 1.2.")
@click.option(
    "--data", help="Images for the run, in train/<class>/ and val/<class>/; may follow later."
)
@click.option("--resolution", type=click.IntRange(8, 4096), help="Input size of --subnet.")
@click.option("--sizes", help="Input sizes that --accuracy-predictor knows, such as 160,192,224.")
@click.option("--name", help="Of the target that --latency-table makes.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The subnet.json, or the predictor, to write.",
)
@options.run("Run folder: to make with --checkpoint, else an existing one.")
@options.common
def ofa(
    checkpoint: str | None,
    subnet: str | None,
    accuracy_predictor: str | None,
    latency_table: tuple[str, ...],
    space_name: str | None,
    width: float | None,
    data: str | None,
    resolution: int | None,
    sizes: str | None,
    name: str | None,
    output: Path | None,
    run_folder: Path | None,
    as_json: bool,
) -> None:
    """Once-for-All and ProxylessNAS: supernets, networks, predictors, latency tables."""
    if not (checkpoint or subnet or accuracy_predictor or latency_table):
        raise ConfigError(
            "nothing to import was named",
            hint="give --checkpoint, --subnet, --accuracy-predictor or --latency-table",
        )
    from supernet.runs import find_run
    from supernet.space import at_width
    from supernet.workflow import importing

    in_run = checkpoint or run_folder
    _check_used(
        {
            "--width": (width, space_name, "--space"),
            "--data": (data, checkpoint, "--checkpoint"),
            "--resolution": (resolution, subnet, "--subnet"),
            "--sizes": (sizes, accuracy_predictor, "--accuracy-predictor"),
            "--name": (name, latency_table, "--latency-table"),
            "--output": (output, subnet or (not in_run and accuracy_predictor), "--subnet"),
        }
    )
    space = at_width(space_name, width) if space_name else None
    result: dict[str, Any] = {}
    rows: list[list[str]] = []
    try:
        with progress_bar() as progress:
            run = None
            if checkpoint:
                run = importing.import_checkpoint(
                    checkpoint, space=space, data=data, folder=run_folder, progress=progress
                )
                rows.append(["supernet", f"{run.space().name}, {run.space().num_classes} classes"])
                result["run"] = str(run.folder)
            elif run_folder:
                run = find_run(run_folder)
            if accuracy_predictor:
                predictor, path = importing.import_predictor(
                    accuracy_predictor,
                    run=run or (None if output else find_run(None)),
                    space=space,
                    sizes=_sizes(sizes),
                    output=output,
                    progress=progress,
                )
                rows.append(["accuracy predictor", _knows(predictor.sizes)])
                result["predictor"] = str(path)
            if subnet:
                found = importing.import_subnet(
                    subnet,
                    space=space,
                    resolution=resolution,
                    run=run,
                    output=output if run or not accuracy_predictor else None,
                    progress=progress,
                )
                rows += _subnet_rows(found)
                result["subnet"] = str(found.path)
                result["space"] = found.space.name
                if found.space_path:
                    result["space_file"] = str(found.space_path)
            if latency_table:
                table, path = importing.import_latency_table(
                    latency_table, name=name, progress=progress
                )
                error = f"{len(table.rows)} rows, error: {error_text(table)}"
                rows.append(["target", f"{table.target}, {error}"])
                result |= {"target": table.target, "table": str(path)}
    finally:  # what was imported before an error stays, and is told
        if rows:
            print_table("Imported", rows)
            _print_paths(result)
    click.echo(_next(result))
    if as_json:
        print_json(result)


def _check_used(options: Mapping[str, tuple[object, object, str]]) -> None:
    """Refuse options that say something of what was not asked for."""
    for option, (value, subject, name) in options.items():
        if value is not None and not subject:
            raise ConfigError(f"{option} is of {name}", hint=f"give {name} as well")


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
    run = f" --run {result['run']}" if "run" in result else ""
    target = f" --target {result['target']}" if "target" in result else ""
    if "subnet" not in result:
        return f"next: supernet search{run}{target} --max-latency-ms LIMIT"
    where = run or f" --run RUN  (a run of space {result['space']}, see --checkpoint)"
    return f"next: supernet export {result['subnet']} --onnx --data IMAGES{where}"
