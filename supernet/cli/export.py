"""`supernet export`: a subnet as a folder of files that were seen working."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from supernet.cli import options
from supernet.cli.output import note_finetuned, print_json, print_table, progress_bar
from supernet.errors import ConfigError
from supernet.export.registry import FORMATS

if TYPE_CHECKING:
    from supernet.runs import Run
    from supernet.workflow.bundle import BundleOutcome
    from supernet.workflow.exported import ExportedFile, ExportOutcome


def _formats(function: Callable[..., Any]) -> Callable[..., Any]:
    """A flag for each format."""
    for info in reversed(list(FORMATS.values())):
        function = click.option(f"--{info.name}", is_flag=True, help=f"Write {info.about}.")(
            function
        )
    return function


@click.command(
    epilog="A bare file name that is not here is looked for in the searches of the run: after "
    "`supernet search`, `supernet export subnet.json --onnx` needs no path."
)
@click.argument("subnet", type=click.Path(path_type=Path), default=Path("subnet.json"))
@_formats
@click.option("--int8", is_flag=True, help="Also on 8-bit integers, where the format can.")
@click.option(
    "--most-lost",
    type=options.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="Points of accuracy that int8 may lose; the fewest layers that it takes stay in float.",
)
@click.option(
    "--weights-bits",
    type=click.Choice(["7", "8"]),
    callback=lambda _, __, value: int(value or 0),
    help="Of the weights of an ONNX file in int8: 7 for x86 processors without VNNI, either for "
    "others; when not given, what loses less on this one.",
)
@click.option(
    "--pixels", is_flag=True, help="Put the normalisation inside: the files read uint8 images."
)
@click.option("--probabilities", is_flag=True, help="Put softmax inside.")
@click.option("--dynamic-batch", is_flag=True, help="Let the batch size of files vary.")
@click.option(
    "--opset",
    type=int,
    help="Of ONNX files; 18 when not given, the oldest that has every operator.",
)
@click.option(
    "--bundle",
    metavar="WHAT",
    help="Several subnets as ONNX files that share their weights: 'front' for three of the newest "
    "search, another search by its name or folder, or files of subnets with commas between.",
)
@click.option(
    "--features",
    cls=options.Once,
    type=options.SIZES,
    help="The backbone in place of the network: the last maps at these strides, such as 8,16,32, "
    "as outputs named stride8, stride16, stride32.",
)
@click.option(
    "--size",
    cls=options.Once,
    type=options.SHAPE,
    help="With --features: rows and columns of its images, such as 384x512, or 320 for a square; "
    "the subnet's own input size when not given.",
)
@click.option(
    "--any-size",
    is_flag=True,
    help="With --features: let rows and columns vary, in multiples of the last stride.",
)
@options.finetuned
@click.option(
    "--data",
    help="Images to recalibrate and check with, in train/<class>/ and val/<class>/; those of the "
    "run when not given.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The folder to write; one in the run's export/ when not given.",
)
@options.run("Run folder with the weights; that of the subnet file when not given.")
@options.common
@click.pass_context
def command(
    context: click.Context,
    /,
    subnet: Path,
    output: Path | None,
    run_folder: Path | None,
    as_json: bool,
    opset: int | None,
    bundle: str | None,
    **given: Any,
) -> int:
    """Extract SUBNET, recalibrate it, export it, check it against torch, and time it."""
    formats = tuple(name for name in FORMATS if given.pop(name.replace("-", "_")))
    backbone = _backbone({key: given.pop(key) for key in _BACKBONE}, bundle)
    if bundle is not None:
        if context.get_parameter_source("subnet") is not ParameterSource.DEFAULT:
            raise ConfigError(f"bundle: takes no subnet beside it, found {subnet}", hint=_COMMAS)
        for name in ("most_lost", "weights_bits", "finetuned"):
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
                flag = name.replace("_", "-")
                raise ConfigError(
                    f"{flag}: does not apply to a bundle (fp32, the supernet's own weights)"
                )
        return _bundle(bundle, formats, output, run_folder, as_json, opset=opset or 0, **given)
    if not formats:
        flags = ", ".join(f"--{name}" for name in FORMATS)
        raise ConfigError("no format was asked for", hint=f"add --onnx, or others: {flags}")
    from supernet.workflow.export import export_subnet, find_subnet
    from supernet.workflow.exported import ExportRequest

    request = ExportRequest(formats=formats, opset=opset or 0, **given)
    path, run = find_subnet(subnet, run_folder)
    if request.finetuned:
        _note_unfinished(path, run)
    if backbone:
        from supernet.cli.export_backbone import write_backbone

        return write_backbone(path, run, request, output, as_json, **backbone)
    with progress_bar() as progress:
        outcome = export_subnet(path, run, request, output=output, progress=progress)
    _print(outcome)
    _note_few(outcome, run.config().holdout_images)
    for reason in outcome.failed.values():
        click.echo(f"error: {reason}", err=True)
    if as_json:
        print_json(_as_json(outcome))
    return 1 if outcome.failed else 0


def _note_unfinished(path: Path, run: "Run") -> None:
    from supernet.space import SubnetFile
    from supernet.workflow.finetune import unfinished_note

    note = unfinished_note(run, SubnetFile.load(path))
    if note:
        click.echo(f"note: {note}", err=True)


_BACKBONE = ("features", "size", "any_size")


def _backbone(asked: dict[str, Any], bundle: str | None) -> dict[str, Any]:
    """What is asked of a backbone; empty where a whole network is wanted.

    Raises:
        ConfigError: a size without maps, or maps of a bundle.
    """
    if asked["features"] is None:
        for key in _BACKBONE:
            if asked[key]:
                flag = key.replace("_", "-")
                raise ConfigError(f"{flag}: is for backbones", hint="add --features 8,16,32")
        return {}
    if bundle is not None:
        raise ConfigError("bundle: holds whole networks; leave out --features")
    return asked


_COMMAS = "give files with commas between: --bundle fast.json,accurate.json"


def _bundle(
    what: str,
    formats: tuple[str, ...],
    output: Path | None,
    run_folder: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    if formats not in ((), ("onnx",)) or given["int8"]:
        raise ConfigError("bundle: is written as ONNX files in fp32, and in no other format")
    from supernet.workflow.bundle import export_bundle, find_levels
    from supernet.workflow.exported import ExportRequest

    levels, run = find_levels(what, run_folder)
    with progress_bar() as progress:
        found = export_bundle(levels, run, ExportRequest(**given), output=output, progress=progress)
    _print_bundle(found)
    if as_json:
        print_json(
            {
                "folder": str(found.folder),
                "levels": list(found.levels),
                "bytes": found.bytes,
                "alone_bytes": found.alone_bytes,
            }
        )
    return 0


def _print_bundle(found: "BundleOutcome") -> None:
    print_table(
        f"Exported to {found.folder}",
        [
            [
                level["file"],
                f"{level['resolution']} px",
                f"{level['top1']:.2f} %",
                f"{level['agreement']:.2f} %",
                f"{level['latency_ms']:.4f} ms",
            ]
            for level in found.levels
        ],
        ["file", "input", "top-1", "as in torch", "latency"],
    )
    if found.weights_changed:
        click.echo(
            "note: some of these subnets were found with other weights than the supernet's newest, "
            "which were exported",
            err=True,
        )
    for faster, slower in pairwise(found.levels):
        if slower["top1"] <= faster["top1"]:
            click.echo(
                f"note: {slower['name']} is slower than {faster['name']} and not more accurate here"
            )
    click.echo(
        f"{found.bytes / 1e6:.2f} MB together, {found.alone_bytes / 1e6:.2f} MB as files of their "
        f"own\n\nto switch by the time that frames take: {found.folder / 'adaptive.py'}"
    )


def _print(outcome: "ExportOutcome") -> None:
    from supernet.export.verification import ONE_OF

    if outcome.weights_changed:
        click.echo(
            "note: the supernet was trained on since this subnet was found; its newest weights "
            "were exported",
            err=True,
        )
    note_finetuned(outcome.finetuned)
    first = outcome.first.verification
    title = f"Exported to {outcome.folder}"
    if first:
        title += f" (torch: {first.torch_top1:.2f} % of {first.images} test images)"
    one = ONE_OF[outcome.first.facts["output"]]
    print_table(
        title,
        [_row(made) for made in outcome.files],
        ["file", "top-1", "as in torch", f"{one} off by", "latency", "size"],
    )
    for note in [note for made in outcome.files for note in made.notes]:
        click.echo(f"note: {note}")
    _print_latency(outcome)
    _print_paying(outcome.files)
    click.echo(f"\nmodel card: {outcome.card}")


def _row(made: "ExportedFile") -> list[str]:
    size = f"{made.size_bytes / 1e6:.2f} MB"
    check, ms = made.verification, made.latency_ms
    if check is None or ms is None:
        return [made.path.name, "not run here", "", "", "", size]
    return [
        made.path.name,
        f"{check.top1:.2f} %",
        f"{check.agreement:.2f} %",
        f"{check.max_abs_diff:.1e}" if made.precision == "fp32" else "",
        f"{ms:.4f} ms",
        size,
    ]


def _note_few(outcome: "ExportOutcome", images: int) -> None:
    """Say where int8 was chosen by very few held-out images."""
    from supernet.workflow.held_out import few_told

    told = few_told(images, "how int8 is made was chosen")
    if told and any(made.precision == "int8" for made in outcome.files):
        click.echo(f"note: {told}", err=True)


def _print_latency(outcome: "ExportOutcome") -> None:
    check = outcome.latency
    if check is None:
        return
    text = (
        f"predicted for {check.target}, {check.precision}: {check.predicted_ms:.4f} ms; measured "
        f"{check.off:+.1f} %"
    )
    if not check.within:
        known = check.low_ms is not None
        text += f", {'outside of the interval' if known else 'far off'} (see the model card)"
    click.echo(text)


def _print_paying(files: Sequence["ExportedFile"]) -> None:
    """Say which file to ship where one on integers was timed beside that in float."""
    from supernet.export.int8.telling import beside_float_told

    for made in files:
        if made.beside_float:
            click.echo(beside_float_told(made.path.name, made.beside_float))


def _as_json(outcome: "ExportOutcome") -> dict[str, Any]:
    first = outcome.first.as_dict()
    check = outcome.latency
    return {
        **{key: value for key, value in first.items() if key not in ("notes", "operators")},
        "folder": str(outcome.folder),
        "failed": dict(outcome.failed),
        "files": {made.path.name: made.as_dict() for made in outcome.files},
        "subnet": str(outcome.subnet),
        "card": str(outcome.card),
        "latency": None
        if check is None
        else {
            "target": check.target,
            "precision": check.precision,
            "predicted_ms": check.predicted_ms,
            "low_ms": check.low_ms,
            "high_ms": check.high_ms,
            "measured_ms": check.measured_ms,
            "within": check.within,
        },
    }
