"""A training step of plain networks by torch's convolutions and by ours, in turn.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/plain_speed.py --data FOLDER

Networks as `supernet.train.finetune` trains them: the largest subnet of the space `demo`, taken
out, and networks of others. In fp32 and, where torch has it, in bf16; of each step the fastest
round counts. Writes `benchmarks/results/plain_speed_<hardware>_<date>.json`.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from equal_time import STEPS, fastest
from outcome_nets import Rival, rival_turn
from outcome_ours import our_space
from records import add_hardware, require_one_thread, run_told, write_result
from torch import nn

from supernet.data import Dataset, load_dataset
from supernet.models import Supernet, extract
from supernet.progress import Progress
from supernet.space import largest_subnet
from supernet.train import Recipe, load_recipe, standalone_recipe

OURS = "demo"
OTHERS = ("mobilenet_v2_0.35", "mobilenet_v2_0.5", "mobilenet_v3_small")
SIDES = ("torch", "ours")


def network(name: str, size: int, dataset: Dataset) -> nn.Module:
    """A new one, its memory channels-last."""
    if name != OURS:
        return Rival.of(f"{name}@{size}").built(dataset.classes, "scratch", 0)
    space = our_space(OURS, [size], "scratch", dataset)
    return extract(Supernet(space), largest_subnet(space)).to(memory_format=torch.channels_last)


def turn(
    net: nn.Module, dataset: Dataset, size: int, recipe: Recipe, side: str
) -> Callable[[Progress], None]:
    """Some steps of a side."""
    steps = rival_turn(net, dataset, size, recipe, STEPS, "cpu")

    def timed(progress: Progress) -> None:
        if side == "ours":
            steps(progress)
        else:
            with patch("supernet.train.finetune.fast_convolutions", lambda _: nullcontext()):
                steps(progress)

    return timed


def main() -> None:
    """Time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="folder with train/ and val/")
    parser.add_argument("--size", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--networks", nargs="+", default=[OURS, *OTHERS])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=4)
    add_hardware(parser, "1cpu")
    given = parser.parse_args()
    require_one_thread()
    dataset = load_dataset(given.data, resolution=given.size, seed=0)
    alone = standalone_recipe(load_recipe("demo"), largest=True)
    rows = {}
    for name in given.networks:
        turns = {
            f"{side}, {kind}": turn(
                network(name, given.size, dataset),
                dataset,
                given.size,
                replace(alone, precision=kind),
                side,
            )
            for kind in given.precisions
            for side in SIDES
        }
        found = {key: float(np.mean(s)) for key, s in fastest(turns, given.rounds).items()}
        gains = {k: found[f"torch, {k}"] / found[f"ours, {k}"] for k in given.precisions}
        rows[name] = {"step_s": found, "times_as_fast": gains}
        print(name, {k: round(v, 2) for k, v in gains.items()}, found, flush=True)
    body = {"batch_size": alone.batch_size, "size": given.size, "rows": rows}
    print(write_result("plain_speed", given.hardware, ("torch", "torchvision", "numba"), body))


if __name__ == "__main__":
    run_told(main)
