"""A study of 20 trials on the embedded images, against the shipped recipe at equal epochs.

    python benchmarks/tune.py

Runs `supernet tune` with two workers in a folder of its own: the recipe `demo` at one epoch (or
`--epochs`), its learning rates, batch size, weight decay, momentum, smoothing, augmentation and
the activations of the space varied. Then the best trial and the recipe as it is are trained again
with seeds that the study never saw, each with other images held out. The study chose its best by
the held-out images, so only the fresh seeds say whether there is a gain. Where other programs
take part of the machine, `cpu_s` (all processes) says more than `elapsed_s`.
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

STUDY = """
format: supernet.study
version: 1
name: demo
parameters:
  rate:
    {key: [recipe.phases.*.lr, recipe.phases.*.lr_end], low: 0.2, high: 3, log: true, scale: true}
  recipe.batch_size: {choices: [64, 128, 256]}
  recipe.weight_decay: {low: 1.0e-5, high: 1.0e-2, log: true}
  recipe.momentum: {low: 0.8, high: 0.95}
  recipe.label_smoothing: {low: 0.0, high: 0.1}
  augmented: {key: recipe.augment.crop_area, choices: [null, [0.6, 1.0], [0.9, 1.0]]}
  recipe.augment.flip: {choices: [null, false]}
  space.stages.*.act: {choices: [relu, hard_swish]}
"""
PACKAGES = ("torch", "numpy", "optuna")
TARGET_S = 600


def tune(folder: Path, *options: str) -> tuple[dict[str, Any], dict[str, float]]:
    """What `supernet tune --json` says at its end, and the seconds that it took."""
    since, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "supernet", "tune", "--study", "tune.yaml", "--json"),
            *("--pruner", "asha", "--grace-epochs", "1", "--workers", "2", *options),
        ],
        cwd=folder,
        env={**os.environ, "SUPERNET_HOME": f"{folder}/home"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    now = os.times()
    return found, {
        "elapsed_s": time.perf_counter() - since,
        "cpu_s": sum(now[2:4]) - sum(before[2:4]),
    }


def figures(found: dict[str, Any], times: dict[str, float]) -> dict[str, Any]:
    """What is kept: every trial, and the comparisons."""
    trials = found["trials"]
    best = next(trial for trial in trials if trial["number"] == found["best"])
    states = [trial["state"] for trial in trials]
    pairs = [one for one in found["confirmed"] if one["trial"] == found["best"]]
    gains = [one["best"] - one["baseline"] for one in pairs]
    return {
        **times,
        "target_s": TARGET_S,
        "epochs": found["epochs"],
        "holdout_images": found["holdout_images"],
        "states": {state: states.count(state) for state in dict.fromkeys(states)},
        "best": {"number": best["number"], "top1": best["value"], "values": best["values"]},
        "baseline_top1": next(t["value"] for t in trials if t["baseline"]),
        "searched": found["searched"],
        "fresh": {
            **(found["fresh"] or {}),
            "seeds": len(pairs),
            "seeds_better": sum(gain > 0 for gain in gains),
            "best_top1": [one["best"] for one in pairs],
            "baseline_top1": [one["baseline"] for one in pairs],
            "gain_std": statistics.stdev(gains) if len(gains) > 1 else None,
        },
        "importances": found["importances"],
        "trials": [
            {key: trial[key] for key in ("number", "state", "value", "curve", "seconds", "values")}
            for trial in trials
        ],
    }


def main() -> None:
    """Tune, confirm, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=float, default=1, help="of every trial")
    parser.add_argument("--seeds", type=int, default=5, help="fresh ones")
    add_hardware(parser)
    options = parser.parse_args()
    quiet = is_quiet()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tune.yaml").write_text(STUDY)
        asked = ("--trials", str(options.trials), "--epochs", str(options.epochs))
        _, times = tune(folder, *asked, "--confirm", "0")
        print(f"{options.trials} trials: {times}", flush=True)
        found, _ = tune(folder, *asked, "--confirm", str(options.seeds))
    body = {"quiet": quiet, **figures(found, times)}
    print(json.dumps({key: body[key] for key in ("states", "searched", "fresh")}, indent=1))
    print(write_result("tune", options.hardware, PACKAGES, body))


if __name__ == "__main__":
    main()
