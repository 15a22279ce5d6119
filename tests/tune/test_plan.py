"""Values become a recipe and a space; what can never be trained is refused beforehand."""

from dataclasses import replace

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.space import Space, count_subnets
from supernet.train import Recipe, load_recipe
from supernet.tune import Parameter, Plan, Study
from supernet.tune.check import check_plan, random_values
from supernet.tune.order import order_problems
from supernet.tune.spec import Value


def of(recipe: Recipe, space: Space, **parameters: Parameter) -> Plan:
    named = {name.replace("__", "."): one for name, one in parameters.items()}
    return Plan(Study(name="mine", parameters=named), recipe, space)


OPTIMIZERS = {
    "recipe__optimizer": Parameter(choices=("sgd", "adamw")),
    "recipe__momentum": Parameter(low=0.8, high=0.98, when={"recipe.optimizer": "sgd"}),
    "beta1": Parameter(
        key=("recipe.momentum",), low=0.8, high=0.95, when={"recipe.optimizer": ["adamw"]}
    ),
    "recipe__beta2": Parameter(low=0.9, high=0.999, when={"recipe.optimizer": "adamw"}),
}


def test_conditional_parameters_are_there_only_where_they_mean_something(
    recipe: Recipe, space: Space, rng: np.random.Generator
):
    plan = of(recipe, space, **OPTIMIZERS)
    seen = set()
    for _ in range(40):
        values = random_values(plan, rng)
        seen.add(frozenset(values))
        made = plan.made(values).recipe
        own = values["recipe.momentum"] if values["recipe.optimizer"] == "sgd" else values["beta1"]
        assert made.momentum == own
        assert made.beta2 == values.get("recipe.beta2", 0.999)
    assert seen == {
        frozenset({"recipe.optimizer", "recipe.momentum"}),
        frozenset({"recipe.optimizer", "beta1", "recipe.beta2"}),
    }


def test_a_factor_keeps_the_schedule(recipe: Recipe, space: Space):
    keys = ("recipe.phases.*.lr", "recipe.phases.*.lr_end")
    plan = of(recipe, space, rate=Parameter(key=keys, low=0.1, high=4, log=True, scale=True))
    made = plan.made({"rate": 2.0}).recipe
    assert [(p.lr, p.lr_end) for p in made.phases] == [(0.4, 0.2), (0.2, 0.0)]
    assert plan.baseline() == ({"rate": 1.0}, [])


def test_squeeze_excite_has_a_ratio_only_where_there_is_one(recipe: Recipe, space: Space):
    plan = of(
        recipe,
        space,
        with_se=Parameter(key=("space.stages.*.se",), choices=(0, 0.25)),
        ratio=Parameter(key=("space.stages.*.se",), low=0.1, high=0.5, when={"with_se": 0.25}),
    )
    assert plan.made({"with_se": 0}).space.stages[0].se == (0.0,)
    assert plan.made({"with_se": 0.25, "ratio": 0.4}).space.stages[0].se == (0.4,)
    assert plan.baseline()[0] == {"with_se": 0.25, "ratio": 0.25}


def test_a_table_of_stages_varies(recipe: Recipe, space: Space):
    plan = of(
        recipe,
        space,
        space__stages__0__width=Parameter(low=8, high=24, step=8),
        space__stages__0__depth=Parameter(choices=(2, [1, 2], [1, 3])),
        space__resolutions__0=Parameter(choices=(16, 24)),
        recipe__phases__first__elastic__kernel=Parameter(choices=(0, 1)),
        recipe__augment__brightness=Parameter(low=0, high=0.5),
    )
    made = plan.made(
        {
            "space.stages.0.width": 16,
            "space.stages.0.depth": "[1, 3]",
            "space.resolutions.0": 24,
            "recipe.phases.first.elastic.kernel": 0,
            "recipe.augment.brightness": 0.25,
        }
    )
    stage = made.space.stages[0]
    assert (stage.width, stage.depth, made.space.resolutions) == ((16,), (1, 3), (24,))
    assert [p.elastic.kernel for p in made.recipe.phases] == [0, 1]
    assert made.recipe.augment is not None
    assert made.recipe.augment.brightness == 0.25
    assert plan.parameters["space.stages.0.width"].type == "int"


def test_a_table_as_a_file_has_it_is_the_space_as_it_is(recipe: Recipe, space: Space):
    stage = {"width": [8, 16], "depth": [1, 2], "kernel": [3, 5], "expand": [1.5, 2]}
    same = {**stage, "stride": 2, "se": 0.25}  # what has its usual value is left out
    stages = Parameter(key=("space.stages",), choices=([{**same, "act": "hard_swish"}], [same]))
    assert of(recipe, space, stages=stages).baseline() == ({"stages": stages.labels[1]}, [])


def test_an_item_that_other_values_leave_out_is_told(recipe: Recipe, space: Space):
    one = {"width": [8], "depth": [1, 2], "kernel": [3], "expand": [2], "stride": 2}
    two = replace(space, stages=(*space.stages, *space.stages))
    stages = Parameter(key=("space.stages",), choices=([one], [one, one]))
    plan = of(recipe, two, stages=stages, space__stages__1__depth=Parameter(choices=([1], [2])))
    with pytest.raises(ConfigError, match=r"space\.stages\.1\.depth is not there beside the other"):
        plan.made({"stages": stages.labels[0], "space.stages.1.depth": "[1]"})
    assert any("is not there beside" in line for line in check_plan(plan, 1000))


