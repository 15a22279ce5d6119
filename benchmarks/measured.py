"""Searches that measure subnets of a trained supernet, by several algorithms at equal cost.

    OMP_NUM_THREADS=1 python benchmarks/measured.py --run runs/demo-... --seeds 0 1 2

All look for the best subnet within one latency on this machine, a share of what the largest takes,
and measure as many subnets on the held-out images. ``chance`` draws random subnets that are at most
2 % faster than the limit; the others are `supernet search --measure --algorithm NAME`. Compared are
the accuracy on the held-out images, which all of them chose by, and that on the test images, both
with the supernet's weights. What one has measured, the others look up: the count is the cost.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, run_told, write_result

from supernet.latency import LatencyPredictor, this_machine
from supernet.runs import Run
from supernet.space import Genes, Space, decode, encode, largest, sample, unique
from supernet.train.sampling import step_rng
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run

CHANCE = "chance"
NAMES = ("reinforce", "reinforce:absolute", "netadapt", "aging", "nsga2", "ei", CHANCE)
BAND = 0.02


def at_limit(
    space: Space, predictor: LatencyPredictor, limit_ms: float, count: int, rng: np.random.Generator
) -> Genes:
    """Different random subnets that are at most 2 % faster than a limit, shape ``(count, G)``."""
    drawn = sample(space, 0, rng)
    while len(drawn) < count:
        genes = sample(space, 1000, rng)
        ms = predictor.ms(genes)
        near = (ms <= limit_ms) & (ms >= (1 - BAND) * limit_ms)
        drawn = unique(np.concatenate([drawn, genes[near]]))
    return drawn[:count]


def by_chance(
    run: Run, predictor: LatencyPredictor, limit_ms: float, count: int, seed: int
) -> Genes:
    """The best of some random subnets at the limit, shape ``(1, G)``."""
    drawn = at_limit(run.space(), predictor, limit_ms, count, step_rng(seed, "random search", 0))
    best: Genes = drawn[[int(Accuracies(run).measure(drawn)[0].argmax())]]
    return best


def by_search(run: Run, name: str, limit_ms: float, count: int, seed: int) -> Genes:
    """What one of our algorithms ends with, shape ``(1, G)``."""
    request = SearchRequest(
        targets=("this_machine",),
        limits={"latency": limit_ms},
        algorithm=name,
        measure=True,
        budget=count,
        seed=seed,
    )
    return encode(run.space(), [search_run(run, request).subnet])


def row_of(run: Run, space: Space, genes: Genes, ms: float, limit_ms: float) -> dict[str, Any]:
    """The figures of a subnet that was found."""
    (subnet,) = decode(space, genes)
    return {
        "holdout_top1": float(Accuracies(run).measure(genes)[0][0]),
        "test_top1": run.evaluator().subnet_score(subnet, "test").top1,
        "of_limit": ms / limit_ms,
        "subnet": str(subnet),
    }


def main() -> None:
    """Search, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--run", type=Path, required=True, help="a trained run of the demo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=0.4, help="of the largest's latency")
    parser.add_argument("--measurements", type=int, default=100)
    parser.add_argument("--algorithms", nargs="+", default=NAMES)
    add_hardware(parser)
    options = parser.parse_args()
    run = Run(options.run)
    space = run.space()
    predictor = this_machine(space).predictor(space)
    limit_ms = options.share * float(predictor.ms(largest(space))[0])
    rows: dict[str, dict[int, Any]] = {}
    for name in options.algorithms:
        for seed in options.seeds:
            if name == CHANCE:
                genes = by_chance(run, predictor, limit_ms, options.measurements, seed)
            else:
                genes = by_search(run, name, limit_ms, options.measurements, seed)
            row = row_of(run, space, genes, float(predictor.ms(genes)[0]), limit_ms)
            rows.setdefault(name, {})[seed] = row
            print(name, seed, json.dumps(row), flush=True)
    gains = {
        name: {
            key: [own[seed][key] - rows[CHANCE][seed][key] for seed in own]
            for key in ("holdout_top1", "test_top1")
        }
        for name, own in rows.items()
        if name != CHANCE and CHANCE in rows
    }
    for name, own in gains.items():
        print(name, {key: statistics.mean(values) for key, values in own.items()})
    body = {
        "measurements": options.measurements,
        "limit_ms": limit_ms,
        "rows": rows,
        "gain_on_chance": gains,
    }
    print(write_result("measured", options.hardware, ("torch", "numpy"), body))


if __name__ == "__main__":
    run_told(main)
