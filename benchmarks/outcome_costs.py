"""What our steps and evaluations take, timed in turn with those of others."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from equal_time import fastest, phase_turn, phases_of, speeds_of

from supernet.data import Dataset
from supernet.evaluate import Evaluator
from supernet.progress import Progress
from supernet.space import Domain, Space, decode, macs_of
from supernet.train import Processes, Recipe, at_batch_size, at_precision
from supernet.workflow.start import begin_from
from supernet.workflow.train import seeded_supernet

__all__ = ["Costs", "costs_of"]

_EVALUATED = 3
_DRAWN = 200  # for the mean size of what a search evaluates


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What our work takes on this machine where nothing else runs."""

    speeds: Mapping[int, Mapping[Any, float]]
    """Seconds for a multiply-add of an image in a training step, by batch size and kind of phase;
    the largest batch first."""
    evaluation_s: float
    """Of one subnet, mean over sizes."""
    start_s: float
    """From published weights to the first step."""

    @classmethod
    def read(cls, recipe: Recipe, row: Mapping[str, Any]) -> "Costs":
        """From a row, in which phases are in the recipe's order."""
        kinds = phases_of(recipe)
        speeds = {
            int(batch): dict(zip(kinds, each, strict=True))
            for batch, each in row["ours_s_per_mac"].items()
        }
        return cls(speeds=speeds, evaluation_s=row["evaluation_s"], start_s=row["start_s"])

    def row(self, scale: float = 1.0) -> dict[str, Any]:
        """All of them, times a factor, as `read` takes them."""
        return {
            "ours_s_per_mac": {
                str(batch): [value * scale for value in each.values()]
                for batch, each in self.speeds.items()
            },
            "evaluation_s": self.evaluation_s * scale,
            "start_s": self.start_s * scale,
        }


def costs_of(
    space: Space,
    recipe: Recipe,
    dataset: Dataset,
    turns: dict[str, Any],
    rounds: int,
    device: str,
    batches: Sequence[int] = (),
) -> tuple[Costs, dict[str, list[float]]]:
    """Our costs, and the seconds of the steps of `turns`, all timed in turn.

    Args:
        space: that is trained.
        recipe: of its supernet.
        dataset: the images.
        turns: some steps of others.
        rounds: of which the fastest counts.
        device: that trains.
        batches: sizes to time; that of the recipe when empty.
    """
    supernet, recipe = seeded_supernet(space, 0).to(device), at_precision(recipe, device)
    since = time.perf_counter()
    if recipe.init:
        begin_from(supernet, recipe.init, dataset, processes=Processes(device=device))
    start_s = time.perf_counter() - since if recipe.init else 0.0
    evaluator = Evaluator(supernet, dataset, device=device)
    rng = np.random.default_rng(0)
    genes = Domain.of(space).sample_spread(_EVALUATED, rng)
    subnets = decode(space, genes)

    def evaluations(progress: Progress) -> None:
        for number, subnet in enumerate([subnets[0], *subnets]):
            evaluator.subnet_score(subnet, "holdout")
            progress(number, len(subnets), "evaluating")

    sized = {batch: at_batch_size(recipe, batch) for batch in batches or (recipe.batch_size,)}
    ours = {
        f"{batch} {kind}": phase_turn(supernet, dataset, one, phase, device)
        for batch, one in sized.items()
        for kind, phase in phases_of(one).items()
    }
    seconds = fastest({**turns, **ours, "evaluation": evaluations}, rounds)
    mean_macs = float(macs_of(space, Domain.of(space).sample_spread(_DRAWN, rng)).mean())
    costs = Costs(
        speeds={
            batch: speeds_of(
                supernet, one, {str(kind): seconds[f"{batch} {kind}"] for kind in phases_of(one)}
            )
            for batch, one in sized.items()
        },
        evaluation_s=sum(seconds["evaluation"]) * mean_macs / float(macs_of(space, genes).sum()),
        start_s=start_s,
    )
    return costs, {name: seconds[name] for name in turns}
