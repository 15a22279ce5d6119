"""How many trainings fit into memory: what the hungriest proposal takes, and what is free."""

import tempfile
from dataclasses import replace
from pathlib import Path

from supernet.errors import ConfigError
from supernet.memory import free_mib
from supernet.space import largest_subnet, operators, total_macs
from supernet.train import Recipe
from supernet.train.batches import steps_per_epoch
from supernet.tune.check import proposals_at_ends
from supernet.tune.contract import Outcome, Task, Train
from supernet.tune.executors import Workers
from supernet.tune.plan import Plan, Proposal

__all__ = ["check_memory", "measured_need"]

_SPARE = 1.1  # times what was measured


def measured_need(plan: Plan, train: Train, images: int) -> Outcome:
    """What a training takes at most: a step of each phase of the hungriest proposal, measured.

    The hungriest has the most multiply-adds a step among the ends of all parameters. It is
    trained in a process of its own, and its accuracy measured once.

    Args:
        plan: the study.
        train: trains a task.
        images: to train on.

    Raises:
        ConfigError: it cannot be trained, or not even once.
    """
    hungriest = max(proposals_at_ends(plan), key=_work)
    recipe = _one_step_a_phase(hungriest.recipe, images)
    workers = Workers([train])
    with tempfile.TemporaryDirectory(prefix="supernet-tune-") as folder:
        task = Task(
            number=0, recipe=recipe, space=hungriest.space, seed=0, folder=Path(folder) / "run"
        )
        waiting = [task]
        try:
            (outcome,) = workers.run(lambda: waiting.pop() if waiting else None, lambda _: True)
        finally:
            workers.close()
    if outcome.state != "complete":
        raise ConfigError(f"the largest proposal of the study cannot be trained: {outcome.reason}")
    return outcome


def check_memory(workers: int, need: Outcome, *, gpus: int = 0) -> None:
    """Refuse more workers than fit.

    Args:
        workers: that are asked for.
        need: of one, as measured.
        gpus: that they share; 0 for none.

    Raises:
        ConfigError: they do not fit; says how many do.
    """
    fits, free = _fitting(need.peak_mib, free_mib())
    what, one = "memory", need.peak_mib
    if gpus and need.gpu_mib:
        on_gpu, free_gpu = _fitting(need.gpu_mib, _free_gpu_mib())
        if on_gpu * gpus < fits:
            fits, free, what, one = on_gpu * gpus, free_gpu, "memory of each GPU", need.gpu_mib
    if workers > fits:
        raise ConfigError(
            f"workers: {workers} trainings of {one:,.0f} MiB at the same time do not fit into the "
            f"{free:,.0f} MiB of {what} that are free",
            hint=f"use --workers {fits}" if fits else "free some memory, or lower batch_size",
        )


def _fitting(need: float, free: float) -> tuple[int, float]:
    return (int(free // (need * _SPARE)) if free != float("inf") else 2**31), free


def _free_gpu_mib() -> float:
    import torch

    free = [torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())]
    return min(free, default=0) / 2**20


def _work(proposal: Proposal) -> float:
    recipe, space = proposal.recipe, proposal.space
    macs = total_macs(operators(space, largest_subnet(space)))
    return macs * recipe.batch_size / recipe.accumulate


def _one_step_a_phase(recipe: Recipe, images: int) -> Recipe:
    short = 1 / steps_per_epoch(images, recipe.batch_size)
    phases = tuple(replace(p, epochs=short, warmup_epochs=0.0) for p in recipe.phases)
    return replace(recipe, phases=phases)
