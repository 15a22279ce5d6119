"""What the tests of every device train and evaluate: small, and the same as on the host."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from supernet.data import Dataset, load_fashion_mnist
from supernet.space import Space, Subnet, decode, largest, sample, smallest
from supernet.train import Recipe, aimed, at_batch_size, load_recipe, scaled

__all__ = ["WAITS", "few_images", "few_subnets", "logged_losses", "short_recipe"]

WAITS = {
    "attentive": 2,  # a look at the losses of the candidates for each of its two best_up subnets
    "proxylessnas": 3,  # one at the losses of the paths of each update
    "proxylessnas_reinforce": 1,
    "tunas": 1,
}


def few_images(count: int) -> Dataset:
    """So many of the embedded images, the same in every split."""
    whole = load_fashion_mnist()
    few = whole.train.take(slice(0, count))
    return replace(whole, train=few, holdout=few, test=few)


def few_subnets(space: Space) -> list[Subnet]:
    """The largest, the smallest and two random ones."""
    drawn = sample(space, 2, np.random.default_rng(0))
    return decode(space, np.concatenate([largest(space), smallest(space), drawn]))


def short_recipe(name: str) -> Recipe:
    """A recipe with 32 images a step and one epoch a phase."""
    recipe = at_batch_size(load_recipe(name), 32)
    recipe = scaled(recipe, len(recipe.phases))
    recipe = aimed(recipe, "toy", 0.3) if recipe.searching else recipe
    return replace(recipe, phases=tuple(replace(p, epochs=1) for p in recipe.phases))


def logged_losses(folder: Path) -> list[float]:
    """Of every epoch of a training."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]
