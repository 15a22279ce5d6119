"""Phases that search, by the trainer, on a few real images."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from supernet.data import Dataset
from supernet.errors import ConfigError
from supernet.models import Supernet
from supernet.space import Space
from supernet.train import Elastic, Phase, Recipe, Trainer, aimed, list_checkpoints, load_recipe
from supernet.train.architecture import METHODS
from supernet.train.architecture.phase import ArchitecturePhase, image_halves
from supernet.train.processes import Processes
from supernet.train.schedule import plan
from tests.train.toy_latency import settings, table_of

EVERYTHING = Elastic(kernel=0, depth=0, expand=0, width=0, operator=0)

Train = Callable[..., Supernet]


def recipe_of(method: str, **changes: object) -> Recipe:
    search = settings(method, limit_ms=0.4, warmup=0.2, **changes)
    first = Phase(name="before", epochs=0.5, lr=0.05)
    phase = Phase(name="search", epochs=2, lr=0.05, elastic=EVERYTHING, search=search)
    after = Phase(name="after", epochs=0.5, lr=0.05, elastic=EVERYTHING)
    return Recipe(name="searching", batch_size=32, phases=(first, phase, after))


def trainer_of(space: Space, dataset: Dataset, recipe: Recipe, folder: Path, **more) -> Trainer:
    torch.manual_seed(0)
    latencies = {"search": table_of(space).predictor(space)}
    return Trainer(Supernet(space), dataset, recipe, folder=folder, latencies=latencies, **more)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "architecture.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", METHODS)
def test_a_phase_that_searches_resumes_bit_for_bit_and_repeats(
    tmp_path: Path, space: Space, dataset: Dataset, method: str
):
    recipe = recipe_of(method)
    trained = {}
    for name, seed in (("whole", 3), ("again", 3), ("other", 4)):
        trainer = trainer_of(space, dataset, recipe, tmp_path / name, seed=seed)
        trainer.train()
        trained[name] = trainer.supernet.state_dict()
    whole = records(tmp_path / "whole")
    assert records(tmp_path / "again") == whole != records(tmp_path / "other")

    class StopError(Exception):
        pass

    def stop(done: int, total: int, text: str) -> None:
        if done == 9:
            raise StopError

    folder = tmp_path / "stopped"
    with pytest.raises(StopError):
        trainer_of(space, dataset, recipe, folder, seed=3, progress=stop).train()
    with (folder / "architecture.jsonl").open("a") as log:
        log.write('{"step": 11, "cut short')
    resumed = trainer_of(space, dataset, recipe, folder, seed=3)
    resumed.resume(list_checkpoints(folder / "checkpoints")[-1])
    assert resumed.step == 7
    resumed.train()
    assert records(folder) == whole
    after = resumed.supernet.state_dict()
    for name, value in trained["whole"].items():
        assert torch.equal(value, trained["again"][name]), name
        assert torch.equal(value, after[name]), name


def test_every_epoch_notes_the_probabilities(tmp_path: Path, space: Space, dataset: Dataset):
    trainer_of(space, dataset, recipe_of("proxyless"), tmp_path).train()
    first, last = records(tmp_path)
    assert [first["phase"], first["method"], first["target"]] == ["search", "proxyless", "toy"]
    assert list(first["probabilities"]) == [gene.name for gene in Supernet(space).layout.genes]
    for own in last["probabilities"].values():
        assert sum(own) == pytest.approx(1)
    assert last["entropy"] < first["entropy"]
    assert last["expected_ms"] != first["expected_ms"]


def test_weights_and_choices_never_see_the_same_image(space: Space, dataset: Dataset, tmp_path):
    recipe = recipe_of("tunas")
    halves = image_halves(dataset, 0)
    assert sum(map(len, halves)) == 160
    assert np.abs(np.subtract(*(np.bincount(half.labels) for half in halves))).max() <= 1
    stretch = plan(recipe.phases, 5)[1]
    phase = ArchitecturePhase(
        Supernet(space), dataset, recipe, stretch,
        predictor=table_of(space).predictor(space), processes=Processes(), seed=0,
    )  # fmt: skip
    seen = []
    for batches in (phase.batches, phase._choices):
        raw = [batches._read(step, 0)[0].numpy() for step in range(batches.steps_per_epoch)]
        seen.append({image.tobytes() for image in np.concatenate(raw)})
    phase.close()
    assert seen[0].isdisjoint(seen[1])
    assert min(map(len, seen)) >= 60


def test_the_choices_do_not_learn_during_the_warm_up(
    tmp_path: Path, space: Space, dataset: Dataset
):
    recipe = recipe_of("proxyless_reinforce")
    search = settings("proxyless_reinforce", limit_ms=0.4, warmup=0.6)
    phases = (replace(recipe.phases[1], search=search),)
    trainer_of(space, dataset, replace(recipe, phases=phases), tmp_path).train()
    first, last = records(tmp_path)
    assert {len(set(own)) for own in first["probabilities"].values()} == {1}
    assert {len(set(own)) for own in last["probabilities"].values()} != {1}


def test_choices_that_the_phase_may_not_take_stay_impossible(
    tmp_path: Path, space: Space, dataset: Dataset
):
    recipe = recipe_of("proxyless")
    phase = replace(recipe.phases[1], elastic=replace(EVERYTHING, kernel=1))
    trainer_of(space, dataset, replace(recipe, phases=(phase,)), tmp_path).train()
    own = records(tmp_path)[-1]["probabilities"]
    assert {tuple(v) for k, v in own.items() if k.endswith("kernel")} == {(0.0, 1.0)}


def test_an_update_needs_no_images_of_one_size(tmp_path: Path, space: Space, dataset: Dataset):
    """Subnets of one update may see the images at different sizes."""
    recipe = replace(recipe_of("tunas", samples=6), accumulate=2)
    trainer_of(space, dataset, recipe, tmp_path).train()
    own = records(tmp_path)[-1]["probabilities"]["resolution"]
    assert own[0] != own[1]


def test_subnets_of_a_phase_that_searches(space: Space):
    known: dict[str, Any] = {"name": "s", "epochs": 1, "lr": 0.1, "search": settings("tunas")}
    Phase(subnets=("largest", "random"), teacher="in_place", distill=0.5, **known)
    for subnets in (("largest",), ("random", "best_up")):
        with pytest.raises(ConfigError, match="a phase that searches trains random ones"):
            Phase(subnets=subnets, **known)
    with pytest.raises(ConfigError, match="draws the input sizes itself"):
        Phase(size_share="work", **known)
    with pytest.raises(ConfigError, match=r"phases\[0\].name: that of a phase that searches"):
        Recipe(name="r", phases=(Phase(**{**known, "name": "../s"}),))


def test_a_target_is_for_recipes_that_search(space: Space):
    recipe = aimed(load_recipe("proxylessnas"), "here", 0.2)
    assert [p.search and p.search.target for p in recipe.searching] == ["here"]
    assert [p.search and p.search.limit_ms for p in recipe.searching] == [0.2]
    with pytest.raises(ConfigError, match="recipe 'demo' has no phase that searches"):
        aimed(load_recipe("demo"), "here")
