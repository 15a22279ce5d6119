"""Images seen until a search that climbs a ladder is as good as one that measures all whole.

    python benchmarks/fidelity.py --run runs/demo-... --seeds 20

A part of the demo's space, of which every subnet is measured at every rung (kept in the run's
evidence, so a second call is a matter of a minute): so the truth is known, and each search looks
its measurements up. A whole measurement is a subnet finetuned for one epoch, then evaluated on all
hold-out images; below it are the same without finetuning, and 100 of those images. Training images
count three times, forward and backward. Each reference spends a budget of whole measurements;
counted are the images until the other's best whole measurement is as good as the reference's at
its end.
"""

import argparse
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from records import add_hardware, summary, write_result

from supernet.cli.output import progress_bar
from supernet.metrics import kendall_tau
from supernet.runs import Run
from supernet.search import Accuracy, Budget, Problem, Rung, algorithm, run_search
from supernet.space import Domain, Genes
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.engines import EngineRequest, open_engine
from supernet.workflow.ladder import Step

FIX: dict[str, list[float | str]] = {
    "kernel": [5],
    "stage1.width": [16],
    "stage1.expand": [3.0],
    "stage2.expand": [3.0],
    "stage3.depth": [1, 2, 3],
    "stage3.expand": [2.0, 4.0],
}
LADDER = ("100", "all", "finetune:1")
PAIRS = {"asha": "random", "hyperband": "random", "bohb": "optuna:tpe"}
WHOLE = 30  # measurements of a reference
MOST = 4  # times as many images, after which a search that is not as good counts as that

Values = npt.NDArray[np.float64]


class FoundError(Exception):
    """The accuracy that was asked for was measured."""


@dataclass(frozen=True)
class Truth:
    """Every subnet at every rung."""

    domain: Domain
    genes: Genes
    top1: tuple[Values, ...]
    """A rung each, the whole measurement last; percent, shape ``(N,)``."""
    passes: tuple[float, ...]
    """Images that go through a network for one measurement, a rung each."""


def truth_of(run: Run, workers: int) -> Truth:
    """Measure what is not known yet."""
    domain = Domain.of(run.space(), FIX)
    genes = domain.everything()
    genes = np.unique(genes, axis=0)
    steps = [Step.of(text) for text in LADDER]
    engine = open_engine(run, EngineRequest(workers=workers))
    try:
        top1 = tuple(_measured(run, step, engine, genes) for step in steps)
    finally:
        engine.close()
    return Truth(domain, genes, top1, tuple(step.passes(run) for step in steps))


def _measured(run: Run, step: Step, engine: Any, genes: Genes) -> Values:
    with progress_bar() as progress:
        accuracies = Accuracies(
            run,
            engine,
            progress,
            images=step.images,
            calibration_images=step.calibration_images,
            finetune_epochs=step.epochs,
        )
        found: Values = accuracies.measure(genes)[0]
    return found


class Counting:
    """Looks accuracies up, and counts the images that measuring them would have taken."""

    def __init__(self, truth: Truth, goal: float = np.inf) -> None:
        self._truth, self._goal = truth, goal
        self._row = {row.tobytes(): number for number, row in enumerate(truth.genes)}
        self.images, self.best = 0.0, -np.inf

    def at(self, rung: int) -> Callable[[Genes], Values]:
        """The measurement of a rung."""

        def value(genes: Genes) -> Values:
            rows = [self._row[row.tobytes()] for row in np.ascontiguousarray(genes)]
            found: Values = self._truth.top1[rung][rows]
            self.images += len(rows) * self._truth.passes[rung]
            if rung == len(self._truth.top1) - 1:
                self.best = max(self.best, float(found.max()))
                if self.best >= self._goal:
                    raise FoundError
            return found

        return value


def searched(truth: Truth, name: str, seed: int, budget: int, goal: float = np.inf) -> Counting:
    """One search, which ends at a goal."""
    counting = Counting(truth, goal)
    whole = truth.passes[-1]
    top1 = Accuracy(function=counting.at(len(LADDER) - 1), measured=True)
    problem = Problem(domain=truth.domain, objectives=(top1,))
    if algorithm(name).climbs:
        rungs = tuple(
            Rung(name=f"top1@{text}", function=counting.at(i), share=truth.passes[i] / whole)
            for i, text in enumerate(LADDER[:-1])
        )
        problem = replace(problem, ladder=rungs)
    with contextlib.suppress(FoundError):
        run_search(
            problem, factory=algorithm(name).factory, budget=Budget(scored=budget), seed=seed
        )
    return counting


def compared(truth: Truth, climber: str, reference: str, seeds: int) -> dict[str, Any]:
    """How many fewer images the climber needs, seed by seed."""
    ratios, regrets, missed = [], [], 0
    best = float(truth.top1[-1].max())
    for seed in range(seeds):
        whole = searched(truth, reference, seed, WHOLE)
        own = searched(truth, climber, seed, MOST * WHOLE, goal=whole.best)
        missed += own.best < whole.best
        ratios.append(whole.images / own.images)
        regrets.append(best - whole.best)
    return {
        "reference": reference,
        "whole_measurements": WHOLE,
        "images_fewer": summary(ratios),
        "images_fewer_of_five": summary(ratios[:5]),
        "regret_points": summary(regrets),
        "missed": missed,
        "seeds": seeds,
    }


def main() -> None:
    """Measure, search, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--run", type=Path, required=True, help="a trained run of the demo")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    add_hardware(parser)
    options = parser.parse_args()
    truth = truth_of(Run(options.run), options.workers)
    whole = truth.top1[-1]
    rungs = {
        text: {
            "images": passes,
            "kendall": float(kendall_tau(values, whole)),
            "best": float(values.max()),
            "whole_of_best": float(whole[values.argmax()]),
        }
        for text, values, passes in zip(LADDER, truth.top1, truth.passes)
    }
    rows = {}
    for climber, reference in PAIRS.items():
        rows[climber] = compared(truth, climber, reference, options.seeds)
        print(climber, json.dumps(rows[climber]), flush=True)
    body = {"subnets": len(truth.genes), "fixed": FIX, "rungs": rungs, "rows": rows}
    print(write_result("fidelity", options.hardware, ("optuna", "torch"), body))


if __name__ == "__main__":
    main()
