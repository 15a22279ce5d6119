"""Every shipped recipe, phase by phase, on a tiny space."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from supernet.data import Dataset
from supernet.space import Space
from supernet.train import (
    Recipe,
    Trainer,
    aimed,
    at_batch_size,
    list_checkpoints,
    list_recipes,
    load_recipe,
    scaled,
)
from supernet.workflow.train import seeded_supernet
from tests.train.toy_latency import latencies_of


def shortened(recipe: Recipe) -> Recipe:
    """Two steps a phase of 160 images."""
    recipe = at_batch_size(recipe, 32)
    recipe = scaled(recipe, 0.4 * len(recipe.phases))
    return replace(recipe, phases=tuple(replace(p, epochs=0.4) for p in recipe.phases))


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_trains_and_resumes(
    tmp_path: Path, space: Space, dataset: Dataset, name: str
):
    recipe = shortened(load_recipe(name))
    if recipe.searching:
        recipe = aimed(recipe, "toy", 0.3)
    latencies = latencies_of(space, recipe)
    before = seeded_supernet(space, 0).state_dict()
    trained = []
    for folder in (tmp_path / "whole", tmp_path / "stopped"):
        supernet = seeded_supernet(space, 0)
        Trainer(supernet, dataset, recipe, folder=folder, latencies=latencies).train()
        trained.append(supernet.state_dict())
    records = [
        json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    ]
    assert {record["phase"] for record in records} == {phase.name for phase in recipe.phases}
    assert all(math.isfinite(record["loss"]) for record in records)
    assert all(0 <= record["data_wait"] <= 1 for record in records)
    changed = [name for name, value in trained[0].items() if not torch.equal(value, before[name])]
    assert len(changed) > 0.8 * len(before)

    first = list_checkpoints(tmp_path / "stopped" / "checkpoints")[0]
    resumed = seeded_supernet(space, 1)
    folder = tmp_path / "stopped"
    trainer = Trainer(resumed, dataset, recipe, folder=folder, latencies=latencies)
    trainer.resume(first)
    trainer.train()
    for key, value in trained[0].items():
        assert torch.equal(value, resumed.state_dict()[key]), key
