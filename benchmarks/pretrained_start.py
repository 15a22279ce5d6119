"""What a supernet that starts from published weights holds, before training and after a little.

    python benchmarks/pretrained_start.py --data FOLDER --epochs 6

FOLDER holds a folder of pictures for each class. EfficientNet-Lite0 is put into its space at three
input sizes. Accuracies are of held-out pictures, recalibrated: the largest subnet at the
largest size, the smallest at the smallest, and the mean of random ones, always the same. Rows:
as published, with channels sorted, with norms adapted, then sorted by weights as well, and with
both (sorted by variance, which is what a training begins with); and after so many epochs of the
recipe `from_pretrained`, with its seconds, then also of the test
pictures, if the folder has some.

Writes `benchmarks/results/pretrained_start_<hardware>_<date>.json`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from records import add_hardware, run_told, write_result

from supernet import Supernet, load_space
from supernet.data import Dataset, load_dataset
from supernet.elastic import Importance
from supernet.evaluate import Evaluator, Split, adapt_norms
from supernet.models import sort_channels
from supernet.progress import silent
from supernet.space import Space, decode, largest, sample, smallest
from supernet.train import Recipe, Trainer, load_recipe, scaled
from supernet.workflow.start import begin_from, normalisation_at, normalised, start_from
from supernet.workflow.train import seeded_supernet

NAME = "efficientnet_lite0"
RANDOM = 8


def accuracies(evaluator: Evaluator, split: Split = "holdout") -> dict[str, Any]:
    """Percent of pictures that are named right."""
    space = evaluator.supernet.space
    ends, others = np.concatenate([largest(space), smallest(space)]), random_subnets(space)
    big, small = (evaluator.subnet_top1(subnet, split) for subnet in decode(space, ends))
    found = [evaluator.subnet_top1(subnet, split) for subnet in others]
    rounded = [round(value, 2) for value in (big, float(np.mean(found)), min(found), small)]
    return dict(zip(("largest", "random_mean", "random_least", "smallest"), rounded))


def random_subnets(space: Space) -> Sequence[Any]:
    """Always the same."""
    return decode(space, sample(space, RANDOM, np.random.default_rng(5)))


def before(space: Space, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Rows without a step of training."""
    rows = {}
    rules: tuple[tuple[str, bool, Importance | None], ...] = (
        ("as published", False, None),
        ("channels sorted", False, "variance"),
        ("norms adapted", True, None),
        ("adapted, sorted by weights", True, "weights"),
        ("both", True, "variance"),
    )
    for name, adapts, by in rules:
        supernet = seeded_supernet(space, 0)
        start_from(supernet, NAME, classes=dataset.classes)
        evaluator = Evaluator(supernet, dataset)
        if adapts:
            adapt_norms(evaluator)
        if by:
            sort_channels(supernet, by=by)
        rows[name] = accuracies(evaluator)
        print(name, rows[name], flush=True)
    return rows


def after(space: Space, dataset: Dataset, recipe: Recipe, seed: int) -> dict[str, Any]:
    """The row of a training, and the seconds from published weights to its end."""
    supernet: Supernet = seeded_supernet(space, seed)
    since = time.perf_counter()
    begin_from(supernet, NAME, dataset)
    with TemporaryDirectory() as folder:
        Trainer(supernet, dataset, recipe, folder=Path(folder), seed=seed, progress=silent).train()
    row: dict[str, Any] = {"seconds": round(time.perf_counter() - since), "seed": seed}
    evaluator = Evaluator(supernet, dataset)
    row |= accuracies(evaluator)
    if len(dataset.test):
        row["test"] = accuracies(evaluator, "test")
    print(f"{recipe.epochs:g} epochs", row, flush=True)
    return row


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="folder of class folders")
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 112, 128])
    parser.add_argument("--epochs", type=float, nargs="*", default=[6.0], help="of trainings")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each length")
    add_hardware(parser)
    options = parser.parse_args()
    dataset = load_dataset(options.data, resolution=options.sizes[-1])
    dataset = normalised(dataset, normalisation_at(NAME))
    space = replace(load_space(NAME), resolutions=tuple(options.sizes))
    space = replace(space, num_classes=len(dataset.classes))
    recipe = replace(load_recipe("from_pretrained"), init=NAME)
    body: dict[str, Any] = {
        "pictures": {"train": len(dataset.train), "holdout": len(dataset.holdout)},
        "sizes": options.sizes,
        "before": before(space, dataset),
        "after": {
            f"{epochs:g}": [
                after(space, dataset, scaled(recipe, epochs), seed) for seed in range(options.seeds)
            ]
            for epochs in options.epochs
        },
    }
    print(write_result("pretrained_start", options.hardware, ("torch", "supernet"), body))


if __name__ == "__main__":
    run_told(main)
