from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from supernet.data import Augment
from supernet.errors import ConfigError
from supernet.files import fill
from supernet.space import Space, load_space
from supernet.space.layout import layout_of
from supernet.train import Elastic, Phase, Recipe, list_recipes, load_recipe, phase_genes, scaled
from supernet.train.sampling import lowest_allowed


@pytest.mark.parametrize("name", list_recipes())
def test_shipped_recipes_load_and_say_where_they_come_from(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert "arXiv" in recipe.about


def test_every_problem_of_a_recipe_is_reported_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "format: supernet.recipe\nversion: 1\nname: bad\nbatchsize: 3\n"
        "phases:\n  - {name: a, epochs: -1, lr: x}\n  - {name: b, epochs: 1, lr: 0.1, distil: 1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    problems = "\n".join(caught.value.problems)
    assert "batchsize: unknown key; did you mean 'batch_size'?" in problems
    assert "phases[0].lr: Expected `float`" in problems
    assert "phases[1].distil: unknown key; did you mean 'distill'?" in problems


def test_a_mistake_in_the_augmentation_is_named_by_its_key(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "format: supernet.recipe\nversion: 1\nname: bad\n"
        "augment: {brightnes: 0.1, flip: sometimes}\nphases:\n  - {name: a, epochs: 1, lr: 0.1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    problems = "\n".join(caught.value.problems)
    assert "augment.brightnes: unknown key; did you mean 'brightness'?" in problems
    assert "augment.flip: Expected `bool" in problems


def test_augmentation_beyond_its_bounds_is_refused_all_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    head = "format: supernet.recipe\nversion: 1\nname: bad\n"
    end = "\nphases:\n  - {name: a, epochs: 1, lr: 0.1}\n"
    path.write_text(f"{head}augment: {{erasing: 1.5, mixup: -1, cutmix: 101}}{end}")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    problems = "\n".join(caught.value.problems)
    assert "erasing: must be from 0 to 1, found 1.5" in problems
    assert "mixup: must be from 0 to 100, found -1" in problems
    assert "cutmix: must be from 0 to 100, found 101" in problems
    path.write_text(f"{head}augment: {{auto: trivail}}{end}")
    with pytest.raises(ConfigError, match=r"augment\.auto: .*trivail"):
        load_recipe(path)


@pytest.mark.parametrize("name", ["alphanet", "attentive"])
def test_recipes_of_alphanet_vary_images_as_their_code_did(name: str):
    """github.com/facebookresearch/AlphaNet, configs: crops, mirroring and AutoAugment alone."""
    assert load_recipe(name).augment == Augment(crop_area=(0.08, 1.0), auto="auto")


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(ConfigError, match="unknown recipe 'demmo'; did you mean 'demo'"):
        load_recipe("demmo")


def test_the_first_phase_cannot_learn_from_a_teacher_that_does_not_exist():
    with pytest.raises(ConfigError, match="no frozen teacher yet"):
        Recipe(name="x", phases=(Phase(name="a", epochs=1, lr=0.1, distill=0.5),))


def test_in_place_distillation_needs_the_largest_subnet_first():
    with pytest.raises(ConfigError, match="must start with largest"):
        Phase(name="a", epochs=1, lr=0.1, distill=0.5, teacher="in_place", subnets=("random",))


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_clip_that_would_ruin_the_weights_is_refused(name: str, value: float):
    recipe = {"name": "x", name: value, "phases": [{"name": "a", "epochs": 1, "lr": 0.1}]}
    with pytest.raises(ConfigError, match=f"{name}: must be finite and not negative"):
        fill(Recipe, recipe)


def test_scaling_changes_epochs_only():
    recipe = load_recipe("demo")
    half = scaled(recipe, recipe.epochs / 2)
    assert half.epochs == recipe.epochs / 2
    assert [p.epochs * 2 for p in half.phases] == [p.epochs for p in recipe.phases]
    assert [p.lr for p in half.phases] == [p.lr for p in recipe.phases]


def test_subnets_depend_on_seed_and_step_alone(space: Space):
    phase = Phase(
        name="a",
        epochs=1,
        lr=0.1,
        elastic=Elastic(kernel=0, depth=0, expand=0, width=0),
        subnets=("random",) * 4,
    )
    first = phase_genes(space, phase, seed=3, step=7)
    np.testing.assert_array_equal(first, phase_genes(space, phase, seed=3, step=7))
    assert (first != phase_genes(space, phase, seed=3, step=8)).any()
    assert (first != phase_genes(space, phase, seed=4, step=7)).any()


def test_a_phase_samples_only_what_it_admits():
    space = load_space("demo")
    layout = layout_of(space)
    elastic = Elastic(kernel=0, depth=2)
    phase = Phase(name="a", epochs=1, lr=0.1, elastic=elastic, subnets=("random",) * 200)
    genes = phase_genes(space, phase, seed=0, step=0)
    last = layout.num_choices - 1
    for gene in layout.genes:
        column, kind = genes[:, gene.column], gene.name.split(".")[-1]
        if kind == "width":
            assert (column == last[gene.column]).all()
        if kind == "depth":
            assert column.min() == max(0, last[gene.column] - 1)
    np.testing.assert_array_equal(
        lowest_allowed(space, Elastic(kernel=0, depth=0, expand=0, width=0)), 0
    )


def test_all_subnets_of_a_step_see_one_resolution(space: Space):
    phase = Phase(name="a", epochs=1, lr=0.1, subnets=("largest", "random", "smallest"))
    column = layout_of(space).resolution.column
    seen = set()
    for step in range(20):
        sizes = set(phase_genes(space, phase, seed=0, step=step)[:, column].tolist())
        assert len(sizes) == 1
        seen |= sizes
    assert seen == {0, 1}


@pytest.mark.parametrize(
    ("share", "lowest", "expected"),
    [
        ("steps", 0, [1 / 3, 1 / 3, 1 / 3]),
        ("work", 0, [36 / 61, 16 / 61, 9 / 61]),  # 32, 48 and 64 px: 1/4, 1/9 and 1/16
        ("work", 2, [0, 16 / 25, 9 / 25]),
    ],
)
def test_sizes_have_an_equal_share_of_the_steps_or_of_the_work(
    share: Literal["steps", "work"], lowest: int, expected: list[float]
):
    space = replace(load_space("demo"), resolutions=(32, 48, 64))
    phase = Phase(name="a", epochs=1, lr=0.1, size_share=share, elastic=Elastic(resolution=lowest))
    column = layout_of(space).resolution.column
    drawn = [int(phase_genes(space, phase, seed=1, step=step)[0, column]) for step in range(800)]
    found = np.bincount(drawn, minlength=3) / len(drawn)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert (found[np.array(expected) == 0] == 0).all()
