r"""Progressive shrinking against training all subnets from the start, on embedded images.

    python benchmarks/shrinking.py --seeds 0 1 2
    python benchmarks/shrinking.py --seeds 0 --data FOLDER --epochs 1 \
        --arms progressive from_scratch

All arms have the same batch size and weight decay, the first three the same number of steps, the
others the same multiply-adds as the first. Measured are the same subnets, recalibrated, on the test
images:

progressive  the recipe of the demo: the largest subnet, then kernels, depths, expand ratios,
             widths, the largest teaching in place
without      three random subnets of everything at every step from the start, no teacher, no
             sorted channels, one cosine from the same highest learning rate
in_place     one stage as well, but the largest and two random subnets, the largest teaching:
             what the order of the phases adds is the difference to this one
from_scratch the recipe of this name: the largest subnet alone for half of the work, then with two
             random ones, the largest teaching
half_rate    the same with half of the highest rate between the two phases, which `supernet plan`
             takes for few epochs
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from records import add_hardware, run_told, write_result

from supernet.cli.output import progress_bar
from supernet.data import EMBEDDED
from supernet.space import decode, largest, load_space, sample, smallest
from supernet.train import Elastic, Phase, Recipe, load_recipe, scaled
from supernet.train.sampling import step_rng
from supernet.workflow.planning.choice import of_its_length
from supernet.workflow.planning.timing import phase_work
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
    short = scaled(load_recipe("from_scratch"), 1)  # few enough epochs for the higher rate
    return {
        "progressive": shrinking,
        "without": replace(shrinking, name="without", phases=(joint,)),
        "in_place": replace(shrinking, name="in_place", phases=(in_place,)),
        "from_scratch": in_the_work_of(shrinking, load_recipe("from_scratch")),
        "half_rate": in_the_work_of(shrinking, of_its_length(short)),
    }


def work(recipe: Recipe) -> float:
    """Multiply-adds of a training for each image of the training set, forward."""
    space = load_space("demo")
    return sum(phase.epochs * phase_work(space, phase) for phase in recipe.phases)


def in_the_work_of(one: Recipe, other: Recipe) -> Recipe:
    """The other recipe, as long as has the multiply-adds of the one."""
    return scaled(other, other.epochs * work(one) / work(other))


def measure(recipe: Recipe, data: str, seed: int, progress: Any) -> dict[str, Any]:
    """Train one arm; accuracies of the largest, the smallest and random subnets."""
    space = load_space("demo")
    with tempfile.TemporaryDirectory() as folder:
        run = train_supernet(space, recipe, data, folder=Path(folder), seed=seed, progress=progress)
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
    parser.add_argument("--data", default=EMBEDDED, help="folder of pictures")
    parser.add_argument("--out", default="shrinking", help="name of the result")
    add_hardware(parser)
    options = parser.parse_args()
    recipes = {
        name: recipe for name, recipe in arms(options.epochs).items() if name in options.arms
    }
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in recipes}
    with progress_bar() as progress:
        for seed in options.seeds:
            for name, recipe in recipes.items():
                found[name][seed] = measure(recipe, options.data, seed, progress)
                print(name, seed, json.dumps(found[name][seed]), flush=True)
            write(found, recipes, options)


def write(
    found: dict[str, dict[int, Any]], recipes: dict[str, Recipe], options: argparse.Namespace
) -> None:
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
    body = {
        "space": "demo",
        "images": Path(options.data).name,
        "epochs": {name: recipe.epochs for name, recipe in recipes.items()},
        "work_of_progressive": {
            name: work(recipe) / work(recipes["progressive"]) for name, recipe in recipes.items()
        },
        "arms": found,
        "gain_of_progressive": gains,
    }
    print(write_result(options.out, options.hardware, ("torch", "numpy"), body), flush=True)


if __name__ == "__main__":
    run_told(main)
