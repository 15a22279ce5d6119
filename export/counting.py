"""Multiply-adds of an ONNX graph."""

from collections.abc import Sequence
from math import prod

import onnx

from supernet.errors import FileFormatError

__all__ = ["onnx_macs"]


def onnx_macs(model: onnx.ModelProto, shape: Sequence[int] = ()) -> int:
    """Multiply-adds of one image in convolutions and products, as `total_macs` counts.

    Quantised graphs in QDQ form count alike.

    Args:
        model: the graph.
        shape: of its input, where sizes of it may vary.

    Raises:
        FileFormatError: shapes that cannot be inferred.
    """
    if shape:
        given = onnx.ModelProto.FromString(model.SerializeToString())
        given.graph.ClearField("value_info")  # in which sizes may vary as well
        sizes = given.graph.input[0].type.tensor_type.shape.dim
        for size, value in zip(sizes, shape):
            size.dim_value = value
        model = given
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        sizes = info.type.tensor_type.shape.dim
        shapes[info.name] = tuple(size.dim_value for size in sizes)
    total = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight, out = shapes.get(node.input[1]), shapes.get(node.output[0])
        if not weight or not out or 0 in (*weight, *out[1:]):
            raise FileFormatError(f"{node.name}: its shapes cannot be inferred")
        # behind it a matrix, or one for each image, of which the number may vary
        convolves = node.op_type == "Conv"
        window = prod(weight[1:]) if convolves else prod(weight[-2:]) // out[-1]
        total += window * prod(out[1:])
    return total
