"""Multiply-adds of an ONNX graph."""

from collections.abc import Mapping, Sequence
from math import prod

import onnx

from supernet.errors import FileFormatError

__all__ = ["onnx_macs"]


_WEIGHT = {
    "Conv": 1,
    "ConvInteger": 1,
    "ConvTranspose": 1,
    "QLinearConv": 3,
    "Gemm": 1,
    "MatMul": 1,
    "MatMulInteger": 1,
    "QLinearMatMul": 3,
}
"""Which input of an operator its second factor is."""
_UNCOUNTED = frozenset(
    [
        "Attention",
        "Einsum",
        "GRU",
        "If",
        "LSTM",
        "Loop",
        "RNN",
        "Scan",
        "DynamicQuantizeMatMul",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "MultiHeadAttention",
        "NhwcFusedConv",
        "QAttention",
        "QGemm",
        "QLinearConvTranspose",
    ]
)
"""Operators that multiply as well, in ways that are not counted here."""


def onnx_macs(model: onnx.ModelProto, shape: Sequence[int] = ()) -> int:
    """Multiply-adds of one image in convolutions and products, as `total_macs` counts.

    Quantised graphs in QDQ form count alike, and so do operators on integers.

    Args:
        model: the graph.
        shape: of its input, where sizes of it may vary.

    Raises:
        FileFormatError: shapes that cannot be inferred, or operators that are not counted.
    """
    graph = _inferred(model, shape)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        sizes = info.type.tensor_type.shape.dim
        shapes[info.name] = tuple(size.dim_value for size in sizes)
    total = 0
    for node in graph.node:
        if node.op_type in _UNCOUNTED:
            raise FileFormatError(f"{node.name}: multiply-adds of {node.op_type} are not counted")
        if node.op_type in _WEIGHT:
            total += _node_macs(node, shapes)
    return total


def _inferred(model: onnx.ModelProto, shape: Sequence[int]) -> onnx.GraphProto:
    """The graph with all shapes that follow from those of its input.

    Raises:
        FileFormatError: they contradict each other.
    """
    if shape:
        model = onnx.ModelProto.FromString(model.SerializeToString())
        model.graph.ClearField("value_info")  # in which sizes may vary as well
        held = {tensor.name for tensor in model.graph.initializer}  # old files list them as inputs
        given = next(one for one in model.graph.input if one.name not in held)
        for size, value in zip(given.type.tensor_type.shape.dim, shape):
            size.dim_value = value
    try:
        return onnx.shape_inference.infer_shapes(model).graph
    except onnx.shape_inference.InferenceError as error:
        raise FileFormatError(f"the graph: its shapes contradict each other: {error}") from error


def _node_macs(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    weight, out = shapes.get(node.input[_WEIGHT[node.op_type]]), shapes.get(node.output[0])
    if node.op_type == "ConvTranspose":  # each value of the image meets a window of the output
        out = shapes.get(node.input[0])
    if not weight or not out or 0 in (*weight, *out[1:]):
        raise FileFormatError(f"{node.name}: its shapes cannot be inferred")
    # behind it a matrix, or one for each image, of which the number may vary
    convolves = "Conv" in node.op_type
    window = prod(weight[1:]) if convolves else prod(weight[-2:]) // out[-1]
    return window * prod(out[1:])
