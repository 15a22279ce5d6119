r"""Does the supernet rank its subnets as they rank after training alone?

    python benchmarks/ranking.py --data FOLDER --minutes 5
    python benchmarks/ranking.py --data fashion_mnist --minutes 2
    python benchmarks/ranking.py --data FOLDER --at 0.5    # beyond size: all of one latency

Subnets whose predicted latencies on this machine lie evenly between the fastest and the slowest, or
with `--at` the first drawn ones within 2 % of that share of the slowest:
accuracy of each with the supernet's weights, recalibrated, beside the accuracy after training
alone from random weights in as many steps, by the same recipe in one phase. Kendall tau of the two,
with a bootstrapped interval over the subnets; beside it that of ranking by multiply-adds alone.
`--minutes` is the training of the supernet; seconds of its steps, measured at the start, make it
a number of steps. All on the test images. Every row is kept in `--work`: the same command goes on.
Writes `benchmarks/results/ranking_<hardware>_<date>.json`.
"""

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from equal_time import fastest, fitted, phase_turn, phases_of, speeds_of
from records import add_hardware, run_told, write_result
from resumable import Row, Rows

from supernet import load_space
from supernet.cli.output import progress_bar
from supernet.data import load_dataset
from supernet.evaluate import Evaluator
from supernet.latency import this_machine
from supernet.memory import keep_freed_memory
from supernet.metrics import kendall_tau
from supernet.runs import Run
from supernet.space import Genes, Space, Subnet, decode, encode, largest, macs_of
from supernet.train import Recipe, at_precision, load_recipe, scaled, standalone_recipe
from supernet.train.batches import steps_per_epoch
from supernet.workflow.accuracies import random_pairs
from supernet.workflow.quality import standalone_space
from supernet.workflow.train import resume_training, seeded_supernet, train_supernet

DRAWN = 1000
RESAMPLED = 2000
ALIKE = 0.02  # relative difference of latencies

Values = npt.NDArray[np.float64]


class Ranking:
    """The work, row by row.

    Args:
        given: the command line.
        rows: that there are.
    """

    def __init__(self, given: argparse.Namespace, rows: Rows) -> None:
        self.given, self.rows = given, rows
        with progress_bar() as progress:
            size = load_space(given.space).resolutions[-1]
            self.dataset = load_dataset(
                given.data, resolution=size, seed=given.seed, progress=progress
            )
        self.run = Run(rows.folder / "supernet")

    @cache  # noqa: B019  # as long as the program
    def space(self) -> Space:
        """With the classes of the images."""
        return replace(
            load_space(self.given.space),
            num_classes=len(self.dataset.classes),
            in_channels=self.dataset.in_channels,
        )

    def costs(self) -> Row:
        """Epochs of the supernet that fill the minutes."""
        supernet = seeded_supernet(self.space(), 0)
        recipe = at_precision(load_recipe(self.given.recipe), "cpu")
        turns = {
            str(kind): phase_turn(supernet, self.dataset, recipe, phase)
            for kind, phase in phases_of(recipe).items()
        }
        speeds = speeds_of(supernet, recipe, fastest(turns, self.given.rounds))
        images = len(self.dataset.train)
        found = fitted(supernet, recipe, speeds, images, 60 * self.given.minutes)
        steps = round(found.epochs * steps_per_epoch(images, found.batch_size))
        return {"epochs": found.epochs, "steps": steps}

    def recipe(self) -> Recipe:
        """Of the supernet, as long as fills the minutes."""
        epochs = self.rows.get("costs", self.costs)["epochs"]
        return scaled(load_recipe(self.given.recipe), epochs)

    def chosen(self) -> Row:
        """Subnets spread over latencies, or of one."""
        space = self.space()
        with progress_bar() as progress:
            predictor = this_machine(space, progress=progress).predictor(space)
        genes = random_pairs(space, DRAWN, self.given.seed)
        ms = predictor.ms(genes)
        if self.given.at is None:
            some = spread(ms, self.given.subnets)
        else:
            near = np.abs(ms / (self.given.at * ms.max()) - 1) <= ALIKE
            some = np.flatnonzero(near)[: self.given.subnets]
        return {"genes": genes[some].tolist(), "predicted_ms": predictor.ms(genes[some]).tolist()}

    def trained(self) -> Row:
        """The supernet."""
        train(self.run, self.space(), self.recipe(), self.given, None)
        return {}

    def measured(self, subnet: Subnet) -> Row:
        """One subnet with the supernet's weights, and trained alone."""
        shared = Evaluator(self.run.supernet(), self.dataset).subnet_top1(subnet, "test")
        own = standalone_space(self.space(), subnet, dropout=0.0)
        alone = standalone_recipe(self.recipe(), largest=False)
        place = Run(self.run.standalone / subnet.key)
        train(place, own, alone, self.given, self.run)
        only = decode(own, largest(own))[0]
        found = Evaluator(place.supernet(), self.dataset).subnet_top1(only, "test")
        macs = int(macs_of(self.space(), genes_of(self.space(), subnet))[0])
        return {"subnet": str(subnet), "macs": macs, "shared": shared, "alone": found}

    def body(self) -> dict[str, Any]:
        """All rows, and what they say."""
        rows = self.rows
        chosen = rows.get("chosen", self.chosen)
        rows.get("supernet", self.trained)
        subnets = decode(self.space(), np.array(chosen["genes"], dtype=np.int8))
        found = [
            rows.get(f"subnet {number}", lambda s=subnet: self.measured(s))  # type: ignore[misc]  # called at once
            for number, subnet in enumerate(subnets)
        ]
        shared, alone, macs = (
            np.array([row[key] for row in found], dtype=np.float64)
            for key in ("shared", "alone", "macs")
        )
        return {
            "settings": rows.settings,
            "test_images": len(self.dataset.test),
            "steps": rows.rows["costs"]["steps"],
            "kendall_shared_alone": interval(shared, alone),
            "kendall_macs_alone": interval(macs, alone),
            "subnets": [
                row | {"predicted_ms": ms} for row, ms in zip(found, chosen["predicted_ms"])
            ],
        }


