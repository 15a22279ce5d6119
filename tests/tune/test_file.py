"""Study files: every mistake is a line that names its place."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.space import Space, load_space
from supernet.train import Recipe, load_recipe
from supernet.tune import Parameter, Plan, Study, load_study, save_study
from supernet.tune.check import check_plan

HEAD = "format: supernet.study\nversion: 1\nname: mine\n"


def problems(tmp_path: Path, recipe: Recipe, space: Space, text: str) -> list[str]:
    """What is wrong with a study file, without the file's name."""
    path = tmp_path / "tune.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(ConfigError) as error:
        Plan(load_study(path), recipe, space)
    return [line.removeprefix(f"{path}: ") for line in error.value.problems]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "parameters: nothing varies; name keys, or set genes: true"),
        ("parameters: [1]", "parameters: expected a mapping, found [1]"),
        ("parameter: {}", "parameter: unknown key; did you mean 'parameters'?"),
        ("parameters: {recipe.lr: 3}", "parameters.recipe.lr: expected a mapping, found 3"),
        (
            "parameters: {recipe.ema: {}}",
            "parameters.recipe.ema.low, high: both are needed where there are no choices",
        ),
        (
            "parameters: {recipe.ema: {low: 1, hihg: 2}}",
            "parameters.recipe.ema.hihg: unknown key; did you mean 'high'?",
        ),
        (
            "parameters: {recipe.ema: {low: a, high: 2}}",
            "parameters.recipe.ema.low: Expected `float | null`, got `str`, found 'a'",
        ),
        (
            "parameters: {recipe.ema: {low: 0.5, high: 0.5}}",
            "parameters.recipe.ema.low: must be below high, found 0.5 and 0.5; choices: [...] "
            "holds single values",
        ),
        (
            "parameters: {recipe.ema: {low: 0, high: 0.5, log: true}}",
            "parameters.recipe.ema.low: must be above 0 where log is true, found 0",
        ),
        (
            "parameters: {recipe.ema: {low: 0, high: .inf}}",
            "parameters.recipe.ema.low, high: must be finite, found 0 and inf",
        ),
        (
            "parameters: {recipe.batch_size: {low: 8.5, high: 9}}",
            "parameters.recipe.batch_size.low, high: must be whole, found 8.5 and 9",
        ),
        (
            "parameters: {recipe.ema: {low: 0, high: 0.5, step: 0.2}}",
            "parameters.recipe.ema.step: 0.2 does not lead from 0 to 0.5",
        ),
        (
            "parameters: {recipe.ema: {low: 0.1, high: 0.5, step: 0.2, log: true}}",
            "parameters.recipe.ema.step: has no meaning where log is true",
        ),
        (
            "parameters: {recipe.ema: {choices: [0, 0.5], low: 0}}",
            "parameters.recipe.ema.low: belongs to a range, not to choices",
        ),
        (
            "parameters: {recipe.ema: {choices: [0, 0]}}",
            "parameters.recipe.ema.choices: must differ, found [0, 0]",
        ),
        (
            "parameters: {recipe.ema: {choices: [2020-01-01]}}",
            "parameters.recipe.ema.choices: must be plain values, found (datetime.date(2020, 1, 1)",
        ),
        (
            "parameters: {recipe.ema: {choices: [0.5, .nan]}}",
            "parameters.recipe.ema.choices: must be plain values, found (0.5, nan)",
        ),
        (
            "parameters: {recipe.ema: {choices: [&a [*a]]}}",
            "parameters.recipe.ema.choices: must be plain values, found",
        ),
        (
            "parameters: {recipe.ema: {choices: [0, 0.5], when: {x: 2020-01-01}}}",
            "parameters.recipe.ema.when: must be plain values, found",
        ),
        (
            "parameters: {recipe.lr: {low: 0, high: 1}}",
            "parameters.recipe.lr: recipe.lr: unknown key; the nearest of 20: ",
        ),
        (
            "parameters: {recipe.phases.0.lrr: {low: 0, high: 1}}",
            "parameters.recipe.phases.0.lrr: recipe.phases.0.lrr: unknown key; did you mean 'lr'?",
        ),
        (
            "parameters: {recipe.phases.third.lr: {low: 0, high: 1}}",
            "parameters.recipe.phases.third.lr: recipe.phases.third: no such item; known: first, "
            "second, or * for all",
        ),
        (
            "parameters: {space.stages.1.se: {low: 0, high: 1}}",
            "parameters.space.stages.1.se: space.stages.1: no such item; known: 0 to 0, or * for "
            "all",
        ),
        (
            "parameters: {recipe.ema.of: {low: 0, high: 1}}",
            "parameters.recipe.ema.of: recipe.ema.of: recipe.ema is a value without keys",
        ),
        (
            "parameters: {recipes.ema: {low: 0, high: 1}}",
            "parameters.recipes.ema: recipes.ema: a key begins with recipe or space; did you mean "
            "'recipe'?",
        ),
        (
            "parameters: {space.num_classes: {low: 2, high: 9}}",
            "parameters.space.num_classes: space.num_classes: is decided by the images",
        ),
        (
            "parameters: {rate: {low: 0, high: 1}}",
            "parameters.rate: sets nothing: give its key, such as recipe.rate",
        ),
        (
            "parameters: {recipe.optimizer: {low: 0, high: 1}}",
            "parameters.recipe.optimizer: its keys hold no numbers of one type; give choices",
        ),
        (
            "parameters: {recipe.batch_size: {type: float, low: 8, high: 9}}",
            "parameters.recipe.batch_size: type: its key holds whole numbers",
        ),
        (
            "parameters: {recipe.batch_size: {low: 1, high: 2, scale: true}}",
            "parameters.recipe.batch_size: scale: its keys must hold floats",
        ),
        (
            "parameters: {recipe.momentum: {low: 0.5, high: 0.9, when: {optimizer: sgd}}}",
            "parameters.recipe.momentum.when.optimizer: no such parameter; known: recipe.momentum",
        ),
        (
            "parameters:\n  recipe.optimizer: {choices: [sgd, adamw]}\n"
            "  recipe.momentum: {low: 0.5, high: 0.9, when: {recipe.optimizer: adam}}",
            "parameters.recipe.momentum.when.recipe.optimizer: 'adam' is not among its choices; "
            "did you mean 'adamw'?",
        ),
        (
            "parameters:\n  recipe.ema: {low: 0, high: 0.9}\n"
            "  recipe.momentum: {low: 0.5, high: 0.9, when: {recipe.ema: 0.5}}",
            "parameters.recipe.momentum.when.recipe.ema: a condition names values, and that is a "
            "range of floats",
        ),
        (
            "parameters:\n  a: {choices: [0, 1], when: {b: 1}}\n"
            "  b: {choices: [0, 1], when: {a: 1}}",
            "parameters: a, b depend on each other in a circle",
        ),
        ("name: a b\ngenes: true", "name: must be letters, digits, '_' or '-', found 'a b'"),
        ("genes: true\nsubnet: best", "subnet: must be one of largest, smallest, mean; found"),
        (
            "genes: true\nparameters: {space.stages.0.se: {low: 0, high: 1}}",
            "parameters.space.stages.0.se: space.stages.0.se: with genes: true the space is what",
        ),
    ],
)
def test_a_mistake_is_a_line_that_names_its_place(
    tmp_path: Path, recipe: Recipe, space: Space, text: str, line: str
):
    if text.startswith("name:"):
        path = tmp_path / "tune.yaml"
        path.write_text("format: supernet.study\nversion: 1\n" + text)
        with pytest.raises(ConfigError) as error:
            load_study(path)
        found = [one.removeprefix(f"{path}: ") for one in error.value.problems]
    else:
        found = problems(tmp_path, recipe, space, text)
    assert [one for one in found if one.startswith(line)], found
    assert len(found) == 1


