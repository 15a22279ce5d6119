"""Images seen until a search that climbs a ladder is as good as one that measures all whole.

    python benchmarks/fidelity.py --run runs/demo-... --seeds 20                  # the part
    python benchmarks/fidelity.py --run runs/demo-... --seeds 5 --space whole

Two questions in a run of the demo. The *part*: 168 subnets that are much alike, of which all are
measured at every rung before any search, so the truth is known. The *whole* space, by searches as
a user makes them, with 0.4 of the largest subnet's multiply-adds as the limit. A whole measurement
is a subnet finetuned for one epoch, then evaluated on all hold-out images; below it are the same
without finetuning, and 100 of those images. Training images count three times, forward and
backward. Each reference spends a budget of whole measurements; counted are the images until the
other's best whole measurement is as good as the reference's at its end. Everything measured is
kept in the run's evidence, so a second call is a matter of a minute. Algorithms that were not
asked for are kept from the result of the same day.
"""

import argparse
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from records import add_hardware, result_path, run_told, summary, write_result

from supernet.evaluate import Engine
from supernet.metrics import kendall_tau
from supernet.runs import Run
from supernet.search import Accuracy, Budget, Problem, Rung, algorithm, macs, run_search
from supernet.space import Domain, Genes, largest, unique
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
SHARE = 0.4  # of the largest subnet's multiply-adds, in the whole space
LADDER = ("100", "all", "finetune:1")
PAIRS = {"asha": "random", "hyperband": "random", "bohb": "optuna:tpe"}
WHOLE = 30  # measurements of a reference
MOST = 4  # times as many images, after which a search that is not as good counts as that

Values = npt.NDArray[np.float64]


class FoundError(Exception):
    """The accuracy that was asked for was measured."""


