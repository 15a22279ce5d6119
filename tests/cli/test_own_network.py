"""A network of one's own file: as a start, and as a teacher."""

import shlex
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from supernet.models import Supernet
from supernet.models.own import own_network
from supernet.runs import Run
from supernet.workflow.any_cnn import convert
from supernet.workflow.start import start_from
from tests.cli.conftest import Command

pytestmark = pytest.mark.cli

MINE = """
    import torch
    from torch import nn

    MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.25, 0.2)


    def conv(before, after, kernel, stride, groups=1):
        layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())


    def build():
        torch.manual_seed(3)
        return nn.Sequential(
            conv(3, 8, 3, 2),
            conv(8, 8, 5, 2, groups=8),
            conv(8, 16, 1, 1)[:2],
            conv(16, 32, 1, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 2),
        )
"""


@pytest.fixture
def mine(tiny_yaml: Path) -> Path:
    path = tiny_yaml / "mine.py"
    path.write_text(dedent(MINE), encoding="utf-8")
    return path


@pytest.mark.usefixtures("impatient")
def test_a_training_starts_from_it_in_one_command(
    supernet: Command, pictures: str, mine: Path
) -> None:
    """The space is made around it; afterwards the file is not needed."""
    trained = supernet(
        *("train", "--data", pictures, "--init", "mine.py:build", "--run", "mine"),
        *("--epochs", 0.4, "--batch-size", 16, "--json"),
    )
    assert trained.code == 0, trained.stderr
    run = Run(Path("mine"))
    config = run.config()
    assert (config.mean, config.std) == ((0.5, 0.4, 0.3), (0.25, 0.25, 0.2))
    assert config.recipe["init"] == f"{mine}:build"
    space = run.space()
    assert (space.stem.width, space.stages[0].kernel) == ((8,), (3, 5))
    # a few small steps: filters are nearly those of the file, in an order of importance
    torch.manual_seed(3)
    filters = torch.nn.Conv2d(3, 8, 3, 2, 1, bias=False).weight.detach().flatten(1)
    (found,) = (v for v in load_file(run.weights()).values() if v.shape == (8, 3, 3, 3))
    apart = torch.cdist(filters, found.flatten(1)).min(1).values / filters.norm(dim=1)
    assert float(apart.max()) < 0.2
    mine.unlink()
    assert supernet("train", "--resume", "--run", "mine").code == 0
    searched = supernet("search", "--run", "mine", "--pairs", 10, "--budget", 500)
    assert searched.code == 0, searched.stderr


@pytest.mark.parametrize("said", [True, False])
def test_a_file_without_mean_and_std_is_told(mine: Path, said: bool) -> None:
    if not said:
        lines = mine.read_text(encoding="utf-8").splitlines()
        mine.write_text("\n".join(line for line in lines if "MEAN" not in line), encoding="utf-8")
    source, heard = f"{mine}:build", list[str]()
    space = convert(source, own_network(source), size=32).space
    start_from(Supernet(space), source, lambda done, total, text: heard.append(text))
    assert ("no MEAN and STD in it" in heard[-1]) == (not said)


def test_it_teaches(supernet: Command, pictures: str, tiny_yaml: Path, mine: Path) -> None:
    phase = {
        "name": "all",
        "epochs": 0.4,
        "lr": 0.1,
        "elastic": {"kernel": 0},
        "distill": 0.5,
        "teacher": "mine.py:build",
    }
    recipe = {"format": "supernet.recipe", "version": 1, "name": "taught", "phases": [phase]}
    YAML().dump({**recipe, "batch_size": 16}, tiny_yaml / "taught.yaml")
    trained = supernet(
        *("train", "--data", pictures, "--space", "tiny.yaml", "--recipe", "taught.yaml"),
        *("--run", "taught", "--json"),
    )
    assert trained.code == 0, trained.stderr
    (kept,) = Run(Path("taught")).config().recipe["phases"]
    assert kept["teacher"] == f"{mine}:build"


def test_the_space_is_written_and_the_next_command_told(supernet: Command, mine: Path) -> None:
    made = supernet("spaces", "from", "mine.py:build", "--size", 32, "-o", "space.yaml")
    assert made.code == 0, made.stderr
    assert "train:  supernet train --data FOLDER --space space.yaml --init mine.py:build" in (
        made.stdout
    )


def test_a_told_command_is_what_a_shell_takes(supernet: Command, mine: Path) -> None:
    """Whatever the names of folders are."""
    Path("my spaces").mkdir()
    place = "my spaces/it's one.yaml"
    made = supernet("spaces", "from", "mine.py:build", "--size", 32, "-o", place)
    assert made.code == 0, made.stderr
    told = made.stdout.splitlines()[-1].partition(":")[2]
    words = ["--data", "FOLDER", "--space", place, "--init", "mine.py:build"]
    assert shlex.split(told) == ["supernet", "train", *words]


def test_one_number_normalises_all_channels(supernet: Command, pictures: str, mine: Path) -> None:
    text = mine.read_text(encoding="utf-8")
    mine.write_text(text.replace("(0.5, 0.4, 0.3), (0.25, 0.25, 0.2)", "(0.5,), (0.25,)"), "utf-8")
    made = supernet("spaces", "from", "mine.py:build", "--size", 32, "-o", "space.yaml")
    assert made.code == 0, made.stderr
    trained = supernet(
        *("train", "--data", pictures, "--init", "mine.py:build", "--space", "space.yaml"),
        *("--recipe", "demo", "--epochs", 0.4, "--batch-size", 16, "--run", "mine"),
    )
    assert trained.code == 0, trained.stderr
    config = Run(Path("mine")).config()
    assert (config.mean, config.std) == ((0.5,) * 3, (0.25,) * 3)


def test_computed_weights_are_told(supernet: Command, mine: Path) -> None:
    text = mine.read_text(encoding="utf-8")
    layer = "layer = nn.utils.parametrizations.weight_norm(nn.Conv2d("
    text = text.replace("layer = nn.Conv2d(", layer).replace("bias=False)", "bias=False))")
    mine.write_text(text, "utf-8")
    refused = supernet("spaces", "from", "mine.py:build", "--size", 32, "-o", "space.yaml")
    assert refused.code == 2
    assert "is a convolution whose weight is computed, as by weight_norm" in refused.stderr


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("none.py:build", "none.py: no such file"),
        ("mine.py:built", "no function 'built' in it; did you mean 'build'?"),
        ("timm:resnet188", "did you mean"),
        ("timm:convnext_tiny", "--init timm:convnext_tiny: stem.0 is a convolution of 4x4"),
    ],
)
def test_what_cannot_be_started_from_is_told_before_any_run(
    supernet: Command, pictures: str, mine: Path, source: str, why: str
) -> None:
    failed = supernet("train", "--data", pictures, "--init", source)
    assert (failed.code, failed.stderr.count("error:")) == (2, 1)
    assert why in failed.stderr
    assert not Path("runs").exists()
