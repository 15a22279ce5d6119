"""A training step of the same subnet by Once-for-All's own code and by ours, in turn.

    python benchmarks/training_speed.py

Each side has a process of its own, set up as its users' is: torch's defaults for
Once-for-All, what `supernet train` sets for ours. Same weights, images of the same shape, SGD;
forward, loss, backward and update, all threads, wall time. In every round all variants run
once, in random order, one at a time; ratios are within rounds. ``bf16`` is autocast, for
either side. Writes `benchmarks/results/training_speed_<hardware>_<date>.json`. Needs the
package `ofa`.
"""

import argparse
import functools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from ofa_pair import Pair, build
from records import add_hardware, write_result
from torch import Tensor, nn

from supernet.elastic import depthwise
from supernet.memory import keep_freed_memory
from supernet.models import extract
from supernet.space import Genes, Subnet, decode, largest, load_space, sample
from supernet.threads import limit_spinning

BATCHES = {  # images of a step by their size
    "cpu": {32: 128, 128: 32, 224: 16},
    "cuda": {32: 1024, 128: 256, 224: 64},
}
BF16 = torch.bfloat16
SIDES = {
    "ofa": ["ofa", "ofa_bf16"],
    "ours": ["ours", "ours_bf16", "ours_without_numba", "extracted", "extracted_contiguous"],
}
RATIOS = {
    "ours": ("ofa", "ours"),
    "ours_without_numba": ("ofa", "ours_without_numba"),
    "ours_bf16": ("ofa", "ours_bf16"),
    "ours_bf16_over_ofa_bf16": ("ofa_bf16", "ours_bf16"),
    "ours_bf16_over_ours": ("ours", "ours_bf16"),
    "elastic_over_extracted_time": ("ours_without_numba", "extracted"),
    "contiguous_over_channels_last": ("extracted", "extracted_contiguous"),
}
Step = Callable[[], None]


def step_of(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    fused: bool,
    kernel: bool = True,
    bf16: bool = False,
) -> Step:
    """One step.

    Args:
        network: in train mode.
        images: shape ``(N, 3, H, W)``.
        labels: shape ``(N,)``.
        fused: whether torch's SGD updates in one pass, as in `supernet train`.
        kernel: whether our own weight gradient may be taken.
        bf16: whether to autocast.
    """
    optimiser = torch.optim.SGD(
        network.parameters(), lr=1e-4, momentum=0.9, nesterov=True, fused=fused
    )
    installed = depthwise.has_kernel()

    def step() -> None:
        with patch.object(depthwise, "has_kernel", lambda: kernel and installed):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(images.device.type, BF16, enabled=bf16):
                logits = network(images)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
            torch.autograd.backward(loss)
            optimiser.step()

    return step


def steps_of(
    side: str, pair: Pair, subnet: Subnet, images: Tensor, labels: Tensor
) -> dict[str, Step]:
    """The variants of a side, for `subnet`, which becomes active."""
    pair.activate(subnet)
    if side == "ofa":
        step = functools.partial(step_of, pair.theirs, images, labels, fused=False)
        return {"ofa": step(), "ofa_bf16": step(bf16=True)}
    images = images.to(memory_format=torch.channels_last)
    step = functools.partial(step_of, pair.ours, images, labels, fused=True)
    plain = extract(pair.ours, subnet).to(memory_format=torch.channels_last).train()
    contiguous = extract(pair.ours, subnet).to(memory_format=torch.contiguous_format).train()
    return {
        "ours": step(),
        "ours_bf16": step(bf16=True),
        "ours_without_numba": step(kernel=False),
        "extracted": step_of(plain, images, labels, fused=True),
        "extracted_contiguous": step_of(
            contiguous, images.contiguous(), labels, fused=True, kernel=False
        ),
    }


