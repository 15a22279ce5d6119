"""`supernet eval`: networks side by side."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.output import note_finetuned, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from supernet.workflow.evaluation import Evaluated


class _Numbers(options.Value):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(number) for number in value.split(","))
        except ValueError:
            numbers = (math.nan,)
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} is not a list of numbers such as 0.485,0.456,0.406", param, ctx)
        return numbers


@click.command(
    epilog="Example:  supernet eval subnet.json runs/mine/export/subnet theirs.onnx --data photos. "
    "Of a folder, every network in it. Files of this library say how they are fed; for others give "
    "--mean and --std where they are not those of the images."
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--data", help="Images, in train/<class>/ and val/<class>/; those of the run when not given."
)
@click.option("--images", type=click.IntRange(1), help="Test images, always the same; else all.")
@click.option("--mean", type=_Numbers(), help="Of pixel values from 0 to 1, a channel each.")
@click.option("--std", type=_Numbers(), help="Likewise.")
@click.option("--resolution", type=click.IntRange(1, 4096), help="Where a file's size varies.")
@options.finetuned
@options.run(
    "Run folder with the weights and images; that of the subnet or file when not given, else the "
    "newest."
)
@options.common
def command(files: tuple[Path, ...], run_folder: Path | None, as_json: bool, **given: Any) -> None:
    """Measure accuracy, latency, size and peak memory of FILES on the same images."""
    from supernet.workflow.evaluation import EvaluateRequest, evaluate_files

    own = {name: value for name, value in given.items() if value is not None}
    request = EvaluateRequest(run=run_folder, **own)
    with progress_bar() as progress:
        found = evaluate_files(files, request, progress)
    print_table(
        f"{found[0].images} test images, one thread, one image at a time",
        [[name, *_row(row)] for name, row in zip(_names([row.path for row in found]), found)],
        ["file", "top-1", "latency", "size", "peak memory", "MACs", "thop", "runtime"],
    )
    for row in found:
        note_finetuned(row.finetuned, str(row.path))
        for note in row.notes:
            click.echo(f"note: {row.path}: {note}")
    if as_json:
        print_json({"files": [asdict(row) | {"path": str(row.path)} for row in found]})


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    longest = max(len(path.parts) for path in paths)
    for count in range(1, longest + 1):
        found = [str(Path(*path.parts[-count:])) for path in paths]
        if len(set(found)) == len(set(paths)):
            return found
    return [str(path) for path in paths]


def _row(row: "Evaluated") -> list[str]:
    return [
        f"{row.top1:.2f} %",
        f"{row.latency_ms:.4f} ms" + f" for {row.batch}" * (row.batch > 1),
        f"{row.size_bytes / 1e6:.2f} MB",
        f"{row.memory_bytes / 1e6:.1f} MB" if row.memory_bytes is not None else "",
        f"{row.macs / 1e6:.2f} M" if row.macs is not None else "",
        f"{row.thop_macs / 1e6:.2f} M" if row.thop_macs is not None else "",
        row.runtime,
    ]
