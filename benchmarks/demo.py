"""The demo's own figures over several seeds, with the targets that they are held against.

    python benchmarks/demo.py --seeds 0 1 2

Runs `supernet demo --json` once a seed, one after another, each in a folder of its own,
and writes `benchmarks/results/demo_<hardware>_<date>.json`. Keep the machine quiet; each
run waits until the load of the one before has left the load average, which it looks at.

An accuracy of 2,000 images has a standard error of 0.65 points, the difference of two subnets
on the same images somewhat less, and a seed its own luck: so the aim for "found - largest" is
held against the mean over the seeds, whose standard error is written too. With ``--keep
FOLDER`` each seed's figures are written there as soon as they are known, and are read instead
of being measured again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from records import add_hardware, write_result

from supernet.threads import is_quiet

PATIENCE_S = 180
PACKAGES = ("torch", "torchvision", "numpy", "onnx", "onnxruntime")

Figures = dict[str, Any]


def run(seed: int) -> Figures:
    """The JSON object that the demo prints last."""
    end = time.monotonic() + PATIENCE_S
    while not is_quiet() and time.monotonic() < end:
        time.sleep(1)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "supernet", "demo", "--seed", str(seed), "--json"],
            cwd=folder,
            env={**os.environ, "SUPERNET_HOME": f"{folder}/home"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    del figures["files"]
    return figures


def known_or_run(seed: int, keep: Path | None) -> Figures:
    """The figures of a seed, kept or measured now."""
    path = keep / f"seed_{seed}.json" if keep else None
    if path and path.is_file():
        kept: Figures = json.loads(path.read_text())
        return kept
    figures = run(seed)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures))
    return figures


def against_targets(figures: Figures) -> dict[str, tuple[float, str, bool]]:
    """Each target: what was reached, the rule, and whether it was met."""
    largest, found = figures["largest"], figures["found"]
    values = {
        "elapsed_s": (figures["elapsed_s"], "<=", 300),
        "largest top-1 %": (largest["top1"], ">=", 89.5),
        "found - largest, points": (found["top1"] - largest["top1"], ">=", -1.0),
        "found / largest latency": (found["latency_ms"] / largest["latency_ms"], "<=", 0.55),
        "found - random, points": (
            found["top1"] - figures["random_same_latency"]["top1_mean"],
            ">=",
            0.0,
        ),
        "latency prediction error": (
            abs(found["predicted_latency_ms"] / found["latency_ms"] - 1),
            "<=",
            0.08,
        ),
        "predictor Kendall tau": (figures["predictor"]["kendall"], ">=", 0.6),
        "ONNX max abs diff": (figures["onnx"]["max_abs_diff"], "<=", 1e-4),
        "ONNX - torch top-1": (
            abs(figures["onnx"]["top1"] - figures["onnx"]["torch_top1"]),
            "<=",
            0.0,
        ),
    }
    return {
        name: (value, f"{sign} {limit}", value <= limit if sign == "<=" else value >= limit)
        for name, (value, sign, limit) in values.items()
    }


def over_seeds(runs: dict[int, Figures]) -> dict[str, float | None]:
    """Found against the largest: mean over seeds and its standard error, points."""
    points = [one["found"]["top1"] - one["largest"]["top1"] for one in runs.values()]
    error = statistics.stdev(points) / len(points) ** 0.5 if len(points) > 1 else None
    return {"mean": statistics.mean(points), "standard_error": error, "aim": -1.0}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, help="folder for the figures of each seed")
    add_hardware(parser)
    options = parser.parse_args()
    runs = {seed: known_or_run(seed, options.keep) for seed in options.seeds}
    targets = {seed: against_targets(figures) for seed, figures in runs.items()}
    print(f"{'':26} {'target':>9}  " + "  ".join(f"seed {seed:<4}" for seed in runs) + "  median")
    for name, (_, rule, _) in targets[options.seeds[0]].items():
        values = [targets[seed][name][0] for seed in runs]
        cells = (f"{targets[s][name][0]:8.3g}{' ' if targets[s][name][2] else '!'}" for s in runs)
        print(f"{name:26} {rule:>9}  " + "  ".join(cells) + f"  {statistics.median(values):.3g}")
    mean = over_seeds(runs)
    print("found - largest over seeds:", mean)
    body = {
        "found_against_largest": mean,
        "targets": {seed: {k: v[:2] for k, v in rows.items()} for seed, rows in targets.items()},
        "runs": runs,
    }
    print(write_result("demo", options.hardware, PACKAGES, body))


if __name__ == "__main__":
    main()
