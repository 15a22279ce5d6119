"""Evaluation of the same subnets by Once-for-All's own code and by ours, in turn.

    python benchmarks/evaluation_speed.py

Each side has a process of its own, set up as its users' is. Same weights, the same number of
calibration and test images of 128 px, all threads, wall time. Once-for-All: `get_active_subnet`,
`set_running_statistics` on it, then its forward passes, batches of 100 as in its own tutorial,
images as floats in memory. Ours: `Evaluator.subnet_score`, which begins with extraction, views
kept from the subnet before as they are in a search. In every round both sides run once, in
random order, one at a time; ratios are within rounds. On a busy machine run it with GOMP_SPINCOUNT
set, which then holds for both sides: ours limits how long its threads spin, theirs does not, and
that alone doubled the ratio beside other jobs. Writes
`benchmarks/results/evaluation_speed_<hardware>_<date>.json`. Needs the package `ofa`.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ofa_pair import Pair, build
from records import add_hardware, write_result

from supernet.data import Dataset, ImageSet, Views, eval_view
from supernet.evaluate import Evaluator
from supernet.space import Genes, Subnet, decode, largest, load_space, sample, smallest
from supernet.threads import limit_spinning

SIZE, BATCH = 128, 100
MODES = ("largest", "smallest", "random")
VIEWS = Views(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def dataset_of(images: int) -> Dataset:
    """Random pixels, as many of each split."""
    rng = np.random.default_rng(0)
    side = SIZE * 8 // 7
    pixels = rng.integers(0, 256, (images, side, side, 3), dtype=np.uint8)
    half = ImageSet(pixels, np.arange(images) % 1000)
    classes = tuple(map(str, range(1000)))
    return Dataset(name="random", classes=classes, train=half, holdout=half, test=half, views=VIEWS)


def ofa_side(pair: Pair, images: int) -> Callable[[Subnet], None]:
    """What Once-for-All's users call."""
    from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics

    pixels = torch.from_numpy(dataset_of(images).test.pixels(slice(None)))
    batches = [(v, torch.zeros(len(v))) for v in torch.split(eval_view(pixels, SIZE, VIEWS), BATCH)]

    def run(subnet: Subnet) -> None:
        pair.activate(subnet)
        network = pair.theirs.get_active_subnet(preserve_weight=True)
        set_running_statistics(network, batches)
        network.eval()
        with torch.no_grad():
            for views, _ in batches:
                network(views).argmax(1)

    return run


def our_side(pair: Pair, images: int) -> Callable[[Subnet], None]:
    """What `supernet search` and `quality` call."""
    evaluator = Evaluator(pair.ours, dataset_of(images), calibration_images=images)
    return lambda subnet: evaluator.subnet_score(subnet, "test") and None


def work(side: str, images: int, threads: int, pipe: Connection) -> None:
    """Evaluate the subnets that come through the pipe; wall and processor seconds."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        pair = build("mobilenet_v3", Path(folder))
    run = {"ofa": ofa_side, "ours": our_side}[side](pair, images)
    while (genes := pipe.recv()) is not None:
        subnet = decode(pair.space, genes)[0]
        start, cpu = time.perf_counter(), time.process_time()
        run(subnet)
        pipe.send((time.perf_counter() - start, time.process_time() - cpu))


def chosen(space_name: str, count: int) -> Genes:
    """The largest, the smallest and random subnets, all at the lowest size of the space."""
    space = load_space(space_name)
    genes = [largest(space), smallest(space), sample(space, count, np.random.default_rng(SIZE))]
    found = np.concatenate(genes)
    found[:, 0] = space.resolutions.index(SIZE)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="calibration and test, each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--random", type=int, default=3, help="random subnets")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    add_hardware(parser)
    options = parser.parse_args()
    context, pipes = multiprocessing.get_context("spawn"), {}
    spin_is_set = "GOMP_SPINCOUNT" in os.environ  # before ours sets its own
    for side in ("ofa", "ours"):
        if side == "ours":
            limit_spinning()
        pipes[side], there = context.Pipe()
        arguments = (side, options.images, options.threads, there)
        context.Process(target=work, args=arguments, daemon=True).start()
    rng, rows = np.random.default_rng(0), []
    for number, row in enumerate(chosen("mobilenet_v3", options.random)):
        times: dict[str, list[tuple[float, float]]] = {"ofa": [], "ours": []}
        for turn in range(-1, options.rounds):
            for side in rng.permutation(["ofa", "ours"]).tolist():
                pipes[side].send(row[None])
                taken = pipes[side].recv()
                if turn >= 0:
                    times[side].append(taken)
        rows.append(summed_up(MODES[min(number, 2)], row.tolist(), times))
        print({key: rows[-1][key] for key in ("subnet", "ratio_wall", "ratio_cpu")}, flush=True)
    for pipe in pipes.values():
        pipe.send(None)
    body = {
        "threads": options.threads,
        "load": os.getloadavg()[0],
        "spin_count": os.environ.get("GOMP_SPINCOUNT") if spin_is_set else "of each side",
        "images": options.images,
        "size": SIZE,
        "rounds": options.rounds,
        "median_ratio_wall": statistics.median(row["ratio_wall"] for row in rows),
        "median_ratio_cpu": statistics.median(row["ratio_cpu"] for row in rows),
        "subnets": rows,
    }
    print(write_result("evaluation_speed", options.hardware, ("torch", "ofa"), body))


def summed_up(
    name: str, genes: list[int], times: dict[str, list[tuple[float, float]]]
) -> dict[str, Any]:
    """Subnets an hour of both sides, and the median ratio within rounds."""
    wall, cpu = (
        [theirs[at] / ours[at] for theirs, ours in zip(times["ofa"], times["ours"])]
        for at in (0, 1)
    )
    return {
        "subnet": name,
        "genes": genes,
        "subnets_per_hour": {
            side: 3600 / statistics.median(t[0] for t in own) for side, own in times.items()
        },
        "ratio_wall": statistics.median(wall),
        "ratio_cpu": statistics.median(cpu),
    }


if __name__ == "__main__":
    main()
