"""Networks of others in `outcome`: the time of their steps, which recipes suit them, trainings."""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from equal_time import STEPS, fastest
from outcome_nets import (
    Rival,
    described,
    file_top1,
    network_top1,
    recipes,
    rival_turn,
    train_rival,
    write_file,
)
from resumable import Row, Rows
from torch import nn

from supernet.cli.output import progress_bar
from supernet.data import Dataset
from supernet.train import Recipe
from supernet.train.precision import auto_precision

__all__ = ["Theirs"]

HELD_OUT = "holdout_top1"
CLOSE = 5.0
"""Points on held-out images; where two recipes are as near as this in the short trainings, both
train in full."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Theirs:
    """The networks of others, and the rows of them that there are."""

    given: argparse.Namespace
    rows: Rows
    rivals: tuple[Rival, ...]
    dataset: Callable[[int], Dataset]
    """Of a seed."""

    def recipes(self) -> dict[str, Recipe]:
        """Ways to train, in fp32 and in what suits this processor."""
        precisions = dict.fromkeys(("fp32", auto_precision(self.given.device)))
        return {
            f"{name}, {precision}": replace(recipe, precision=precision)
            for name, recipe in recipes(self.given.start).items()
            for precision in precisions
        }

    # ------------------------------------------------------------ before the trainings

    def costs(self) -> Row:
        """Seconds of steps, all in turn."""
        dataset = self.dataset(self.given.seeds[0])
        networks = {r: r.built(dataset.classes, self.given.start, 0) for r in self.rivals}
        alike_in_time = {name: work_of(recipe) for name, recipe in self.recipes().items()}
        turns = {
            f"{rival} {alike_in_time[name]}": rival_turn(
                network, dataset, rival.size, recipe, STEPS, self.given.device
            )
            for rival, network in networks.items()
            for name, recipe in self.recipes().items()
        }
        theirs = fastest(turns, self.given.rounds)
        step_s = {
            f"{rival} {name}": float(np.mean(theirs[f"{rival} {work}"]))
            for rival in networks
            for name, work in alike_in_time.items()
        }
        return {"step_s": step_s}

    def step_s(self, rival: Rival, recipe: str) -> float:
        """Seconds of a step where nothing else runs."""
        return float(self.rows.get("costs", self.costs)["step_s"][f"{rival} {recipe}"])

    def chosen(self, rival: Rival) -> list[str]:
        """Recipes of a network: those that are good for the middle one of its family."""
        names = list(self.recipes())
        family = [one for one in self.rivals if alike(one, rival)]
        middle = sorted(family, key=lambda one: self.step_s(one, names[0]))[len(family) // 2]
        # of two precisions the faster one stays
        by_speed = sorted(names, key=lambda name: -self.step_s(middle, name))
        tried = {
            name: self._tried(middle, name)
            for name in {name.rpartition(", ")[0]: name for name in by_speed}.values()
        }
        return [name for name, top1 in tried.items() if top1 > max(tried.values()) - CLOSE]

    def _tried(self, rival: Rival, recipe: str) -> float:
        """Percent of held-out images after a short training."""

        def made() -> Row:
            how, seed = self.recipes()[recipe], self.given.seeds[0]
            network, steps = self._network(rival, seed, recipe, self.given.probe)
            return {
                "steps": steps,
                HELD_OUT: self._held_out(network, rival, seed),
                **described(how),
            }

        return float(self.rows.get(f"try {rival} {recipe}", made)[HELD_OUT])

    # ------------------------------------------------------------ trainings

    def file(self, rival: Rival, seed: int, recipe: str = "") -> Path:
        """Of a trained network: of the better one, or by one recipe."""
        return self.rows.folder / f"others-{seed}" / recipe / f"{rival}.onnx"

    def trained(self, rival: Rival, seed: int) -> Row:
        """A network by each of its recipes, the better one on held-out images."""
        found = [
            self.rows.get(
                f"{rival} seed {seed} by {recipe}", partial(self._by, rival, seed, recipe)
            )
            for recipe in self.chosen(rival)
        ]
        best = max(found, key=lambda row: float(row[HELD_OUT]))
        shutil.copy(self.file(rival, seed, best["recipe"]), self.file(rival, seed))
        return {key: value for key, value in best.items() if key != "wall_s"}

    def _by(self, rival: Rival, seed: int, recipe: str) -> Row:
        """A network by one recipe."""
        network, steps = self._network(rival, seed, recipe, 1.0)
        path = write_file(network, self.file(rival, seed, recipe), rival.size)
        return {
            "recipe": recipe,
            "steps": steps,
            "counted_s": steps * self.step_s(rival, recipe),
            HELD_OUT: self._held_out(network, rival, seed),
            "test_top1": file_top1(path, self.dataset(seed)),
        }

    def _network(self, rival: Rival, seed: int, recipe: str, share: float) -> tuple[nn.Module, int]:
        """Trained in a share of the time; with its steps."""
        given = self.given
        steps = max(1, round(share * 60.0 * given.minutes / self.step_s(rival, recipe)))
        with progress_bar() as progress:
            network = train_rival(
                rival,
                self.dataset(seed),
                self.recipes()[recipe],
                steps,
                start=given.start,
                seed=seed,
                device=given.device,
                progress=progress,
            )
        return network.eval(), steps

    def _held_out(self, network: nn.Module, rival: Rival, seed: int) -> float:
        dataset = self.dataset(seed)
        return network_top1(network, dataset, dataset.holdout, rival.size)


def work_of(recipe: Recipe) -> str:
    """What decides how long a step takes."""
    return f"{recipe.optimizer} {recipe.batch_size} {recipe.precision}"


def alike(one: Rival, other: Rival) -> bool:
    """Whether two networks differ by width and input size alone."""
    return one.network.rpartition("_")[0] == other.network.rpartition("_")[0]
