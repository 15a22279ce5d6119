"""How pictures become pixels, from the command line to the exported file."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from supernet.reading import Fit
from supernet.runs import Run
from tests.cli.conftest import Command, write_pictures

pytestmark = pytest.mark.cli

BROKEN = ("train/dark/3.png", "val/light/1.png")


@pytest.fixture
def wide(tiny_yaml: Path) -> str:
    """Pictures of 60 x 20 pixels whose class is told by their ends alone; two are broken."""
    rng = np.random.default_rng(0)

    def drawn(index: int) -> np.ndarray:
        pixels = rng.integers(100, 150, (20, 60, 3))
        pixels[:, :20] = pixels[:, 40:] = 250 * index
        return pixels

    write_pictures(tiny_yaml / "wide", drawn)
    for name in BROKEN:
        (tiny_yaml / "wide" / name).write_bytes(b"no image")
    return "wide"


def trained(supernet: Command, wide: str, fit: Fit) -> Run:
    command = ("train", "--data", wide, "--fit", fit, "--skip-broken", "--space", "tiny.yaml")
    made = supernet(
        *command, "--recipe", "recipe.yaml", "--epochs", 1, "--batch-size", 16, "--run", "mine"
    )
    assert made.code == 0, made.stderr
    assert "2 of 92 images cannot be decoded and are left out; they are listed in" in made.stderr
    run = Run(Path("mine"))
    reading = run.config().reading
    assert (reading.fit, reading.left_out) == (fit, BROKEN)
    return run


def test_a_training_keeps_how_pictures_were_read(supernet: Command, wide: str) -> None:
    dataset = trained(supernet, wide, "pad").dataset()
    pixels = dataset.test.pixels(slice(None)).astype(int)
    assert len(pixels) == 11  # without the broken one
    middle = pixels.shape[1] // 2
    assert pixels[:, [0, 1, -2, -1]].max() < 8  # black above and below
    assert pixels[:, middle, 0].max(axis=1).tolist() == pytest.approx(
        (250 * dataset.test.labels).tolist(), abs=8
    )  # the ends are seen


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_search_export_and_evaluation_read_pictures_as_the_training_did(
    supernet: Command, wide: str, fit: Fit
) -> None:
    run = trained(supernet, wide, fit)
    searched = supernet("search", "--run", "mine", "--pairs", 10, "--budget", 500)
    assert searched.code == 0, searched.stderr
    exported = supernet("export", "--onnx", "--run", "mine", "-o", "net", "--json")
    assert exported.code == 0, exported.stderr
    assert exported.json["images"] == 11
    assert exported.json["top1"] == exported.json["torch_top1"]
    facts = {
        item.key: json.loads(item.value) for item in onnx.load("net/model.onnx").metadata_props
    }
    assert facts["fit"] == fit
    evaluated = supernet("eval", "net/model.onnx", "--run", "mine", "--json")
    assert evaluated.code == 0, evaluated.stderr
    (found,) = evaluated.json["files"]
    assert (found["images"], found["top1"]) == (11, exported.json["top1"])
    assert run.config().reading.fit == fit
