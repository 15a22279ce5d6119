"""Evaluations per second with one worker and with two, by processes and by actors of Ray.

    OMP_NUM_THREADS=1 python benchmarks/engines.py --run RUN

Each engine is opened with one worker and with two, of one thread each, and both are warm. In
every round both measure the same subnets, which no round before had, on all held-out images, in
turn; the ratio is within rounds. The load of the machine is kept with each round: with other
programs about, two workers also get twice the share of one, so that a ratio says less. Writes
`benchmarks/results/engines_<hardware>_<date>.json`. Ray is left out where it is not installed.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, run_told, summary, write_result

from supernet.evaluate import Engine, EvaluationTask, evaluate_all, tasks_of
from supernet.runs import Run, find_run
from supernet.space import sample
from supernet.workflow.engines import ENGINES, EngineRequest, open_engine

WORKERS = (1, 2)
TARGET = 1.7


def batches(run: Run, count: int, seed: int) -> Iterator[list[EvaluationTask]]:
    """Tasks of a round, always other ones."""
    rng = np.random.default_rng(seed)
    while True:
        yield tasks_of(run.space(), sample(run.space(), count, rng))


def rate(engine: Engine, tasks: Sequence[EvaluationTask]) -> float:
    """Evaluations per second."""
    begun = time.perf_counter()
    found = list(evaluate_all(engine, tasks))
    assert all(np.isfinite(row.top1) for row in found)
    return len(found) / (time.perf_counter() - begun)


def measure(run: Run, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Rates of one engine with each number of workers, round by round."""
    drawn, rounds = batches(run, options.subnets, options.seed), []
    with ExitStack() as stack:
        engines = {}
        for workers in WORKERS:
            opened = open_engine(run, EngineRequest(workers=workers, engine=name))
            engines[workers] = stack.enter_context(closing(opened))
            rate(opened, next(drawn))
        for number in range(options.rounds):
            tasks, order = next(drawn), WORKERS[:: 1 if number % 2 else -1]
            load = os.getloadavg()[0]
            rates = {workers: rate(engines[workers], tasks) for workers in order}
            rounds.append({"load": load, **{f"workers_{w}": rates[w] for w in WORKERS}})
            print(name, rounds[-1], flush=True)
    ratios = [one["workers_2"] / one["workers_1"] for one in rounds]
    return {
        "rounds": rounds,
        **{f"per_second_{w}": summary([one[f"workers_{w}"] for one in rounds]) for w in WORKERS},
        "ratio": summary(ratios),
        "reached": summary(ratios)["median"] >= TARGET,
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--subnets", type=int, default=16, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    add_hardware(parser)
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("set OMP_NUM_THREADS=1: workers have one thread each")
    names = [name for name in ENGINES if name != "ray" or importlib.util.find_spec("ray")]
    run = find_run(options.run)
    body = {"target": TARGET, "subnets": options.subnets}
    packages = ("torch", *(["ray"] if "ray" in names else []))
    body |= {"engines": {name: measure(run, name, options) for name in names}}
    print(write_result("engines", options.hardware, packages, body))


if __name__ == "__main__":
    run_told(main)
