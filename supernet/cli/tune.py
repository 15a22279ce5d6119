"""`supernet tune`: find the recipe and the space of a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supernet.cli import options
from supernet.cli.output import command_line, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from supernet.tune import StudyResult

_SHOWN = 10  # trials in the table


@click.command(
    epilog="Examples:  supernet tune --study tune.yaml  |  supernet tune --data photos --space "
    "small.yaml --study tune.yaml --trials 50 --pruner asha --workers 2 --storage "
    "sqlite:///tune.db. The same command again goes on with the study."
)
@click.option(
    "--study",
    "study_file",
    required=True,
    type=click.Path(path_type=Path),
    help="YAML file that names what varies.",
)
@click.option(
    "--data",
    default="fashion_mnist",
    show_default=True,
    help="A folder of class folders (train/<class>/ and val/<class>/, or <class>/ alone), tar "
    "files, a data set of torchvision such as cifar10, or the embedded images.",
)
@click.option("--space", default="demo", show_default=True, help="Name or YAML file.")
@click.option("--recipe", default="demo", show_default=True, help="Name or YAML file.")
@click.option(
    "--epochs",
    type=options.FloatRange(0, 10000, min_open=True),
    help="Epochs of every trial, all phases together; as the recipe says when not given.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="Of the study in all, those of earlier calls too.",
)
@click.option(
    "--sampler",
    default="tpe",
    show_default=True,
    help="Who proposes, of Optuna: tpe, gp, cmaes or random.",
)
@click.option(
    "--pruner",
    help="Who gives poor trials up, of Optuna: none, median, asha (successive halving) or "
    "hyperband; of Ray Tune: asha or none.  [default: median; of Ray Tune asha]",
)
@click.option(
    "--grace-epochs",
    type=click.IntRange(1),
    help="Epochs before which no trial is given up; a ninth of all when not given.",
)
@options.engine(
    known="What trains: processes; ray-tune, where Ray Tune gives trials up by its ASHA and "
    "proposes by its OptunaSearch, in an actor for each of --workers"
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Trainings at the same time, a process (or an actor) each; they share the processors, or "
    "take a GPU each.",
)
@click.option(
    "--storage",
    help="Where the study is kept: a URL as Optuna takes it, or journal:FILE; a file in its "
    "folder when not given.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Of the study; one below ./studies by its name when not given.",
)
@click.option(
    "--confirm",
    type=click.IntRange(0, 100),
    default=2,
    show_default=True,
    help="Fresh seeds with which the best trial and the recipe as it is are trained at the end.",
)
@options.seed
@options.device
@options.common
def command(
    study_file: Path, storage: str | None, device: str, as_json: bool, **asked: Any
) -> None:
    """Find a better recipe, and a better space or network, by many trainings."""
    from supernet.evaluate import resolved_device
    from supernet.tune.api import tune

    with progress_bar() as progress:
        result = tune(
            study_file,
            storage=storage,
            device=resolved_device(device),
            progress=progress,
            **asked,
        )
    _report(result)
    if as_json:
        print_json({**result.as_json(), "files": _files(result)})


def _report(result: "StudyResult") -> None:
    from supernet.tune.page import compared

    whole = sorted(
        (t for t in result.trials if t.value is not None), key=lambda t: -(t.value or 0)
    )[:_SHOWN]
    rows = [
        [f"{t.number}{' (as it is)' * t.baseline}", f"{t.value:.2f}", f"{t.seconds:.0f}"]
        for t in whole
    ]
    counts = ", ".join(f"{number} {state}" for state, number in result.counts().items())
    print_table(
        f"Trials ({counts}), best first", rows, ["trial", f"top-1 % of {result.subnet}", "seconds"]
    )
    if result.best is not None:
        values = [[name, _text(value)] for name, value in result.best.values.items()]
        print_table("\nValues of the best", values)
    if result.importances:
        shares = [[name, f"{share:.2f}"] for name, share in result.importances.items()]
        print_table("\nShare of each parameter in being among the best", shares)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    notes = [f"note: {remark}" for remark in result.remarks]
    notes += [f"failed: trial {trial.number}: {trial.reason}" for trial in failed[-1:]]
    click.echo("\n" + "\n".join([*compared(result), *notes]))
    files = _files(result)
    if result.best is not None:
        words = ["--data", result.data, "--space", files["space"], "--recipe", files["recipe"]]
        click.echo(f"\ntrain it: {command_line('train', *words)}")
    click.echo(f"report: {files['report']}")


def _files(result: "StudyResult") -> dict[str, str]:
    folder = Path(result.folder)
    return {
        "study": str(folder / "study.json"),
        "recipe": str(folder / "best" / "recipe.yaml"),
        "space": str(folder / "best" / "space.yaml"),
        "run": str(folder / "trials" / str(result.best.folder)) if result.best else "",
        "report": str(folder / "report.html"),
    }


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
