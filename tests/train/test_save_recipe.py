"""A recipe that was saved is the same when it is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from supernet.data import Augment
from supernet.train import Recipe, list_recipes, load_recipe, save_recipe


@pytest.mark.parametrize("name", list_recipes())
def test_a_shipped_recipe_is_saved_as_it_is(tmp_path: Path, name: str):
    recipe = load_recipe(name)
    save_recipe(recipe, tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_what_is_rarely_given_is_saved_too(tmp_path: Path, recipe: Recipe):
    augment = Augment(crop_area=(0.5, 1.0), flip=False, auto="rand", mixup=0.2)
    phases = (replace(recipe.phases[0], labels=0.25, warmup_epochs=0.125), *recipe.phases[1:])
    whole = replace(recipe, augment=augment, beta2=0.99, phases=phases)
    save_recipe(whole, tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == whole
