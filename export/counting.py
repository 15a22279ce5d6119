"""Multiply-adds of an ONNX graph."""

from math import prod

import onnx

from supernet.errors import FileFormatError

__all__ = ["onnx_macs"]


def onnx_macs(model: onnx.ModelProto) -> int:
    """Multiply-adds of one image in convolutions and products, as `total_macs` counts.

    Quantised graphs in QDQ form count alike.

    Raises:
        FileFormatError: shapes that cannot be inferred.
    """
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
        if not weight or not out:
            raise FileFormatError(f"{node.name}: its shapes cannot be inferred")
        # behind it a matrix, or one for each image, of which the number may vary
        convolves = node.op_type == "Conv"
        window = prod(weight[1:]) if convolves else prod(weight[-2:]) // out[-1]
        total += window * prod(out[1:])
    return total