def genes_of(space: Space, subnet: Subnet) -> Genes:
    """Shape ``(1, G)``."""
    found: Genes = encode(space, [subnet])
    return found


def spread(ms: Values, count: int) -> npt.NDArray[np.int64]:
    """Indices of different subnets whose latencies lie evenly between the ends, fastest first."""
    left = np.arange(len(ms))
    chosen: list[int] = []
    for wanted in np.linspace(ms.min(), ms.max(), count):
        nearest = int(left[np.abs(ms[left] - wanted).argmin()])
        chosen.append(nearest)
        left = left[left != nearest]
    return np.array(sorted(chosen, key=lambda index: float(ms[index])))


def interval(first: Values, second: Values) -> dict[str, float]:
    """Kendall tau, and where nine in ten of those of subnets drawn anew lie."""
    rng = np.random.default_rng(0)
    taus = []
    for _ in range(RESAMPLED):
        rows = rng.integers(0, len(first), len(first))
        taus.append(kendall_tau(first[rows], second[rows]))
    low, high = np.quantile(taus, [0.05, 0.95]).tolist()
    return {"tau": kendall_tau(first, second), "low": low, "high": high}


def train(
    run: Run, space: Space, recipe: Recipe, given: argparse.Namespace, like: Run | None
) -> None:
    """Train in a run folder, or go on there; without accuracies on the way."""
    with progress_bar() as progress:
        if (run.folder / "config.yaml").is_file():
            resume_training(run, progress=progress, each_epoch=lambda *_: {})
        else:
            train_supernet(
                space,
                recipe,
                given.data,
                folder=run.folder,
                seed=given.seed,
                progress=progress,
                each_epoch=lambda *_: {},
                like=like,
            )


def main() -> None:
    """Train, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="cifar10", help="its name, or a folder with train/, val/")
    parser.add_argument("--space", default="demo")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the supernet's training")
    parser.add_argument("--subnets", type=int, default=12)
    parser.add_argument("--at", type=float, default=None, help="share of the slowest's latency")
    parser.add_argument("--rounds", type=int, default=4, help="in which steps are timed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=None, help="folder that keeps rows and runs")
    add_hardware(parser)
    given = parser.parse_args()
    given.work = given.work or Path("runs") / f"ranking_{Path(given.data).name}_{given.seed}"
    settings = {k: v for k, v in vars(given).items() if k not in ("work", "hardware")}
    settings["data"] = Path(given.data).name
    keep_freed_memory()
    body = Ranking(given, Rows(given.work, settings)).body()
    for key in ("kendall_shared_alone", "kendall_macs_alone"):
        print(key, body[key])
    print(write_result("ranking", given.hardware, ("torch", "numpy"), body))


if __name__ == "__main__":
    run_told(main)
