"""Files of others that do not run here say why."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from supernet.export.formats.onnx import open_onnx

from supernet.errors import FileFormatError


def in_doubles(path: Path, node: onnx.NodeProto) -> Path:
    """A network that reads float64."""
    weights = numpy_helper.from_array(np.ones((10, 1, 8, 8)), "w")
    graph = helper.make_graph(
        [node],
        "doubles",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [weights] if "w" in node.input else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return path


def test_float64_is_named_where_the_runtime_has_no_such_operator(tmp_path: Path) -> None:
    path = in_doubles(tmp_path / "a.onnx", helper.make_node("Conv", ["x", "w"], ["y"]))
    for model in (path, path.read_bytes()):
        with pytest.raises(FileFormatError, match="ONNX Runtime refuses it") as error:
            open_onnx(model)
        assert error.value.hint.startswith("it reads float64, which ONNX Runtime does not compute")
    path.write_bytes(b"no network")
    with pytest.raises(FileFormatError, match="ONNX Runtime refuses it") as error:
        open_onnx(path)
    assert not error.value.hint


def test_float64_is_named_where_the_runtime_has_the_operator(tmp_path: Path) -> None:
    path = in_doubles(tmp_path / "a.onnx", helper.make_node("Flatten", ["x"], ["y"]))
    with pytest.raises(FileFormatError, match=r"found float64 \[1, 1, 8, 8\]") as error:
        open_onnx(path)
    assert "float32 or float16 or uint8 images" in error.value.hint
