"""What runs a file is said, and no newer runtime is asked for than its operators need."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from supernet.export import Source
from supernet.export.direct import drawn
from supernet.export.formats.onnx import Onnx
from supernet.export.onnx_versions import (
    check_opset,
    lowest_runtime,
    newest_opset,
    to_oldest_ir,
)
from torch import Tensor, nn

from supernet.errors import ConfigError
from supernet.latency.kit.graph import OPSET
from supernet.latency.kit.proto import IR_VERSION
from supernet.models import Network
from supernet.space import Precision, decode, load_space, operators, smallest


def model(opset: int) -> onnx.ModelProto:
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", shape[:1], shape[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.mark.parametrize(
    ("opset", "ir", "runtime"),
    [
        (11, 6, "1.0"),
        (17, 8, "1.12"),
        (18, 8, "1.14"),
        (19, 9, "1.15"),
        (21, 10, "1.18"),
        (22, 10, "1.21"),
    ],
)
def test_the_oldest_representation_and_runtime(opset: int, ir: int, runtime: str) -> None:
    made = model(opset)
    to_oldest_ir(made)
    assert made.ir_version == ir
    assert lowest_runtime(made) == runtime


def test_of_an_opset_that_came_later_the_installed_runtime_is_named() -> None:
    assert lowest_runtime(model(99)) == onnxruntime.__version__


class Convolved(nn.Module):
    """A network of somebody else."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.classifier = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` to ``(N, 2)``."""
        logits: Tensor = self.classifier(self.convolution(x).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("own", "precision"),
    [
        (True, "fp32"),
        (True, "int8"),
        (False, "fp32"),  # by torch's exporter, which writes IR 10
        pytest.param(False, "int8", marks=pytest.mark.slow),
    ],
)
def test_a_written_file_has_the_representation_of_kits(
    tmp_path: Path, own: bool, precision: Precision
) -> None:
    """Devices are measured by these: what they measured, they can load."""
    space = replace(load_space("demo"), num_classes=10)
    subnet = decode(space, smallest(space))[0]
    network = Network(operators(space, subnet)) if own else Convolved()
    size = subnet.resolution
    source = Source(
        network=network.eval(),
        in_channels=3,
        resolution=size,
        calibration=[torch.randn(8, 3, size, size)],
        opset=OPSET,
    )
    assert drawn(source) == own
    Onnx().write(source, tmp_path / "a.onnx", precision)
    assert onnx.load(tmp_path / "a.onnx").ir_version <= IR_VERSION


@pytest.fixture
def old_runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A runtime that loads files up to opset 22, and integers up to 20."""
    plain = onnxruntime.InferenceSession

    def session(data: bytes, *more: Any, **options: Any) -> Any:
        model = onnx.load_from_string(data)
        integers = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
        if model.opset_import[0].version > (20 if integers else 22):
            raise RuntimeError("NOT_IMPLEMENTED")
        return plain(data, *more, **options)

    newest_opset.cache_clear()
    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    yield
    newest_opset.cache_clear()


@pytest.mark.usefixtures("old_runtime")
def test_opsets_end_where_the_installed_runtime_does() -> None:
    assert (newest_opset(), newest_opset(int8=True)) == (22, 20)
    check_opset(22)
    check_opset(20, int8=True)
    with pytest.raises(ConfigError, match="opset: must be from 18 to 22, found 23"):
        check_opset(23)
    with pytest.raises(ConfigError, match="18 to 20 for 8-bit integers, found 22"):
        check_opset(22, int8=True)


def test_what_is_installed_runs_the_opset_that_is_usual() -> None:
    assert 18 <= newest_opset(int8=True) <= newest_opset() <= onnx.defs.onnx_opset_version()
