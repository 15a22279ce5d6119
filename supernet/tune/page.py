"""The page of a study: a view of its result."""

from pathlib import Path

from supernet.files import write_text
from supernet.report.study import StudyView, TrialView, render_study
from supernet.tune.contract import TrialRecord
from supernet.tune.plan import Plan
from supernet.tune.result import Comparison, StudyResult

__all__ = ["compared", "write_page"]

_OF = {
    "largest": "the largest subnet",
    "smallest": "the smallest subnet",
    "mean": "largest, smallest and three random subnets, mean",
}


def write_page(result: StudyResult, plan: Plan) -> Path:
    """Write ``report.html`` into the folder of a study; its path."""
    path = Path(result.folder) / "report.html"
    write_text(path, render_study(_view(result, plan)))
    return path


def compared(result: StudyResult) -> list[str]:
    """The best trial against the recipe as it is, one sentence each."""
    best, lines = result.best, []
    if best is None:
        return ["no trial ended well"]
    if best.baseline:
        return [f"no trial is better than the recipe as it is: {best.value:.2f} %"]
    lines.append(f"best: trial {best.number} with {best.value:.2f} %")
    if result.searched is not None and result.baseline is not None:
        count = sum(trial.value is not None for trial in result.trials)
        lines.append(
            f"the recipe as it is: {result.baseline.value:.2f} %, so {_gain(result.searched)}; "
            f"chosen as the best of {count}, which flatters it"
        )
    if result.fresh is not None:
        seeds = sum(one.trial == best.number for one in result.confirmed)
        lines.append(
            f"on {seeds} fresh seed{'s' * (seeds > 1)}, which also hold out other images: "
            f"{_gain(result.fresh)}: {result.fresh.verdict}"
        )
    return lines


def _gain(found: Comparison) -> str:
    return f"{found.gain:+.2f} ± {found.error:.2f} points"


def _view(result: StudyResult, plan: Plan) -> StudyView:
    best, baseline = result.best, result.baseline
    shown = [trial for trial in result.trials if trial.state not in ("lost", "running")]
    usual, _ = plan.baseline()
    return StudyView(
        title=f"supernet tune: {result.name}",
        subtitle=plan.study.about
        or f"{len(shown)} trials of {result.epochs:g} epochs on {result.data}",
        sentences=tuple(line[0].upper() + line[1:] + "." for line in compared(result)),
        trials=tuple(_trial(trial) for trial in shown),
        best=best.number if best else None,
        baseline=baseline.number if baseline else None,
        parameters=tuple(
            (name, _text(best.values[name]), _text(usual[name]) if usual and name in usual else "")
            for name in plan.order
            if best and name in best.values
        ),
        importances=result.importances,
        measured=f"top-1 of {_OF[result.subnet]} on {result.holdout_images:,} held-out images",
        confirmed=tuple(
            (f"seed {c.seed}", c.best, c.baseline)
            for c in result.confirmed
            if best and c.trial == best.number
        ),
        facts={
            "Images": result.data,
            "Epochs of a trial": f"{result.epochs:g}",
            "Sampler, pruner": f"{result.sampler}, {result.pruner}",
            "Trials": ", ".join(f"{n} {state}" for state, n in result.counts().items()),
            "Engine": result.engine,
            "Storage": result.storage,
            **{f"Remark {i + 1}": line for i, line in enumerate(result.remarks)},
        },
    )


def _trial(trial: TrialRecord) -> TrialView:
    last = trial.value if trial.value is not None else (trial.curve[-1] if trial.curve else None)
    values = ", ".join(f"{name}={_text(value)}" for name, value in trial.values.items())
    return TrialView(
        number=trial.number,
        state=trial.state,
        top1=last,
        epochs=trial.epochs,
        curve=trial.curve,
        label=f"{trial.reason}; {values}" if trial.reason else values,
    )


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
