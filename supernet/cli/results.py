"""`supernet results`: what was searched for, and any subnet of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.catalogue import CatalogueGroup
from supernet.cli.output import command_line, print_json, print_table
from supernet.cli.outputs import output_option

if TYPE_CHECKING:
    from supernet.search import Axis, SavedResult
    from supernet.workflow.results import Place

_RUN = "Run folder; the newest one below ./runs, and ./searches, when not given."

_results = click.option(
    "--results",
    "results_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of results without a run, such as searches.",
)


@click.group(
    "results",
    cls=CatalogueGroup,
    thing="result",
    epilog="Examples:  supernet results  |  supernet results show mobile_cpu  |  "
    "supernet results show mobile_cpu --pick 'latency<=12' -o subnet.json",
)
@options.run(_RUN)
@_results
@options.common
@click.pass_context
def command(
    ctx: click.Context, run_folder: Path | None, results_folder: Path | None, as_json: bool
) -> None:
    """List the searches that were made, the newest first."""
    ctx.obj = (run_folder, results_folder, as_json)
    if ctx.invoked_subcommand is not None:
        return
    from supernet.workflow.results import result_places

    _list(result_places(run_folder, results_folder), as_json)


def _list(places: "list[Place]", as_json: bool) -> None:
    from supernet.errors import SupernetError
    from supernet.search import load_result, unfinished_folders

    found, damaged = [], []
    unfinished = [path.name for place in places for path in unfinished_folders(place.folder)]
    for folder in [folder for place in places for folder in place.folders()[::-1]]:
        try:
            found.append(load_result(folder))
        except SupernetError as error:
            damaged.append({"folder": str(folder), "error": str(error)})
    if as_json:
        results = [_document(saved) for saved in found]
        print_json({"results": results, "damaged": damaged, "unfinished": unfinished})
        return
    for one in damaged:
        click.echo(f"damaged: {one['error']}", err=True)
    if unfinished:
        click.echo(f"unfinished: {', '.join(unfinished)}; the same search with --resume goes on\n")
    if not found:
        where = " or ".join(str(place.folder) for place in places) or "runs or searches"
        click.echo(f"no results in {where}; make one with `supernet search`")
        return
    header = ["name", "limits", "best", "latency", "scored", "when (UTC)"]
    print_table("Searches", [_row(saved) for saved in found], header)
    if any(_is_measured(saved) for saved in found):
        click.echo("\n* an accuracy that was measured")
    click.echo("\none of them: supernet results show NAME; all on a page: supernet report")


def _row(saved: "SavedResult") -> list[str]:
    result, axes = saved.result, saved.result.problem.axes
    figures = result.figures(saved.chosen)
    limits = [f"{axis.short_name} {axis.bound_text}" for axis in axes if axis.limit is not None]
    latencies = [
        _value(axis, figures[axis.name]).removesuffix(f" {axis.unit}")
        for axis in axes
        if axis.target and axis.name in figures
    ]
    first = figures.get(axes[0].name)
    mark = "*" if _is_measured(saved) else ""
    return [
        saved.name,
        ", ".join(limits) or "none",
        f"{first:.2f} {axes[0].unit}{mark}".rstrip() if first is not None else "",
        f"{', '.join(latencies)} ms" if latencies else "",
        f"{len(result):,}",
        saved.created[:16],
    ]


def _is_measured(saved: "SavedResult") -> bool:
    """Whether its search measured accuracies; finalists that were measured do not count."""
    return bool(saved.request.get("measure") or saved.request.get("ladder"))


def _document(saved: "SavedResult") -> dict[str, Any]:
    """What is listed of a result."""
    result = saved.result
    axes = result.problem.axes
    return {
        "name": saved.name,
        "folder": str(saved.folder),
        "created": saved.created,
        "space": result.problem.space.name,
        "targets": [axis.target for axis in axes if axis.target],
        "limits": {axis.name: axis.limit for axis in axes if axis.limit is not None},
        "chosen": _point(saved, saved.chosen),
        "bound": result.bound,
        "scored": len(result),
        "front": len(result.front),
        "seconds": result.seconds,
    }


def _point(saved: "SavedResult", index: int) -> dict[str, Any]:
    subnet = saved.result.subnet(index)
    front = saved.result.front.tolist()
    return {
        "number": front.index(index) + 1 if index in front else None,
        "subnet": str(subnet),
        "key": subnet.key,
        **saved.result.figures(index),
    }


@command.command(
    "show",
    epilog="Examples:  supernet results show mobile_cpu --front  |  supernet results show "
    "mobile_cpu --pick 3  |  ... --pick 'latency<=12, macs<=200M' -o subnet.json",
)
@click.argument("name")
@click.option(
    "--pick",
    cls=options.Once,
    help="A subnet: its number on the front, best, or limits such as 'latency<=12'; the chosen "
    "one when not given.",
)
@click.option("--front", is_flag=True, help="List all of the front.")
@output_option(
    "Write the subnet there.",
    "subnet",
)
@options.run(_RUN)
@_results
@options.common
@click.pass_obj
def show(
    before: tuple[Path | None, Path | None, bool],
    name: str,
    pick: str | None,
    front: bool,
    output: Path | None,
    run_folder: Path | None,
    results_folder: Path | None,
    as_json: bool,
) -> None:
    """Show one search: NAME as listed, or its folder."""
    from supernet.workflow.results import find_result, picked_file, result_places

    places = result_places(run_folder or before[0], results_folder or before[1])
    saved, run = find_result(name, places)
    index = saved.chosen if pick is None else saved.result.pick(pick)
    if output:
        picked_file(saved, index, output, run)
    if as_json or before[2]:
        document = {**_document(saved), "picked": _point(saved, index)}
        if front:
            document["points"] = [_point(saved, i) for i in saved.result.front.tolist()]
        print_json({**document, "files": {"subnet": str(output)} if output else {}})
        return
    if front:
        _print_front(saved)
    else:
        _print(saved, index)
    if output:
        click.echo(f"subnet: {output}")
        if run:
            click.echo(f"next: {command_line('export', output, '--onnx')}")


def _print(saved: "SavedResult", index: int) -> None:
    result = saved.result
    figures, point = result.figures(index), _point(saved, index)
    searched = {name: figures[name] for name in result.problem.measures if name in figures}
    own = next((one.figures for one in saved.measured if one.index == index), {})
    own = {**own, **searched}
    rows = [
        [
            axis.name,
            "" if axis.name in searched else _value(axis, figures[axis.name]),
            *[_value(axis, own[axis.name]) if axis.name in own else ""] * bool(own),
            axis.bound_text,
        ]
        for axis in result.problem.axes
        if axis.name in figures
    ]
    number = f"no. {point['number']} of the front" if point["number"] else "not on the front"
    chosen = ", the chosen one" * (index == saved.chosen)
    click.echo(f"{saved.name}: {number}{chosen}")
    print_table("", rows, ["", "predicted", *["measured"] * bool(own), "limit"])
    click.echo(f"\nsubnet {point['key']}: {point['subnet']}")
    lines = [
        f"scored: {len(result):,} in {result.seconds:.3g} s, {len(result.front):,} on the front"
    ]
    lines += [f"proven: {result.proof}"] * result.tells
    known = saved.predictor
    if known and known.kendall is not None and known.rmse is not None:
        error = f"Kendall tau {known.kendall:.2f}, RMSE {known.rmse:.2f} points"
        lines.append(f"predictor: {known.kind}, on held-out subnets {error}")
    lines += [
        f"target {target.name}: {target.device.get('processor', 'unknown')}, {target.runtime}"
        for target in saved.targets
    ]
    lines += [f"{key} fixed to {values}" for key, values in result.problem.fixed.items()]
    lines.append(f"searched {saved.created} UTC, in {saved.folder}")
    click.echo("\n".join(lines))


def _print_front(saved: "SavedResult") -> None:
    axes = saved.result.problem.axes
    rows = []
    for number, index in enumerate(saved.result.front.tolist(), start=1):
        figures = saved.result.figures(index)
        cells = [_value(axis, figures[axis.name]) if axis.name in figures else "" for axis in axes]
        rows.append([f"{number}{'*' * (index == saved.chosen)}", *cells])
    print_table(f"{saved.name}: the front, * the chosen", rows, ["", *(a.name for a in axes)])


def _value(axis: "Axis", value: float) -> str:
    return axis.text(value).removeprefix(f"{axis.name} ")
