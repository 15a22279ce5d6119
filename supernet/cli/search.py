"""`supernet search`: the best subnet for targets."""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.output import command_line, print_json, print_table, progress_bar
from supernet.cli.outputs import output_option
from supernet.cli.quantities import COUNT, FILE_SIZE, FIX, LATENCY, PEAK_MEMORY, merged

if TYPE_CHECKING:
    from supernet.workflow.request import SearchRequest
    from supernet.workflow.search_outcome import SearchOutcome

_EPILOG = """Examples:

\b
  supernet search --max-latency-ms 0.2
  supernet search --target mobile_cpu --max-latency-ms 20 --max-params 5M --max-peak-memory 4MiB
  supernet search --target mobile_cpu --target x86_server_cpu \\
      --max-latency-ms mobile_cpu=20 --max-latency-ms x86_server_cpu=6
  supernet search --fix resolution=192,224 --fix stage2.kernel=3
  supernet search --space mobilenet_v3_w1.2 --predictor acc.json --target note10 \\
      --max-latency-ms 20
  supernet search --max-latency-ms 0.2 --measure --budget 100 --workers 2
  supernet search --max-latency-ms 0.2 --ladder predictor,500,all,finetune:1
  supernet search --max-latency-ms 0.2 --resume
"""
_LIMITS = {
    "max_macs": "macs",
    "max_params": "params",
}
_BYTE_LIMITS = ("max_file_size", "max_peak_memory")