def test_all_mistakes_are_told_at_once(tmp_path: Path, recipe: Recipe, space: Space):
    text = "subnet: best\nparameters:\n  recipe.ema: {low: 1}\n  recipe.momentum: {low: 3, high: 2}"
    assert len(problems(tmp_path, recipe, space, text)) == 3


def test_what_is_no_study_is_refused(tmp_path: Path):
    with pytest.raises(FileFormatError, match=r"no\.yaml: no such file"):
        load_study(tmp_path / "no.yaml")
    (tmp_path / "recipe.yaml").write_text("format: supernet.recipe\nversion: 1\n")
    with pytest.raises(FileFormatError, match=r"expected format 'supernet\.study'"):
        load_study(tmp_path / "recipe.yaml")


def test_a_study_is_saved_as_it_was(tmp_path: Path):
    (tmp_path / "tune.yaml").write_text(
        HEAD + "about: to be kept\nsubnet: mean\nparameters:\n"
        "  recipe.optimizer: {choices: [sgd, adamw]}\n"
        "  space.stages.0.width: {choices: [8, [8, 16]]}\n"
        "  recipe.momentum: {low: 0.5, high: 0.9, when: {recipe.optimizer: sgd}}\n"
        "  rate: {key: [recipe.phases.*.lr, recipe.phases.*.lr_end], low: 0.1, high: 2,\n"
        "    log: true, scale: true}\n"
    )
    study = load_study(tmp_path / "tune.yaml")
    save_study(study, tmp_path / "again.yaml")
    assert load_study(tmp_path / "again.yaml") == study
    assert load_study(tmp_path / "again.yaml") != replace(study, subnet="largest")


PAGE = Path(__file__).parents[2] / "docs" / "tune.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="only in the repository")
def test_the_example_of_the_page_is_a_study_of_the_shipped_recipe(tmp_path: Path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "tune.yaml").write_text(text)
    plan = Plan(load_study(tmp_path / "tune.yaml"), load_recipe("demo"), load_space("demo"))
    assert check_plan(plan, images=10_000) == []
    values, reasons = plan.baseline()
    assert reasons == []
    assert values is not None
    assert {"rate": 1.0, "recipe.momentum": 0.9, "se_ratio": 0.25}.items() <= values.items()


@pytest.mark.skipif(not PAGE.is_file(), reason="only in the repository")
def test_every_key_of_a_study_is_documented():
    keys = {field.name for field in fields(Study)}
    keys |= {f"parameters.*.{field.name}" for field in fields(Parameter)}
    documented = set()
    table = PAGE.read_text().partition("| key | meaning |")[2].partition("\n\n")[0]
    for row in re.findall(r"^\| (`[a-z.*`, ]+`) \|", table, re.MULTILINE):
        first, *others = re.findall(r"`(.*?)`", row)
        documented |= {first, *(first.rpartition(".")[0] + other for other in others)}
    assert documented == keys
