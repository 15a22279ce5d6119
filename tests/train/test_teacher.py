"""Frozen teachers: which moment, and networks from elsewhere."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from supernet.data import Dataset, ImageSet
from supernet.errors import ConfigError
from supernet.models import Supernet, open_network, save_weights
from supernet.runs import Run, RunConfig
from supernet.space import Space
from supernet.train import Elastic, Phase, Recipe, Trainer, list_checkpoints
from supernet.train.teacher import Teachers

MEAN = "layers.1.expand.norm.running_mean"
EVERYTHING = Elastic(kernel=0, depth=0, expand=0, width=0)


@pytest.fixture
def colour(dataset: Dataset) -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 255, (160, 28, 28, 3), dtype=np.uint8)
    images = ImageSet(pixels, dataset.train.labels)
    views = replace(dataset.views, mean=(0.5,) * 3, std=(0.2,) * 3)
    return Dataset(
        name="colour",
        classes=dataset.classes,
        train=images,
        holdout=images,
        test=images,
        views=views,
    )


def taught_by(source: str, init: str = "") -> Recipe:
    phase = Phase(name="all", epochs=1, lr=0.05, elastic=EVERYTHING, distill=1.0, teacher=source)
    return Recipe(name="taught", batch_size=32, phases=(phase,), init=init)


def resnet(path: Path, classes: int) -> str:
    torch.manual_seed(0)
    torch.save(get_model("resnet18", num_classes=classes).state_dict(), path)
    return f"torchvision:resnet18={path}"


def test_a_network_of_torchvision_teaches(tmp_path: Path, space: Space, colour: Dataset):
    supernet = Supernet(replace(space, in_channels=3))
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    source = resnet(tmp_path / "teacher.pth", 10)
    Trainer(supernet, colour, taught_by(source), folder=tmp_path).train()
    assert any(not torch.equal(before[n], v) for n, v in supernet.state_dict().items())


def test_a_teacher_reads_images_normalised_as_its_own(
    tmp_path: Path, space: Space, colour: Dataset
):
    source = resnet(tmp_path / "teacher.pth", 10)
    recipe, device = taught_by(source), torch.device("cpu")
    supernet = Supernet(replace(space, in_channels=3))
    teacher = Teachers(supernet, recipe, tmp_path, colour).get(recipe.phases[0], device)
    assert teacher is not None
    pixels = torch.rand(2, 3, 64, 64)
    mean, std = (  # ImageNet's, which torchvision's networks are trained with
        torch.tensor(values)[:, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.inference_mode():
        expected = open_network(source)((pixels - mean) / std)
        torch.testing.assert_close(teacher((pixels - 0.5) / 0.2), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("classes", "channels", "told"),
    [
        ("10", 1, "knows 10 classes ('0', '1', '2', '3', '4', ...) in images of 1 channels"),
        ("01", 3, "knows 2 classes ('0', '1') in images of 3 channels, the data have 10"),
    ],
)
def test_a_run_of_other_classes_teaches_nothing(
    tmp_path: Path, space: Space, colour: Dataset, classes: str, channels: int, told: str
):
    names = tuple(classes) if classes == "01" else tuple(map(str, range(10)))
    config = RunConfig(
        data="", classes=names, in_channels=channels, mean=(), std=(), recipe={}, images=1
    )
    run = Run.create(tmp_path / "run", replace(space, num_classes=len(names)), config)
    save_weights(
        run.checkpoints / "step-1" / "supernet.safetensors", Supernet(run.space()).state_dict()
    )
    recipe = taught_by(f"run:{run.folder}")
    supernet = Supernet(replace(space, in_channels=3))
    teachers = Teachers(supernet, recipe, tmp_path, colour)
    with pytest.raises(ConfigError, match=re.escape(told)):
        teachers.get(recipe.phases[0], torch.device("cpu"))


def test_of_imagenets_thousand_outputs_a_teacher_keeps_those_that_the_classes_name(
    tmp_path: Path, space: Space, colour: Dataset
):
    # https://github.com/fastai/imagenette
    numbers = {"n01440764": 0, "n02102040": 217, "n03028079": 497, "n03888257": 701}
    source = resnet(tmp_path / "teacher.pth", 1000)
    recipe, device = taught_by(source), torch.device("cpu")
    supernet = Supernet(replace(space, in_channels=3, num_classes=4))
    views = replace(colour.views, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    named = replace(colour, classes=tuple(numbers), views=views)
    teacher = Teachers(supernet, recipe, tmp_path, named).get(recipe.phases[0], device)
    assert teacher is not None
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = open_network(source)(images)[:, list(numbers.values())]
        torch.testing.assert_close(teacher(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("classes", "channels"), [(7, 3), (10, 1)])
def test_a_teacher_of_other_classes_or_channels_is_refused(
    tmp_path: Path, space: Space, dataset: Dataset, colour: Dataset, classes: int, channels: int
):
    source = resnet(tmp_path / "teacher.pth", classes)
    supernet = Supernet(replace(space, in_channels=channels))
    images = colour if channels == 3 else dataset
    with pytest.raises(ConfigError, match="got 7" if classes == 7 else "1$"):
        Trainer(supernet, images, taught_by(source), folder=tmp_path).train()


def test_a_teacher_must_be_a_known_word():
    with pytest.raises(ConfigError, match="teacher: must be frozen, in_place, torchvision:NAME"):
        taught_by("resnet18")


def test_with_weights_to_start_from_the_frozen_teacher_is_their_largest_subnet(
    tmp_path: Path, space: Space, dataset: Dataset
):
    torch.manual_seed(0)
    supernet = Supernet(space)
    start = {name: value.clone() for name, value in supernet.state_dict().items()}
    recipe = taught_by("frozen", init="somewhere")
    Trainer(supernet, dataset, recipe, folder=tmp_path).train()
    from supernet.models import extract, load_weights

    first = Supernet(space)
    first.load_state_dict(start)
    kept = extract(first, first.largest)
    expected = {name: value.clone() for name, value in kept.state_dict().items()}
    load_weights(tmp_path / "checkpoints" / "teacher.safetensors", kept)
    for name, value in kept.state_dict().items():
        if "running" in name:  # those of a supernet belong to no subnet
            assert not torch.equal(value, expected[name]), name
        elif "batches" not in name:
            assert torch.equal(value, expected[name]), name
    resumed = Trainer(Supernet(space), dataset, recipe, folder=tmp_path)
    resumed.resume(list_checkpoints(tmp_path / "checkpoints")[-1])


@pytest.mark.parametrize(
    ("first", "ema", "own"),
    [
        (Phase(name="largest", epochs=4, lr=0.05), 0.0, True),
        (Phase(name="largest", epochs=4, lr=0.05), 0.9, False),
        (Phase(name="all", epochs=4, lr=0.05, elastic=EVERYTHING), 0.0, False),
    ],
)
def test_the_kept_teacher_has_batch_norm_statistics_of_its_own_weights(
    tmp_path: Path, space: Space, dataset: Dataset, first: Phase, ema: float, *, own: bool
):
    """Those of training are of other weights (`ema`), or of other subnets; else they stay."""
    second = replace(taught_by("frozen", "somewhere").phases[0], name="taught")
    recipe = Recipe(name="own", batch_size=32, phases=(first, second), ema=ema)
    torch.manual_seed(0)
    supernet = Supernet(space)
    left: dict[str, torch.Tensor] = {}

    def after_phase(phase: Phase) -> dict[str, Any]:
        if phase is first:
            left.update({k: v.clone() for k, v in supernet.state_dict().items()})
        return {}

    Trainer(supernet, dataset, recipe, folder=tmp_path, after_phase=after_phase).train()
    from supernet.evaluate import Evaluator
    from supernet.models import extract, load_weights

    after = Supernet(space)
    after.load_state_dict(left)
    plain = extract(after, after.largest)
    measured = Evaluator(after, dataset).network(after.largest)
    kept = extract(after, after.largest)
    load_weights(tmp_path / "checkpoints" / "teacher.safetensors", kept)
    expected = (plain if own else measured).state_dict()
    for name, value in kept.state_dict().items():
        if "batches" not in name:
            torch.testing.assert_close(value, expected[name], msg=name)
    assert not torch.allclose(plain.state_dict()[MEAN], measured.state_dict()[MEAN], rtol=0.05)


@pytest.mark.parametrize("init", ["", "somewhere"])
def test_no_teacher_is_kept_where_no_phase_has_a_frozen_one(
    tmp_path: Path, space: Space, dataset: Dataset, init: str
):
    phase = replace(
        taught_by("frozen", "somewhere").phases[0],
        teacher="in_place",
        subnets=("largest", "random"),
    )
    recipe = Recipe(name="own", batch_size=32, phases=(phase,), init=init)
    Trainer(Supernet(space), dataset, recipe, folder=tmp_path).train()
    (checkpoint,) = list_checkpoints(tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints" / "teacher.safetensors").exists()
    Trainer(Supernet(space), dataset, recipe, folder=tmp_path).resume(checkpoint)