def work(side: str, space: str, device: str, pipe: Connection) -> None:
    """Do what comes through the pipe: change the subnet, or time a step of a variant."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        pair = build(space, Path(folder))
    pair.train(True)
    pair.ours.to(device).to(memory_format=torch.channels_last)
    pair.theirs.to(device)
    if side == "ours" and device == "cpu":
        keep_freed_memory()

    def wait() -> None:
        if device != "cpu":
            torch.accelerator.synchronize()

    steps: dict[str, Step] = {}
    while task := pipe.recv():
        if task["do"] == "subnet":
            subnet = decode(pair.space, task["genes"])[0]
            shape = task["batch"], 3, task["size"], task["size"]
            labels = torch.randint(0, 1000, (task["batch"],)).to(device)
            steps = steps_of(side, pair, subnet, torch.randn(shape).to(device), labels)
            pipe.send(None)
            continue
        wait()
        start = time.perf_counter()
        steps[task["variant"]]()
        wait()
        pipe.send(time.perf_counter() - start)


class Sides:
    """Both processes."""

    def __init__(self, space: str, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: dict[str, Connection] = {}
        for side in SIDES:
            if side == "ours":
                limit_spinning()
            here, there = context.Pipe()
            context.Process(target=work, args=(side, space, device, there), daemon=True).start()
            self._pipes[side] = here

    def activate(self, genes: Genes, size: int, batch: int) -> None:
        """Give both the same subnet."""
        for pipe in self._pipes.values():
            self._ask(pipe, {"do": "subnet", "genes": genes, "size": size, "batch": batch})

    def timed(self, rounds: int, rng: np.random.Generator) -> dict[str, list[float]]:
        """Seconds of a step of every variant in every round, after two to warm up."""
        variants = [(side, variant) for side, own in SIDES.items() for variant in own]
        seconds: dict[str, list[float]] = {variant: [] for _, variant in variants}
        for number in range(-2, rounds):
            for at in rng.permutation(len(variants)).tolist():
                side, variant = variants[at]
                taken = self._ask(self._pipes[side], {"do": "step", "variant": variant})
                if number >= 0:
                    seconds[variant].append(taken)
        return seconds

    def close(self) -> None:
        """Let both end."""
        for pipe in self._pipes.values():
            pipe.send(None)

    def _ask(self, pipe: Connection, task: dict[str, Any]) -> Any:
        pipe.send(task)
        return pipe.recv()


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """How many times faster: median, lowest and highest over rounds."""
    ratios = [a / b for a, b in zip(slow, fast)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def measure(
    sides: Sides, space_name: str, size: int, batch: int, rounds: int, count: int
) -> list[dict[str, Any]]:
    """All variants for the largest subnet and `count` random ones at one image size."""
    rng, space = np.random.default_rng(size), load_space(space_name)
    found = []
    for number, genes in enumerate([largest(space), *np.split(sample(space, count, rng), count)]):
        sides.activate(genes, size, batch)
        seconds = sides.timed(rounds, rng)
        ratios = {name: ratio(seconds[a], seconds[b]) for name, (a, b) in RATIOS.items()}
        found.append(
            {
                "size": size,
                "batch": batch,
                "subnet": "largest" if number == 0 else f"random {number}",
                "genes": genes[0].tolist(),
                "images_per_s": {n: batch / statistics.median(s) for n, s in seconds.items()},
                "ratios": ratios,
            }
        )
        short = {name: round(values["median"], 2) for name, values in ratios.items()}
        print(size, found[-1]["subnet"], short, flush=True)
    return found


def summed_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By size and batch: the largest subnet's ratios, and the random ones' median and range."""
    summary = []
    for size, batch in sorted({(row["size"], row["batch"]) for row in rows}):
        own = [row for row in rows if (row["size"], row["batch"]) == (size, batch)]
        medians = {
            name: [row["ratios"][name]["median"] for row in own if row["subnet"] != "largest"]
            for name in RATIOS
        }
        summary.append(
            {
                "size": size,
                "batch": batch,
                "largest": {name: own[0]["ratios"][name]["median"] for name in RATIOS},
                "random": {
                    name: {"median": statistics.median(all_), "low": min(all_), "high": max(all_)}
                    for name, all_ in medians.items()
                },
            }
        )
    return summary


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="mobilenet_v3")
    parser.add_argument("--device", default="cpu", choices=BATCHES)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[*BATCHES["cpu"]], choices=BATCHES["cpu"]
    )
    parser.add_argument("--batches", type=int, nargs="+", help="images of a step, for all sizes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--random", type=int, default=5, help="random subnets at each size")
    add_hardware(parser)
    arguments = parser.parse_args()
    sides = Sides(arguments.space, arguments.device)
    rows = [
        row
        for size in arguments.sizes
        for batch in arguments.batches or [BATCHES[arguments.device][size]]
        for row in measure(sides, arguments.space, size, batch, arguments.rounds, arguments.random)
    ]
    sides.close()
    body = {
        "device": arguments.device,
        "threads": torch.get_num_threads(),
        "space": arguments.space,
        "rounds": arguments.rounds,
        "summary": summed_up(rows),
        "steps": rows,
    }
    print(write_result("training_speed", arguments.hardware, ("torch", "numba", "ofa"), body))


if __name__ == "__main__":
    main()
