"""Networks of others, and files that phones run, measured by `supernet eval`."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from supernet.export.contract import Source
from supernet.export.registry import exporter
from torch import nn

from supernet.errors import ExportError, MissingPackageError

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

COLUMNS = ("top-1", "latency", "size", "peak memory", "runtime")


def told(found: Any, path: Path) -> dict[str, Any]:
    """What was measured of one file, after a look at what the table says of it."""
    assert found.code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert any(all(name in line for name in COLUMNS) for line in lines), found.stdout
    (row,) = found.json["files"]
    assert Path(row["path"]).name == path.name
    (shown,) = [line for line in lines if line.strip().startswith(path.name)]
    for text in (
        f"{row['top1']:.2f} %",
        f"{row['latency_ms']:.4f} ms",
        f"{row['size_bytes'] / 1e6:.2f} MB",
        f"{row['memory_bytes'] / 1e6:.1f} MB",
        row["runtime"],
    ):
        assert text in shown
    assert row["latency_ms"] > 0
    assert row["memory_bytes"] > 0
    found_row: dict[str, Any] = row
    return found_row


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of a table is broken."""
    monkeypatch.setenv("COLUMNS", "160")


def test_a_network_of_torchvision_is_measured(
    supernet: Command, pictures: str, tmp_path: Path
) -> None:
    """As anybody exports it; of two classes in place of a thousand."""
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    network = models.mobilenet_v3_small(num_classes=2).eval()
    path = tmp_path / "theirs.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, 3, 64, 64),), str(path), dynamo=False)
    given = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--json")
    row = told(supernet("eval", path, "--data", pictures, *given), path)
    assert row["images"] == 12
    assert row["top1"] * 12 / 100 == pytest.approx(round(row["top1"] * 12 / 100))
    assert row["resolution"] == 64
    assert row["size_bytes"] == path.stat().st_size
    assert row["runtime"].startswith("onnxruntime")
    # published: 56.5 M at 224 px, of which the two linear layers have 1.61, here 0.59
    assert row["macs"] == pytest.approx(54.9e6 * (64 / 224) ** 2 + 0.59e6, rel=0.1)


@pytest.mark.slow  # the converter is installed into an environment of its own
def test_a_file_of_litert_is_measured(supernet: Command, pictures: str, tmp_path: Path) -> None:
    try:
        made = exporter("litert")
    except MissingPackageError as error:
        pytest.skip(str(error))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 2, 3), Mean()).eval()
    path = tmp_path / "network.tflite"
    try:
        made.write(Source(network=network, in_channels=3, resolution=24), path)
    except ExportError as error:
        if not str(error).startswith("environment of"):
            raise
        pytest.skip(f"no package index: {str(error).splitlines()[0]}")
    row = told(supernet("eval", path, "--data", pictures, "--json"), path)
    assert row["runtime"].startswith("ai-edge-litert")
    assert row["images"] == 12
    assert row["size_bytes"] == path.stat().st_size
    images = np.zeros((1, 3, 24, 24), np.float32)
    assert made.open(path).logits([images]).shape == (1, 2)


class Mean(nn.Module):
    """Of all pixels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))
