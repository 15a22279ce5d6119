"""Progressive shrinking against training all subnets from the start, on embedded images.

    python benchmarks/shrinking.py --seeds 0 1 2

Both arms take the same number of steps at the same batch size and weight decay, and are
measured on the same subnets, recalibrated, on the test images:

progressive  the recipe of the demo: the largest subnet, then kernels, depths, expand ratios,
             widths, the largest teaching in place
without      three random subnets of everything at every step from the start, no teacher, no
             sorted channels, one cosine from the same highest learning rate
in_place     one stage as well, but the largest and two random subnets, the largest teaching:
             what the order of the phases adds is the difference to this one
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from records import add_hardware, write_result

from supernet.cli.output import progress_bar
from supernet.space import decode, largest, load_space, sample, smallest
from supernet.train import Elastic, Phase, Recipe, load_recipe, scaled
from supernet.train.sampling import step_rng
from supernet.workflow.train import train_supernet

EVERYTHING = Elastic(kernel=0, depth=0, expand=0, width=0, operator=0)
_RANDOM = 10


def arms(epochs: float | None) -> dict[str, Recipe]:
    """The recipes that are compared."""
    shrinking = load_recipe("demo")
    if epochs:
        shrinking = scaled(shrinking, epochs)
    first = shrinking.phases[0]
    joint = Phase(
        name="everything",
        epochs=shrinking.epochs,
        warmup_epochs=first.warmup_epochs,
        lr=first.lr,
        elastic=EVERYTHING,
        subnets=("random",) * 3,
    )
    in_place = replace(
        joint, subnets=("largest", "random", "random"), distill=0.7, teacher="in_place"
    )
    return {
        "progressive": shrinking,
        "without": replace(shrinking, name="without", phases=(joint,)),
        "in_place": replace(shrinking, name="in_place", phases=(in_place,)),
    }


def measure(recipe: Recipe, seed: int, progress: Any) -> dict[str, Any]:
    """Train one arm; accuracies of the largest, the smallest and random subnets."""
    space = load_space("demo")
    with tempfile.TemporaryDirectory() as folder:
        run = train_supernet(space, recipe, folder=Path(folder), seed=seed, progress=progress)
        evaluator = run.evaluator()
        space = run.space()
        genes = sample(space, _RANDOM, step_rng(0, "shrinking", 0))
        chosen = [*decode(space, largest(space)), *decode(space, smallest(space))]
        top1 = [evaluator.subnet_top1(s, "test") for s in [*chosen, *decode(space, genes)]]
    return {
        "largest": top1[0],
        "smallest": top1[1],
        "random": top1[2:],
        "random_mean": statistics.mean(top1[2:]),
    }


def main() -> None:
    """Train all arms with all seeds, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=float, help="of each arm; those of the demo if not given")
    parser.add_argument("--arms", nargs="+", default=["progressive", "without", "in_place"])
    add_hardware(parser)
    options = parser.parse_args()
    recipes = {
        name: recipe for name, recipe in arms(options.epochs).items() if name in options.arms
    }
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in recipes}
    with progress_bar() as progress:
        for seed in options.seeds:
            for name, recipe in recipes.items():
                found[name][seed] = measure(recipe, seed, progress)
                print(name, seed, json.dumps(found[name][seed]), flush=True)
            write(found, recipes, options.hardware)


def write(found: dict[str, dict[int, Any]], recipes: dict[str, Recipe], hardware: str) -> None:
    """Write what is known of the seeds so far, with the gains."""
    seeds = list(found["progressive"])
    gains = {
        other: {
            what: [found["progressive"][seed][what] - found[other][seed][what] for seed in seeds]
            for what in ("largest", "smallest", "random_mean")
        }
        for other in found
        if other != "progressive"
    }
    print(json.dumps(gains))
    epochs = recipes["progressive"].epochs
    body = {"space": "demo", "epochs": epochs, "arms": found, "gain_of_progressive": gains}
    print(write_result("shrinking", hardware, ("torch", "numpy"), body), flush=True)


if __name__ == "__main__":
    main()
