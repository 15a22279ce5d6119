"""The best trial once more, beside the recipe as it is, on seeds the study has not seen."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from supernet.progress import Progress, silent
from supernet.tune.contract import Executor, Outcome, Report, Task
from supernet.tune.plan import Proposal
from supernet.tune.result import Confirmed

__all__ = ["confirm_best"]


def confirm_best(
    trial: int,
    best: Proposal,
    baseline: Proposal,
    executor: Executor,
    *,
    seeds: range,
    folder: Path,
    known: tuple[Confirmed, ...] = (),
    progress: Progress = silent,
) -> Iterator[Confirmed]:
    """Train both with each seed; each pair as soon as it is there.

    A seed also decides which images are held out, so a chosen recipe is measured on others than
    those that it was chosen on. A seed of which a training fails is left out.

    Args:
        trial: number of the best.
        best: what it trained.
        baseline: the recipe and the space as they are.
        executor: trains.
        seeds: for both.
        folder: for the runs, which are removed when they have ended.
        known: what was confirmed before.
        progress: told about trainings.
    """
    done = {(one.trial, one.seed) for one in known}
    todo = [seed for seed in seeds if (trial, seed) not in done]
    base_known = {one.seed: one.baseline for one in known}
    tasks = {}
    for seed in todo:
        tasks[2 * seed] = _task(2 * seed, best, seed, folder / f"trial-{trial}-seed-{seed}")
        if seed not in base_known:
            own = folder / f"baseline-seed-{seed}"
            tasks[2 * seed + 1] = _task(2 * seed + 1, baseline, seed, own)
    waiting, total = [*tasks.values()], len(tasks)
    found: dict[int, Outcome] = {}
    if not tasks:
        return
    text = "confirming on fresh seeds"
    for outcome in executor.run(lambda: waiting.pop(0) if waiting else None, _goes_on):
        found[outcome.number] = outcome
        progress(len(found), total, text)
        shutil.rmtree(tasks[outcome.number].folder, ignore_errors=True)
        seed = outcome.number // 2
        mine, other = found.get(2 * seed), found.get(2 * seed + 1)
        base = base_known.get(seed, other.value if other and other.state == "complete" else None)
        if mine is not None and mine.state == "complete" and base is not None:
            yield Confirmed(trial=trial, seed=seed, best=mine.value, baseline=base)


def _task(number: int, proposal: Proposal, seed: int, folder: Path) -> Task:
    return Task(
        number=number, recipe=proposal.recipe, space=proposal.space, seed=seed, folder=folder
    )


def _goes_on(report: Report) -> bool:
    del report
    return True
