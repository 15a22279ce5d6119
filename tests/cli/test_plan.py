"""`supernet plan`, and `supernet train` on images without a space and a recipe."""

import pickle
import shlex
from pathlib import Path
from typing import Any

import pytest

from supernet.cli.choices import wishes_of
from supernet.data import look_at
from supernet.models import Supernet
from supernet.progress import silent
from supernet.reading import FRESH
from supernet.space import load_space
from supernet.train import Processes, Recipe, load_recipe
from supernet.workflow.plan import Wishes, _Planner, plan_training
from supernet.workflow.planning.timing import Speed, kind_of
from tests.cli.conftest import Command

pytestmark = pytest.mark.cli

NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "space_name",
        "recipe_name",
        "minutes",
        "epochs",
        "batch_size",
        "precision",
        "augment",
        "init",
        "phases",
    )
)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device of known speed."""

    def time_steps(supernet: Supernet, recipe: Recipe, *args: Any, **options: Any) -> Speed:
        return Speed(
            step_s={kind_of(phase): 0.1 for phase in recipe.phases},
            evaluation_s=0.03,
            checkpoint_s=0.01,
            saved_bytes=1 << 20,
            weight_bytes=1 << 20,
            took_s=0.0,
        )

    monkeypatch.setattr("supernet.workflow.plan.time_steps", time_steps)


@pytest.mark.usefixtures("timed")
def test_a_plan_says_what_and_why_and_trains_nothing(
    supernet: Command, pictures: str, tiny_yaml: Path
) -> None:
    Path(pictures, "train", "dark", "notes.txt").write_text("mine")
    planned = supernet("plan", "--data", pictures, "--minutes", 5, "--json")
    assert planned.code == 0, planned.stderr
    assert "note: left out 1 file: 1 not images" in planned.stdout
    assert planned.json["images"]["notes"] == ["left out 1 file: 1 not images"]
    found = planned.json
    assert planned.stdout.splitlines()[:5] == found["lines"]
    images = found["images"]
    assert images["train"] + images["holdout"] == 80  # by what they hold: about a tenth
    assert 1 <= images["holdout"] <= 20
    assert {name: images[name] for name in ("test", "classes", "short_sides")} == {
        "test": 12,
        "classes": 2,
        "short_sides": [24, 24, 24],
    }
    assert found["space"]["resolutions"] == [16, 20, 24]
    assert found["seconds"]["total"] <= 303
    assert found["needs"]["memory_mib"] > 100
    assert not (tiny_yaml / "runs").exists()
    assert not list(tiny_yaml.glob("home/images/*.npy"))


@pytest.mark.usefixtures("timed")
def test_the_command_to_edit_by_is_the_one_that_was_given(supernet: Command, pictures: str) -> None:
    asked = ("--epochs", 2, "--augment", "trivial", "--fit", "pad", "--skip-broken")
    planned = supernet("plan", "--data", pictures, *asked, "--device", "cpu", "--json")
    assert planned.code == 0, planned.stderr
    told = planned.json["lines"][4].removeprefix("to edit").strip()
    before, after = told.split(" -o my; then ")
    plan, train = shlex.split(before), shlex.split(after)
    assert plan[:4] == ["supernet", "plan", "--data", pictures]
    again = supernet(*plan[1:], "--json")
    assert again.code == 0, again.stderr
    assert again.json["recipe"] == planned.json["recipe"]
    assert again.json["lines"][4] == planned.json["lines"][4]
    made = ["--space", "my/space.yaml", "--recipe", "my/recipe.yaml"]
    read = ["--fit", "pad", "--skip-broken"]
    assert train == ["supernet", "train", "--data", pictures, *read, *made]


@pytest.mark.usefixtures("timed", "supernet")
def test_a_plan_for_a_folder_can_be_sent_to_other_processes(pictures: str) -> None:
    plan = plan_training(Wishes(data=pictures))
    assert pickle.loads(pickle.dumps(plan)) == plan


@pytest.mark.usefixtures("timed")
def test_the_files_of_a_plan_train_what_it_says(
    supernet: Command, pictures: str, tiny_yaml: Path
) -> None:
    planned = supernet("plan", "--data", pictures, "--epochs", 1, "-o", "my", "--json")
    assert planned.code == 0, planned.stderr
    assert load_space(tiny_yaml / "my/space.yaml").resolutions == (16, 20, 24)
    assert load_recipe(tiny_yaml / "my/recipe.yaml").batch_size == 16
    assert load_recipe(tiny_yaml / "my/recipe.yaml").epochs == pytest.approx(1)
    again = supernet("plan", "--data", pictures, "--epochs", 1, "-o", "my")
    assert again.code == 2
    assert "there already" in again.stderr
    trained = supernet(
        *("train", "--data", pictures, "--space", "my/space.yaml"),
        *("--recipe", "my/recipe.yaml", "--json"),
    )
    assert trained.code == 0, trained.stderr
    assert len(trained.json["phases"]) == 2


@pytest.mark.slow
def test_training_on_pictures_needs_no_other_option(
    supernet: Command, pictures: str, tiny_yaml: Path
) -> None:
    trained = supernet("train", "--data", pictures, "--epochs", 1, "--run", "mine", "--json")
    assert trained.code == 0, trained.stderr
    said = [line for line in trained.stderr.splitlines() if line.startswith("network ")]
    assert "inputs of 16, 20, 24 px" in said[0]
    assert load_space(tiny_yaml / "mine/space.yaml").resolutions == (16, 20, 24)


def test_the_embedded_images_keep_their_space_and_recipe() -> None:
    wishes = wishes_of("fashion_mnist", reading=FRESH, **NOTHING)
    assert wishes.space == load_space("demo")
    assert wishes.recipe == load_recipe("demo")
    assert wishes.minutes is None


@pytest.mark.usefixtures("timed")
def test_time_on_the_embedded_images_changes_the_epochs_alone(supernet: Command) -> None:
    planned = supernet(
        *("plan", "--space", "tiny.yaml", "--recipe", "recipe.yaml", "--minutes", 1, "--json")
    )
    assert planned.code == 0, planned.stderr
    recipe = planned.json["recipe"]
    assert (recipe["name"], recipe["batch_size"], recipe["precision"]) == ("tiny", 64, "fp32")
    assert planned.json["seconds"]["total"] <= 66


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--minutes", 3, "--epochs", 4), "--minutes and --epochs both say how long"),
        (("--data", "nowhere"), "no such folder"),
        (("--target", "this_machine", "--data", "stl10"), "has no phase that searches"),
        (("--resume", "--minutes", 3), "--minutes cannot be given with --resume"),
    ],
)
def test_what_does_not_fit_is_refused(
    supernet: Command, arguments: tuple[object, ...], words: str
) -> None:
    refused = supernet("train", *arguments)
    assert refused.code == 2
    assert words in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--batch-size", 500), "batch_size: 500 is more than the"),
        (("--init", "runs/frist"), "runs/frist: no such run folder or weights file"),
    ],
)
def test_what_does_not_fit_is_refused_before_an_image_is_decoded(
    supernet: Command, pictures: str, arguments: tuple[object, ...], words: str
) -> None:
    chosen = ("--space", "tiny.yaml", "--recipe", "demo", "--epochs", 0.5)
    refused = supernet("train", "--data", pictures, *chosen, *arguments)
    assert refused.code == 2
    assert words in refused.stderr
    assert "decoding" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--batch-size", 500), "batch_size: 500 is more than the"),
        (("--init", "resnet18"), "nor a network by that name (did you mean 'torchvision:resnet18'"),
        (("--init", "resnet50d"), "did you mean 'timm:resnet50d'?"),
        (("--init", "mobilenet_v3_lagre"), "did you mean 'torchvision:mobilenet_v3_large'?"),
        (("--init", "efficientnet_lite9"), "did you mean 'efficientnet_lite"),
        (("--init", "keras:net"), "networks of others are named as torchvision:NAME"),
        (("--init", "./no.safetensors"), "no.safetensors: no such run folder or weights file (it"),
        (("--init", "no.pth"), "no.pth: no such run folder or weights file (it is looked for as /"),
        (("--run", "sealed/deep/mine"), "cannot write"),
        (("--run", "made"), "made holds a run already"),
    ],
)
def test_what_is_known_at_once_is_refused_before_steps_are_timed(
    supernet: Command,
    pictures: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    words: str,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("timed")

    def access(path: Path, mode: int) -> bool:
        return Path(path).name != "sealed"

    monkeypatch.setattr("supernet.workflow.plan.time_steps", refuse)
    monkeypatch.setattr("supernet.workflow.claims.os.access", access)  # root may write everywhere
    Path("sealed").mkdir()
    Path("made").mkdir()
    Path("made/config.yaml").touch()
    refused = supernet("train", "--data", pictures, *arguments)
    assert refused.code == (1 if "sealed" in str(arguments[-1]) else 2)
    assert words in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    assert not list(Path("sealed").iterdir())
    assert not Path("runs").exists()


@pytest.mark.usefixtures("supernet")
@pytest.mark.parametrize("seed", range(3))
def test_the_batch_suits_the_images_that_the_seed_leaves(pictures: str, seed: int) -> None:
    asked = {**NOTHING, "reading": FRESH}
    wishes = wishes_of(pictures, seed=seed, **asked)
    assert wishes.seed == seed
    looked = _Planner(wishes, Processes(), silent, 0.0)._look
    assert looked.train_images == look_at(pictures, seed=seed).train_images