@dataclass(frozen=True)
class Measurements:
    """Accuracies at every rung, each measured once."""

    problem: Problem
    """Without an accuracy of its own."""
    rungs: tuple[Accuracies, ...]
    """The whole measurement last."""
    passes: tuple[float, ...]
    """Images that go through a network for one measurement, a rung each."""
    known: list[dict[bytes, float]] = field(default_factory=lambda: [{} for _ in LADDER])
    """Percent, a rung each."""

    @classmethod
    def of(cls, run: Run, engine: Engine, problem: Problem) -> "Measurements":
        """None known yet."""
        steps = [Step.of(text) for text in LADDER]
        rungs = tuple(step.accuracies(run, engine) for step in steps)
        return cls(problem, rungs, tuple(step.passes(run) for step in steps))

    def top1(self, rung: int, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        known = self.known[rung]
        keys = [row.tobytes() for row in genes]
        new = np.array([key not in known for key in keys], dtype=bool)
        if new.any():
            found = self.rungs[rung].measure(genes[new])[0].tolist()
            known.update(zip((row.tobytes() for row in genes[new]), found))
        return np.array([known[key] for key in keys])

    def summary(self) -> dict[str, Any]:
        """How the lower rungs order what was measured whole so far."""
        whole = self.known[-1]
        genes = np.stack([np.frombuffer(key, dtype=np.int8) for key in whole])
        top1 = np.array([*whole.values()])
        found = {}
        for rung, (text, passes) in enumerate(zip(LADDER, self.passes)):
            values = self.top1(rung, genes)
            found[text] = {
                "images": passes,
                "kendall": float(kendall_tau(values, top1)),
                "best": float(values.max()),
                "whole_of_best": float(top1[values.argmax()]),
            }
        return {"measured_whole": len(whole), "rungs": found}


class Counting:
    """Accuracies for one search, and the images that measuring them took."""

    def __init__(self, measurements: Measurements, goal: float = np.inf) -> None:
        self._measurements, self._goal = measurements, goal
        self.images, self.best = 0.0, -np.inf

    def at(self, rung: int) -> Callable[[Genes], Values]:
        """The measurement of a rung."""

        def value(genes: Genes) -> Values:
            found = self._measurements.top1(rung, genes)
            self.images += len(genes) * self._measurements.passes[rung]
            if rung == len(LADDER) - 1:
                self.best = max(self.best, float(found.max()))
                if self.best >= self._goal:
                    raise FoundError
            return found

        return value


def searched(
    measurements: Measurements, name: str, seed: int, budget: int, goal: float = np.inf
) -> Counting:
    """One search, which ends at a goal."""
    counting, passes = Counting(measurements, goal), measurements.passes
    top1 = Accuracy(function=counting.at(len(LADDER) - 1), measured=True)
    problem = replace(measurements.problem, objectives=(top1,))
    if algorithm(name).climbs:
        rungs = tuple(
            Rung(name=f"top1@{text}", function=counting.at(i), share=passes[i] / passes[-1])
            for i, text in enumerate(LADDER[:-1])
        )
        problem = replace(problem, ladder=rungs)
    with contextlib.suppress(FoundError):
        run_search(
            problem, factory=algorithm(name).factory, budget=Budget(scored=budget), seed=seed
        )
    return counting


def compared(
    measurements: Measurements, climber: str, reference: str, seeds: int
) -> dict[str, Any]:
    """How many fewer images the climber needs, seed by seed."""
    ratios, goals, missed = [], [], 0
    for seed in range(seeds):
        whole = searched(measurements, reference, seed, WHOLE)
        own = searched(measurements, climber, seed, MOST * WHOLE, goal=whole.best)
        missed += own.best < whole.best
        ratios.append(whole.images / own.images)
        goals.append(whole.best)
        print(climber, seed, f"{whole.best:.2f} {own.best:.2f} {ratios[-1]:.2f}", flush=True)
    return {
        "reference": reference,
        "whole_measurements": WHOLE,
        "images_fewer": summary(ratios),
        "images_fewer_of_five": summary(ratios[:5]),
        "reached_top1": summary(goals),
        "missed": missed,
        "seeds": seeds,
    }


def asked(run: Run, space: str) -> Problem:
    """The problem; an accuracy that cannot be asked for stands where each search has its own."""
    own = run.space()
    nothing = (Accuracy(function=lambda genes: np.full(len(genes), np.nan), measured=True),)
    if space == "part":
        return Problem(domain=Domain.of(own, FIX), objectives=nothing)
    cost = macs(own)
    limits = {cost.name: SHARE * float(cost(largest(own))[0])}
    return Problem(domain=Domain.of(own), objectives=nothing, others=(cost,), limits=limits)


def main() -> None:
    """Measure, search, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--run", type=Path, required=True, help="a trained run of the demo")
    parser.add_argument("--space", choices=("part", "whole"), default="part")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--algorithms", nargs="+", default=list(PAIRS), choices=PAIRS)
    parser.add_argument("--workers", type=int, default=2)
    add_hardware(parser)
    options = parser.parse_args()
    run = Run(options.run)
    problem = asked(run, options.space)
    engine = open_engine(run, EngineRequest(workers=options.workers))
    try:
        measurements = Measurements.of(run, engine, problem)
        if options.space == "part":
            genes = unique(problem.domain.everything())
            for rung, text in enumerate(LADDER):
                print(f"{len(genes)} subnets at rung {text}", flush=True)
                measurements.top1(rung, genes)
        name = "fidelity" if options.space == "part" else "fidelity_whole"
        path = result_path(name, options.hardware)
        rows = json.loads(path.read_text())["rows"] if path.is_file() else {}
        for climber in options.algorithms:
            rows[climber] = {
                **compared(measurements, climber, PAIRS[climber], options.seeds),
                **measurements.summary(),
            }
            print(climber, json.dumps(rows[climber]), flush=True)
            body = {
                "space": options.space,
                "fixed": FIX if options.space == "part" else {},
                "limits": dict(problem.limits),
                "rows": rows,
            }
            path = write_result(name, options.hardware, ("optuna", "torch"), body)
        print(path)
    finally:
        engine.close()


if __name__ == "__main__":
    run_told(main)
