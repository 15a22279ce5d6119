"""What runs a file is said, and no newer runtime is asked for than its operators need."""

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from supernet.export.onnx_versions import lowest_runtime, to_oldest_ir


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
