"""A training step of the same subnet by Once-for-All's own code and by ours, in turn.

    python benchmarks/training_speed.py

Same weights, same images, same optimiser; forward, loss, backward and update, all threads,
wall time. In every round all variants run once, in random order; ratios are within rounds.
Writes `benchmarks/results/training_speed_<hardware>_<date>.json`. Needs the package `ofa`.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command line sets it

import numpy as np
import torch
import torch.nn.functional as F
from ofa_pair import Pair, build
from torch import Tensor, nn

from supernet.elastic import depthwise
from supernet.files import write_text
from supernet.latency import describe_device
from supernet.models import extract
from supernet.space import decode, largest, sample

RESULTS = Path(__file__).parent / "results"
BATCHES = {32: 128, 128: 32, 224: 16}  # images of a step by their size
LAST = torch.channels_last
Step = Callable[[], None]


def step_of(network: nn.Module, images: Tensor, labels: Tensor, *, kernel: bool) -> Step:
    """One step of SGD; `kernel` says whether our own weight gradient may be taken."""
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, nesterov=True)
    installed = depthwise.has_kernel()

    def step() -> None:
        depthwise.has_kernel = lambda: kernel and installed
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(network(images), labels, label_smoothing=0.1).backward()
        optimiser.step()

    return step


def timed(steps: dict[str, Step], rounds: int, rng: np.random.Generator) -> dict[str, list[float]]:
    """Seconds of every step in every round, after a round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name in rng.permutation(list(steps)).tolist():
            start = time.perf_counter()
            steps[name]()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times faster: median, lowest and highest over rounds."""
    ratios = [a / b for a, b in zip(slow, fast)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def measure(pair: Pair, size: int, rounds: int, count: int) -> list[dict[str, object]]:
    """All variants for the largest subnet and `count` random ones at one image size."""
    batch, rng = BATCHES[size], np.random.default_rng(size)
    images, labels = torch.randn(batch, 3, size, size), torch.randint(0, 1000, (batch,))
    space = pair.space
    genes = np.concatenate([largest(space), sample(space, count, rng)])
    pair.train(True)
    pair.ours.to(memory_format=LAST)
    found = []
    for number, subnet in enumerate(decode(space, genes)):
        pair.activate(subnet)
        plain = extract(pair.ours, subnet).to(memory_format=LAST).train()
        last = images.to(memory_format=LAST)
        seconds = timed(
            {
                "ofa": step_of(pair.theirs, images, labels, kernel=False),
                "ours": step_of(pair.ours, last, labels, kernel=True),
                "ours_without_numba": step_of(pair.ours, last, labels, kernel=False),
                "extracted_without_numba": step_of(plain, last, labels, kernel=False),
            },
            rounds,
            rng,
        )
        own, torchs = seconds["ours"], seconds["ours_without_numba"]
        row: dict[str, object] = {
            "size": size,
            "batch": batch,
            "subnet": "largest" if number == 0 else f"random {number}: {subnet}",
            "images_per_s": {n: batch / statistics.median(s) for n, s in seconds.items()},
            "ours_over_ofa": ratio(seconds["ofa"], own),
            "ours_without_numba_over_ofa": ratio(seconds["ofa"], torchs),
            "elastic_over_extracted_time": ratio(torchs, seconds["extracted_without_numba"]),
        }
        found.append(row)
        short = {
            k: round(v["median"], 2)
            for k, v in row.items()
            if isinstance(v, dict) and "median" in v
        }
        print(size, str(row["subnet"])[:9], short, flush=True)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="mobilenet_v3")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(BATCHES), choices=BATCHES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--random", type=int, default=3, help="random subnets at each size")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        pair = build(arguments.space, Path(folder))
    rows = [
        row
        for size in arguments.sizes
        for row in measure(pair, size, arguments.rounds, arguments.random)
    ]
    device = describe_device()
    result = {
        "command": " ".join(["python", "benchmarks/training_speed.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": {"processor": device["processor"], "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__)},
        "threads": torch.get_num_threads(),
        "space": arguments.space,
        "rounds": arguments.rounds,
        "steps": rows,
    }
    name = f"training_speed_{os.cpu_count()}cpu_{result['date']}.json"
    write_text(RESULTS / name, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
