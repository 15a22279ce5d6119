"""How well accuracies that others measured are predicted, from few pairs to many.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/predictors.py --seeds 0 1 2

Each seed draws 300 subnets to test with and, from the others, those to fit to. The files
are published ones, and not part of this project; the published figures stand beside ours.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
from records import add_hardware, published, require_one_thread, result_path, summary, write_result

from supernet.metrics import kendall_tau, root_mean_square_error
from supernet.predict import AccuracyPairs, fit_predictor
from supernet.predict.contract import INTERVAL_90
from supernet.predict.files import read_pairs
from supernet.space import load_space

HELD_OUT = 300

SETS: dict[str, tuple[str, dict[int, dict[str, float]]]] = {
    "ofa_mbv3_w1.0_imagenet_top1": (
        "mobilenet_v3",
        {
            100: {"tau": 0.88, "rmse": 0.28},
            400: {"tau": 0.925, "rmse": 0.15},
            1300: {"tau": 0.93, "rmse": 0.14},
        },
    ),
    "accel_nasbench_mnasnet": (
        "mnasnet_accel",
        {100: {"tau": 0.85}, 400: {"tau": 0.90}, 3300: {"tau": 0.93}},
    ),
}
"""File, space, and the targets by the number of pairs."""
FEW = (20, 50)
"""Pairs of short trainings; without targets."""


def drawn(pairs: AccuracyPairs, count: int, kind: str, seed: int) -> dict[str, float | str]:
    """One fit and its error on held-out subnets."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    test, rest = pairs.take(order[:HELD_OUT]), pairs.take(order[HELD_OUT:][:count])
    start = time.perf_counter(), time.process_time()
    found = fit_predictor(rest, kind, seed=seed)
    seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    predicted = found.predict(test.genes)
    assert predicted.std is not None
    errors = np.abs(predicted.mean - test.top1)
    return {
        "chosen": found.kind,
        "tau": kendall_tau(predicted.mean, test.top1),
        "rmse": root_mean_square_error(predicted.mean, test.top1),
        "mae": float(errors.mean()),
        "coverage": float((errors <= INTERVAL_90 * predicted.std).mean()),
        "fit_s": seconds,
        "fit_cpu_s": cpu,
    }


def summaries(own: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and range of every figure."""
    figures = [key for key in own[0] if key != "chosen"]
    found: dict[str, Any] = {key: summary([each[key] for each in own]) for key in figures}
    return found | {"chosen": [each["chosen"] for each in own]}


def main() -> None:
    """Fit, test, print, write; a count that was measured before is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--counts", nargs="+", type=int, default=[*FEW, 100, 400, 1300, 3300])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--kinds", nargs="+", default=["auto"])
    add_hardware(parser, "1cpu")
    options = parser.parse_args()
    require_one_thread()
    path = result_path("predictors", options.hardware)
    kept: dict[str, Any] = json.loads(path.read_text())["sets"] if path.is_file() else {}
    for name in options.sets:
        space, targets = SETS[name]
        pairs = read_pairs(published(f"accuracy/{name}.npz"), load_space(space)).merged()
        for count in sorted({*targets, *FEW} & {*options.counts}):
            for kind in options.kinds:
                own = [drawn(pairs, count, kind, seed) for seed in options.seeds]
                row = {"seeds": options.seeds, "target": targets.get(count, {}), **summaries(own)}
                kept.setdefault(name, {}).setdefault(str(count), {})[kind] = row
                print(name, count, kind, json.dumps(row), flush=True)
                body = {"held_out": HELD_OUT, "sets": kept}
                path = write_result("predictors", options.hardware, (), body)
    print(path)


if __name__ == "__main__":
    main()