@pytest.mark.parametrize(("value", "known"), [(64, True), (48, False), (128, False)])
def test_a_condition_outside_the_steps_of_a_range_is_refused(value: int, known: bool):
    batch = Parameter(low=32, high=96, step=32)
    decay = Parameter(low=1e-6, high=1e-3, log=True, when={"batch": value})
    problems = order_problems({"batch": batch, "decay": decay}, known=["batch", "decay"])
    where = "parameters.decay.when.batch"
    told = [f"{where}: {value} is none of its range from 32 to 96 in steps of 32"]
    assert problems == ([] if known else told)


def test_a_recipe_that_searches_is_not_tuned(space: Space):
    proxyless = load_recipe("proxylessnas")
    plan = of(proxyless, space, recipe__weight_decay=Parameter(low=1e-6, high=1e-3, log=True))
    with pytest.raises(ConfigError, match="searches for an architecture, which trials do not"):
        check_plan(plan, 1000)


def test_every_trial_trains_for_as_long(recipe: Recipe, space: Space):
    plan = of(recipe, space, recipe__phases__first__epochs=Parameter(low=1, high=9))
    made = plan.made({"recipe.phases.first.epochs": 9.0}).recipe
    assert [p.epochs for p in made.phases] == [3, 1]


def test_genes_choose_a_single_network(recipe: Recipe, space: Space, rng: np.random.Generator):
    plan = Plan(Study(name="genes", genes=True), recipe, space)
    assert set(plan.parameters) >= {"genes.stage1.width", "genes.stage1.depth"}
    sizes = set()
    for _ in range(20):
        values = random_values(plan, rng)
        assert ("genes.stage1.block2.kernel" in values) == (values["genes.stage1.depth"] == 2)
        made = plan.made(values)
        assert count_subnets(made.space) == 1
        assert made.space.stages[0].width == (values["genes.stage1.width"],)
        sizes.add(made.space.hash)
    assert len(sizes) > 5
    assert [(p.name, p.epochs) for p in plan.made({}).recipe.phases] == [("standalone", 4)]
    largest, _ = plan.baseline()
    assert largest is not None
    assert plan.made(largest) == plan.as_it_is()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"recipe__weight_decay": Parameter(low=0.1, high=0.2)}, "0.0001 is not from 0.1 to 0.2"),
        ({"recipe__optimizer": Parameter(choices=("adamw",))}, "'sgd' is not among its choices"),
        ({"recipe__batch_size": Parameter(low=10, high=80, step=10)}, "64 is none of its steps"),
        (
            {"rate": Parameter(key=("recipe.phases.*.lr",), low=0.01, high=1)},
            "rate: its keys have different values",
        ),
    ],
)
def test_it_is_said_why_the_recipe_does_not_lie_within(
    recipe: Recipe, space: Space, parameters: dict[str, Parameter], reason: str
):
    values, (line,) = of(recipe, space, **parameters).baseline()
    assert values is None
    assert reason in line


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        (
            {"recipe__ema": Parameter(low=0.5, high=1)},
            "parameters.recipe.ema: 1 breaks a rule: recipe.ema: must be from 0 to below 1",
        ),
        (
            {"recipe__optimizer": Parameter(choices=("sgd", "adam"))},
            "parameters.recipe.optimizer: 'adam' breaks a rule: recipe.optimizer: must be one of",
        ),
        (
            {"recipe__phases__0__lr": Parameter(low=0.01, high=1, log=True)},
            "parameters.recipe.phases.0.lr: 0.01 breaks a rule: recipe.phases[0].lr_end: must be "
            "from 0 to lr",
        ),
        (
            {"space__stages__0__kernel": Parameter(choices=(3, 4))},
            "parameters.space.stages.0.kernel: 4 breaks a rule: space.stages[0].kernel: choices "
            "must be odd",
        ),
        (
            {"recipe__batch_size": Parameter(low=64, high=2048)},
            "parameters.recipe.batch_size: 2048 breaks a rule: batch_size: 2048 is more than the "
            "1000 training images",
        ),
        (
            {"recipe__ema": Parameter(type="int", low=0, high=2)},
            "parameters.recipe.ema: 2 breaks a rule",
        ),
    ],
)
def test_values_that_no_training_takes_are_refused_before_the_first_trial(
    recipe: Recipe, space: Space, parameters: dict[str, Parameter], line: str
):
    with pytest.raises(ConfigError) as error:
        check_plan(of(recipe, space, **parameters), images=1000)
    assert error.value.problems[0].startswith(line)


def test_values_that_do_not_go_together_are_remarked(recipe: Recipe, space: Space):
    plan = of(
        recipe,
        space,
        recipe__phases__second__lr=Parameter(low=0.05, high=1),
        recipe__phases__second__lr_end=Parameter(low=0.0, high=0.1),
    )
    (remark,) = check_plan(plan, images=1000)
    assert "random proposals break a rule" in remark


def test_what_is_proposed_is_always_within(recipe: Recipe, space: Space):
    plan = of(
        recipe,
        space,
        recipe__weight_decay=Parameter(low=1e-6, high=1e-2, log=True),
        recipe__batch_size=Parameter(low=32, high=128, step=32),
    )
    rng = np.random.default_rng(1)
    drawn: list[dict[str, Value]] = [random_values(plan, rng) for _ in range(100)]
    assert {values["recipe.batch_size"] for values in drawn} == {32, 64, 96, 128}
    decays = np.array([values["recipe.weight_decay"] for values in drawn], dtype=float)
    assert 1e-6 <= decays.min() < 1e-5
    assert 1e-3 < decays.max() <= 1e-2