@click.command(epilog=_EPILOG)
@click.option("--target", "targets", multiple=True, help="Name or table (.json); repeatable.")
@click.option(
    "--max-latency-ms",
    "latencies",
    type=LATENCY,
    multiple=True,
    help="Limit; half of the largest subnet's when there is no limit at all.",
)
@click.option("--max-macs", cls=options.Once, type=COUNT, help="Multiply-adds, such as 300M.")
@click.option("--max-params", cls=options.Once, type=COUNT, help="Parameters, such as 5M.")
@click.option(
    "--max-file-size", type=FILE_SIZE, multiple=True, help="Of the exported file: 12MB, int8=4MB."
)
@click.option(
    "--max-peak-memory", type=PEAK_MEMORY, multiple=True, help="Live tensors: 4MiB, int8=1MiB."
)
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    help="One more axis of the front: macs, params, file_size, peak_memory; of the int8 file "
    "file_size@int8, peak_memory@int8.",
)
@click.option(
    "--features",
    cls=options.Once,
    type=options.SIZES,
    help="Search a backbone that gives the maps at these strides, such as 8,16,32: latencies and "
    "all other costs count what it runs, without the head.",
)
@click.option(
    "--size",
    cls=options.Once,
    type=options.SHAPE,
    help="With --features: rows and columns of the backbone's images, such as 384x512, or 320 for "
    "a square, at which its costs are counted; each subnet's own input size when not given.",
)
@click.option("--fix", type=FIX, multiple=True, help="Narrow the space: stage2.kernel=3,5.")
@click.option("--space", "space_name", cls=options.Once, help="Search without a run.")
@click.option(
    "--predictor",
    cls=options.Once,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Accuracy predictor: ours (.json) or Once-for-All's (.pth).",
)
@click.option(
    "--algorithm",
    cls=options.Once,
    help="memetic, ei, nsga2, surrogate, aging, local, grid, random, reinforce, "
    "reinforce:absolute, netadapt; on a ladder asha, hyperband, bohb; or optuna:NAME with a "
    "sampler of Optuna: tpe, gp, nsga2, nsga3, cmaes, random, grid.  [default: memetic, or "
    "grid where a search can score every subnet; ei with --measure; asha with --ladder; "
    "optuna:tpe with --storage]",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Measure every accuracy on the hold-out images, in place of predicting it.",
)
@click.option(
    "--ladder",
    cls=options.Once,
    help="Measure few subnets whole: rungs, the cheapest first, of predictor, a number of images, "
    "all, finetune:EPOCHS; such as predictor,500,all.",
)
@click.option(
    "--start",
    cls=options.Once,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A subnet.json to begin with: scored first, and what netadapt shrinks.",
)
@click.option(
    "--storage",
    cls=options.Once,
    help="Keep the study of an Optuna sampler: sqlite:///study.db, a PostgreSQL URL, or "
    "journal:FILE. Processes that name the same one share it.",
)
@click.option(
    "--study", cls=options.Once, default="supernet", help="Its name there.", show_default=True
)
@click.option(
    "--budget",
    type=click.IntRange(1),
    help="Subnets to score, at most; where accuracies are measured, whole measurements.  [default: "
    "60,000, 200,000 for grid, 200 measurements; fewer for algorithms that think long]",
)
@click.option(
    "--budget-seconds",
    type=options.FloatRange(0, min_open=True),
    help="Wall time of the search, at most.",
)
@click.option(
    "--pairs",
    type=click.IntRange(10, 100000),
    default=100,
    show_default=True,
    help="Subnets whose accuracy is measured for the predictor.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    default="fp32",
    show_default=True,
    help="int8: for latencies of quantised networks, and accuracies less what quantisation costs, "
    "which is learned from 30 subnets measured in both.",
)
@options.images
@options.workers
@options.engine(
    "; ray-tune, where Ray Tune searches itself: its ASHA on the ladder, "
    "subnets by its OptunaSearch"
)
@click.option(
    "--confirm",
    type=click.IntRange(0, 1000),
    help="Finalists to measure before the winner is named.  [default: 4 where a predictor is "
    "learned from the run's images, else 0]",
)
@click.option(
    "--certify",
    is_flag=True,
    help="Prove how good an answer can be at best, up to a minute; fail where nothing can be.",
)
@click.option("--name", cls=options.Once, help="Of the result; that of the targets if not given.")
@click.option("--remeasure", is_flag=True, help="Measure this machine again.")
@click.option(
    "--resume", is_flag=True, help="Go on with the same search, which was stopped, where it was."
)
@output_option(
    "Also write the found subnet there.",
    "subnet",
)
@options.run()
@options.seed
@options.device
@options.common
def command(
    space_name: str | None,
    output: Path | None,
    run_folder: Path | None,
    resume: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Find the Pareto front for targets, and the best subnet under limits."""
    from supernet.workflow.search import search_run, search_space

    if space_name and run_folder:
        raise click.UsageError("--space searches without a run; leave out one of --space and --run")
    request = _request(asked, "cpu" if space_name else asked["device"])
    with progress_bar() as progress:
        common: Any = {"output": output, "resume": resume, "progress": progress}
        if space_name:
            from supernet.space import load_space

            space = load_space(space_name)
            outcome = search_space(space, request, **common)
        else:
            from supernet.runs import find_run

            run = find_run(run_folder)
            outcome = search_run(run, request, **common)
    result = _result(outcome)
    _print(outcome, result, certify=asked["certify"])
    if as_json:
        print_json(result)


def _request(asked: dict[str, Any], device: str) -> "SearchRequest":
    import numpy as np

    from supernet.search import algorithm, latency_name
    from supernet.workflow.request import SearchRequest

    latencies = merged("--max-latency-ms", asked["latencies"])
    limits = {latency_name(target) if target else "latency": ms for target, ms in latencies.items()}
    for key in _BYTE_LIMITS:
        limits |= merged(f"--{key.replace('_', '-')}", asked[key])
    limits |= {cost: asked[key] for key, cost in _LIMITS.items() if asked[key] is not None}
    return SearchRequest(
        targets=tuple(asked["targets"]),
        objectives=tuple(asked["objectives"]),
        limits=limits,
        limit_share=0.0 if limits else 0.5,
        fix=merged("--fix", asked["fix"]),
        features=asked["features"] or (),
        size=asked["size"],
        algorithm=algorithm(asked["algorithm"]).name if asked["algorithm"] else "",
        measure=asked["measure"],
        ladder=() if asked["ladder"] is None else _rungs(asked["ladder"]),
        start=asked["start"],
        storage=asked["storage"] or "",
        study=asked["study"],
        budget=asked["budget"] or 0,
        seconds=asked["budget_seconds"] or np.inf,
        predictor=asked["predictor"],
        pairs=asked["pairs"],
        precision=asked["precision"],
        images=asked["images"] or 0,
        workers=asked["workers"],
        engine=asked["engine"],
        ray_address=asked["ray_address"],
        confirm=asked["confirm"],
        certify=asked["certify"],
        fresh_table=asked["remeasure"],
        name=asked["name"] or "",
        seed=asked["seed"],
        device=device,
    )


def _rungs(text: str) -> tuple[str, ...]:
    return tuple(text.replace(" ", "").split(","))


def _result(outcome: "SearchOutcome") -> dict[str, Any]:
    result = outcome.result
    validation = outcome.predictor.validation if outcome.predictor else None
    limits = {axis.name: axis.limit for axis in result.problem.axes if axis.limit is not None}
    return {
        "subnet": str(outcome.subnet),
        "limits": limits,
        "algorithm": outcome.algorithm,
        "predicted": dict(outcome.predicted),
        "measured": dict(outcome.measured),
        "bound": result.bound,
        "predictor": {"kendall": validation.kendall, "rmse": validation.rmse}
        if validation
        else None,
        "confirmed": [
            {
                "index": one.index,
                "within": one.within,
                **one.told(outcome.tables, of_features="features" in outcome.predicted),
            }
            for one in outcome.confirmed
        ],
        "rungs": [asdict(climb) for climb in outcome.climbs],
        "scored": len(result),
        "complete": result.complete,
        "seconds": result.seconds,
        "front": len(result.front),
        "files": {
            "result": str(outcome.folder),
            "subnet": str(outcome.file),
            "front": str(outcome.folder / "front.csv"),
            "report": str(outcome.report),
        },
    }


def _print(outcome: "SearchOutcome", result: dict[str, Any], *, certify: bool) -> None:
    _print_figures(outcome)
    if body := _body(outcome, "maps at ", " at "):
        click.echo(f"costs are of {body}")
    click.echo(_predictor_line(outcome))
    if outcome.climbs:
        rungs = ", ".join(f"{one.subnets} by {one.name}" for one in outcome.climbs)
        click.echo(f"subnets of each rung: {rungs}")
    click.echo(f"subnets scored: {result['scored']:,}, {result['front']} on the front")
    if outcome.result.tells or (certify and outcome.result.proof):
        click.echo(f"proven: {outcome.result.proof}")
    for one in outcome.confirmed[1:]:
        words = ", ".join(f"{name} {value:.4g}" for name, value in one.measured.items())
        over = "" if one.within else ", over the limit"
        click.echo(f"also measured: {words}{over}: {_named(outcome, one.index)}")
    click.echo(f"\nthe found subnet: {outcome.subnet}")
    click.echo(f"subnet: {outcome.file}\nreport: {outcome.report}")
    if not outcome.result.complete:
        click.echo("the time was up; the same command with --resume goes on")
    if outcome.run:
        options_of_body = _body(outcome, " --features ", " --size ")
        click.echo(f"next: {command_line('export', outcome.file, '--onnx')}{options_of_body}")
    _print_doubts(outcome)


def _named(outcome: "SearchOutcome", index: int) -> str:
    """A subnet by its number on the front, else by its choices."""
    (numbers,) = (outcome.result.front == index).nonzero()
    return f"--pick {numbers[0] + 1}" if len(numbers) else str(outcome.result.subnet(index))


def _print_figures(outcome: "SearchOutcome") -> None:
    """What is predicted of the best subnet, what was measured, and what is allowed."""
    figures = outcome.result.figures(outcome.chosen)
    known = outcome.confirmed[0].measured if outcome.confirmed else {}
    rows = []
    for axis in outcome.result.problem.axes:
        if axis.name in figures:
            own = _figure(axis, known[axis.name]) if axis.name in known else ""
            limit = "" if axis.limit is None else _figure(axis, axis.limit)
            rows.append([axis.name, _figure(axis, figures[axis.name]), *[own] * bool(known), limit])
    for number, target in enumerate(outcome.tables):
        suffix = f"@{target}" if number else ""
        rows.append([f"interval on {target}", _interval(outcome.predicted, suffix)])
    first = "measured" if "top1" in outcome.measured and not known else "predicted"
    header = ["", first, *["measured"] * bool(known), "limit"]
    print_table("Best subnet within the limits", rows, header)


def _print_doubts(outcome: "SearchOutcome") -> None:
    for line in outcome.estimated:
        click.echo(f"note: {line}", err=True)
    if outcome.confirmed and not outcome.confirmed[0].within:
        click.echo(
            "note: no finalist meets the limits as measured; the one that comes nearest was taken",
            err=True,
        )
    for one, after in pairwise(outcome.climbs):
        if one.poor:
            click.echo(
                f"note: {one.name} orders the {one.climbed} subnets that climbed from it no "
                f"better than chance: Kendall tau {one.kendall:.2f} with {after.name}; a ladder "
                "without it may find more",
                err=True,
            )
    validation = outcome.predictor.validation if outcome.predictor else None
    if validation and validation.poor:
        click.echo(f"warning: {validation.poor}", err=True)


def _body(outcome: "SearchOutcome", before: str, at: str) -> str:
    """The strides of the backbone that was searched for, and its size, each after some words."""
    body = outcome.body
    if not body.features:
        return ""
    size = at + "x".join(map(str, body.size)) if body.size else ""
    return before + ",".join(map(str, body.features)) + size


def _interval(predicted: Any, suffix: str) -> str:
    low, high = (predicted.get(f"latency_{end}_ms{suffix}") for end in ("low", "high"))
    if "features" in predicted:  # those are of the whole network
        return "not known of backbones"
    return "error not known" if low is None else f"{low:.4g} to {high:.4g} ms"


def _figure(axis: Any, value: float) -> str:
    text = f"{value:.2f}" if axis.name == "top1" else f"{value:.4g}"
    text = f"{value:,.0f}" if abs(value) >= 1e3 else text
    return text + (f" {axis.unit}" if axis.unit else "")


def _predictor_line(outcome: "SearchOutcome") -> str:
    if outcome.predictor is None:
        return f"accuracy: measured, by {outcome.algorithm}"
    validation = outcome.predictor.validation
    if validation is None:
        sizes = getattr(outcome.predictor, "sizes", ())
        knows = f", knows {sizes[0]} to {sizes[-1]} px" if sizes else ""
        return f"accuracy predictor: imported, error not known{knows}"
    return (
        f"accuracy predictor, on held-out subnets: Kendall tau {validation.kendall:.2f}, "
        f"RMSE {validation.rmse:.2f} points"
    )
