"""A graph on 8-bit integers, by ONNX Runtime's static quantisation."""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from supernet.export.int8.gates import Range, narrowed, with_integer_gates
from supernet.export.int8.graphs import WEIGHTED, Links, constants, layers_of, replace_nodes
from supernet.export.int8.ranges import quiet

__all__ = ["quantised"]

_LOWEST = "lowest_float"
_KINDS = sorted({*QDQRegistry, *QLinearOpsRegistry} - {"Softmax", "BatchNormalization"})
"""Probabilities stay fine; a batch norm by itself runs in float, and with it its factors."""


def quantised(
    model: onnx.ModelProto,
    ranges: Mapping[str, Range],
    *,
    in_float: Collection[str] = (),
    only: Collection[str] | None = None,
    reduce_range: bool = False,
) -> onnx.ModelProto:
    """The same network in QDQ form: unsigned activations, signed weights, a scale a channel.

    Args:
        model: prepared (`supernet.export.int8.graphs.prepared`); it is left as it is.
        ranges: of every activation.
        in_float: layers that stay in float (names of `layers_of`).
        only: quantise these layers alone.
        reduce_range: weights of 7 bits, which processors without VNNI need: they add two
            products in 16 bits, and those of 8 bits do not fit.
    """
    layers = layers_of(model.graph)
    kept = set(in_float) if only is None else set(layers) - set(only)
    data = {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in narrowed(model, ranges).items()
    }
    own = onnx.ModelProto()
    own.CopyFrom(model)
    if kept.issuperset(layers):  # what stands between float layers gains nothing on integers
        return own
    with quiet():
        quantiser = QDQQuantizer(
            own,
            True,  # a scale for each channel; it takes no keywords before 1.20
            reduce_range,
            QuantType.QInt8,
            QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, data),
            [],
            [node for layer in kept for node in layers[layer]],
            _KINDS,
            {},
        )
        quantiser.quantize_model()
        quantiser.model.topological_sort()
    return _fenced(with_integer_gates(quantiser.model.model))


def _fenced(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model whose float layers between integers stay in float.

    ONNX Runtime would quantise the weights of such a layer by itself, with one scale for all
    channels. It does not where an operator stands between, here one that changes no number.

    Args:
        model: in QDQ form; changed in place.
    """
    graph = model.graph
    held, links = constants(graph), Links.of(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        if node.op_type not in WEIGHTED or node.input[1] not in held:
            continue
        before = links.producer.get(node.input[0])
        if before is not None and before.op_type == "DequantizeLinear":
            output, inside = node.output[0], f"{node.output[0]}_float"
            node.output[0] = inside
            fence = onnx.helper.make_node("Max", [inside, _LOWEST], [output])
            fence.name = f"{node.name}_fence"
            nodes.append(fence)
    if len(nodes) > len(graph.node):
        lowest = np.array(np.finfo(np.float32).min, np.float32)
        graph.initializer.append(numpy_helper.from_array(lowest, _LOWEST))
        replace_nodes(graph, nodes)
    return model
