"""`model.py` needs torch alone, knows every block, and replaces nobody's file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from supernet.export.contract import Source
from supernet.export.formats.pytorch import PyTorch
from supernet.export.plain_model import Gate
from torch import nn

from supernet.errors import ExportError, FileFormatError
from supernet.models import Network
from supernet.space import Space, decode, largest_subnet, operators, sample
from tests.cells import SMALL


def network_of(space: Space, *, seed: int | None = None) -> Source:
    drawn = sample(space, 1, np.random.default_rng(seed))
    subnet = largest_subnet(space) if seed is None else decode(space, drawn)[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = Network(operators(space, subnet)).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return Source(network=network, in_channels=space.in_channels, resolution=subnet.resolution)


def test_every_kind_of_block_is_known(any_space: Space, tmp_path: Path) -> None:
    check_same(network_of(any_space), tmp_path)


@pytest.mark.parametrize("name", ["nasnet_mobile", "darts_cifar", "demo_cells", "flat"])
def test_cells_are_known(name: str, tmp_path: Path) -> None:
    for seed in range(2):
        check_same(network_of(SMALL[name], seed=seed), tmp_path)


def check_same(source: Source, tmp_path: Path) -> None:
    """A file computes what its network does."""
    path = tmp_path / "model.safetensors"
    PyTorch().write(source, path)
    images = torch.randn(3, *source.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = source.network(images).numpy()
    found = PyTorch().open(path).logits([images])
    assert np.allclose(found, expected, rtol=0, atol=1e-6)  # on another number of threads


def test_the_code_beside_it_needs_torch_alone(tiny_space: Space, tmp_path: Path) -> None:
    source = network_of(tiny_space)
    PyTorch().write(source, tmp_path / "model.safetensors")
    images = torch.ones(2, *source.shape)
    code = (
        "import sys\n"
        "for name in ('numpy', 'safetensors', 'supernet'): sys.modules[name] = None\n"
        "import torch\n"
        "from model import load\n"
        f"out = load('model.safetensors')(torch.ones({tuple(images.shape)}))\n"
        "print(*out.flatten().tolist())\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with torch.inference_mode():
        expected = source.network(images).flatten()
    assert np.allclose([float(part) for part in done.stdout.split()], expected, atol=1e-6)


def test_several_networks_share_the_code(tiny_space: Space, tmp_path: Path) -> None:
    for seed in (1, 2):
        PyTorch().write(network_of(tiny_space, seed=seed), tmp_path / f"n{seed}.safetensors")
    for seed in (1, 2):
        assert PyTorch().open(tmp_path / f"n{seed}.safetensors").logits(
            [torch.zeros(1, *network_of(tiny_space, seed=seed).shape)]
        ).shape == (1, 5)


def test_a_file_of_somebody_else_is_not_replaced(tiny_space: Space, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("my_own = 1\n")
    with pytest.raises(ExportError, match=r"model\.py: is there already") as caught:
        PyTorch().write(network_of(tiny_space), tmp_path / "model.safetensors")
    assert caught.value.hint == "export to another folder"
    assert (tmp_path / "model.py").read_text() == "my_own = 1\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_weights_without_layers_are_refused(tmp_path: Path) -> None:
    import safetensors.torch

    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(FileFormatError, match="weights without the layers"):
        PyTorch().open(path)


def test_what_is_not_of_this_project_is_refused(tmp_path: Path) -> None:
    source = Source(network=torch.nn.Flatten(), in_channels=1, resolution=8)
    with pytest.raises(ExportError, match="expected a network of this project"):
        PyTorch().write(source, tmp_path / "model.safetensors")


def test_gates_of_older_files_are_relu_with_a_hard_one() -> None:
    for layer, act, gate in (
        (Gate(8, 4), nn.ReLU, nn.Hardsigmoid),
        (Gate(8, 4, "swish"), nn.SiLU, nn.Sigmoid),
        (Gate(8, 4, "relu", False), nn.ReLU, nn.Sigmoid),
        (Gate(8, 4, "hard_swish", True), nn.Hardswish, nn.Hardsigmoid),
    ):
        assert (type(layer.act), type(layer.gate)) == (act, gate)
