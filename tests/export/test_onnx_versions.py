"""What runs a file is said, and no newer runtime is asked for than its operators need."""

from collections.abc import Iterator
from typing import Any

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from supernet.export.onnx_versions import (
    check_opset,
    lowest_runtime,
    newest_opset,
    to_oldest_ir,
)

from supernet.errors import ConfigError


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
