"""Searching for int8 against searching in float and quantising what was found.

    python benchmarks/int8_search.py RUN --seeds 3

In a trained run, at a limit on the int8 latency of this machine. `int8`: `supernet search
--precision int8`, the best of four measured finalists. `float`: a search by float latencies and
float accuracies; of its front, the four subnets of the highest predicted float accuracy
whose int8 latency is predicted within the same limit, and the best of them by the measured float
accuracy. Both are then measured in int8 on the held-out images and on the test images.
Writes `benchmarks/results/int8_search_<hardware>_<date>.json`.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from records import add_hardware, run_told, write_result

from supernet.latency import measure_drift_corrected, this_machine
from supernet.latency.targets import THIS_MACHINE
from supernet.runs import Run
from supernet.space import Genes, decode, operators
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run

FINALISTS = 4


def main() -> None:
    """Read the command line, search, measure, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.4, help="of the largest's int8 latency")
    add_hardware(parser)
    given = parser.parse_args()
    run, rows = Run(given.run), []
    for seed in range(given.seeds):
        rows.append(compared(run, given.share, seed))
        print(rows[-1], flush=True)
    path = write_result(
        "int8_search",
        given.hardware,
        ("torch", "onnxruntime"),
        {"seeds": rows, "share": given.share},
    )
    print(path)


def compared(run: Run, share: float, seed: int) -> dict[str, Any]:
    """Both ways with one seed."""
    common = SearchRequest(limit_share=share, seed=seed, confirm=FINALISTS)
    since = time.perf_counter()
    found = search_run(run, replace(common, precision="int8", name=f"int8_{seed}"))
    int8_s = time.perf_counter() - since
    (limit,) = [axis.limit for axis in found.result.problem.axes if axis.limit is not None]
    table = this_machine(run.space(), precision="int8")
    since = time.perf_counter()
    free = SearchRequest(targets=(THIS_MACHINE,), limit_share=1.0, confirm=0, seed=seed)
    plain = search_run(run, replace(free, name=f"float_{seed}"))
    front = plain.result.genes[plain.result.front]
    top1 = plain.result.columns["top1"][plain.result.front]
    within = table.predictor(run.space()).ms(front) <= limit
    best = front[within][np.argsort(-top1[within])[:FINALISTS]]
    measured = Accuracies(run).top1(best)
    chosen = best[[int(np.argmax(measured))]]
    float_s = time.perf_counter() - since
    return {
        "limit_ms": limit,
        "int8": figures(run, found.result.genes[[found.chosen]]) | {"seconds": int8_s},
        "float": figures(run, chosen) | {"seconds": float_s},
    }


def figures(run: Run, genes: Genes) -> dict[str, Any]:
    """Accuracies of one subnet in both precisions, and its int8 latency."""
    space = run.space()
    subnet = decode(space, genes)[0]
    table = this_machine(space, precision="int8")
    found: dict[str, Any] = {"subnet": str(subnet)}
    for split in ("holdout", "test"):
        for precision in ("fp32", "int8"):
            accuracies = Accuracies(
                run,
                split="test" if split == "test" else "holdout",
                precision="int8" if precision == "int8" else "fp32",
            )
            found[f"{split} {precision}"] = float(accuracies.top1(genes)[0])
    ms = measure_drift_corrected(table, space, [operators(space, subnet)])
    return found | {"predicted_ms": float(table.predictor(space).ms(genes)[0]), "ms": float(ms[0])}


if __name__ == "__main__":
    run_told(main)
