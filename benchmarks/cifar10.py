r"""A supernet trained on CIFAR-10, and how good its subnets are beside the same trained standalone.

    python benchmarks/cifar10.py --data FOLDER --epochs 6 --standalone 2
    python benchmarks/cifar10.py --data cifar10 --device cuda --epochs 200 \\
        --standalone 7 --hardware h200

Trains the space of the demo, in colour, by its recipe, then `supernet quality`. Writes the
curve of the training and the accuracies on the test images.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from records import add_hardware, run_told, write_result

_COPIED = ("step", "epoch", "phase", "loss", "images_per_s", "data_wait")


def command(*arguments: object) -> dict[str, Any]:
    """Run a command of ours; the JSON object that it prints last."""
    done = subprocess.run(
        [sys.executable, "-m", "supernet", *map(str, arguments), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="cifar10, or a folder with train/ and val/")
    parser.add_argument("--space", default="demo")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--epochs", type=float, default=6.0)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--subnets", type=int, default=20, help="random ones that are measured")
    parser.add_argument(
        "--standalone", type=int, default=0, help="subnets that are trained standalone too"
    )
    parser.add_argument("--run", type=Path, default=Path("runs/cifar10"))
    add_hardware(parser)
    options = parser.parse_args()
    where = ("--run", options.run, "--device", options.device)
    started = time.perf_counter()
    if (options.run / "config.yaml").exists():  # stopped before: go on
        command("train", "--resume", *where)
    else:
        command(
            *("train", "--data", options.data, *where),
            *("--space", options.space, "--recipe", options.recipe),
            *("--epochs", options.epochs, "--batch-size", options.batch_size),
            *("--precision", options.precision),
        )
    trained_s = time.perf_counter() - started
    options_of = ("--subnets", options.subnets, "--standalone", options.standalone)
    quality = command("quality", *where, *options_of)
    del quality["files"]  # where they lie is nobody's business
    lines = (options.run / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    keys = (*_COPIED, "top1_largest", "top1_smallest", "top1_random")
    curve = [{key: record[key] for key in keys if key in record} for record in records]
    body = {
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "trained_s": trained_s,
        "curve": curve,
        "quality": quality,
    }
    print(write_result("cifar10", options.hardware, ("torch", "torchvision", "numpy"), body))


if __name__ == "__main__":
    run_told(main)
