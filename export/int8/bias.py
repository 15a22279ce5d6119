"""Bias correction: what rounding weights adds to a layer's mean output, taken off again.

Nagel et al., arXiv:1906.04721, section 4.2, with the means of real images.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper
from supernet.export.int8.graphs import WEIGHTED, Links, constants

__all__ = ["Values", "bias_shifts", "mean_inputs", "with_shifted_biases"]

_ERRORS_ONLY = 3
Values = npt.NDArray[np.float64]


def mean_inputs(
    model: onnx.ModelProto, images: Sequence[npt.NDArray[np.generic]]
) -> dict[str, Values]:
    """Mean of each channel of what layers read, by the names of the tensors, shape ``(C,)``.

    Args:
        model: in float.
        images: each ``(1, C, H, W)``.
    """
    read = sorted({node.input[0] for node in _layers(model.graph)})
    own = onnx.ModelProto()
    own.CopyFrom(model)
    given = own.graph.input[0].name
    inside = [name for name in read if name != given]
    del own.graph.output[:]
    own.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inside)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(
        own.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    sums: dict[str, Values] = {}
    for image in images:
        found = dict(zip(inside, session.run(inside, {given: image})))
        for name, values in ({given: image} | found).items():
            axes = tuple(axis for axis in range(values.ndim) if axis != 1)
            sums[name] = sums.get(name, 0.0) + values.mean(axes, dtype=np.float64)
    return {name: sums[name] / len(images) for name in read}


def bias_shifts(
    model: onnx.ModelProto, quantised: onnx.ModelProto, means: Mapping[str, Values]
) -> dict[str, Values]:
    """What is to be added to the biases of layers, by the names of their nodes.

    Zeros around an image count as its mean, which is all that the paper asks for.

    Args:
        model: in float.
        quantised: the same network in QDQ form, with all layers on integers.
        means: of `mean_inputs`.
    """
    weights, integers = constants(model.graph), constants(quantised.graph)
    links, found = Links.of(quantised.graph), {}
    rounded = {node.name: node for node in quantised.graph.node}
    for node in _layers(model.graph):
        maker = links.producer[rounded[node.name].input[1]]
        weight = _oriented(numpy_helper.to_array(weights[node.input[1]]), node)
        error = _oriented(_dequantised(maker, integers), node) - weight
        mean = means[node.input[0]]
        groups = len(mean) // weight.shape[1]
        per_group = mean.reshape(groups, -1).repeat(len(weight) // groups, 0)
        found[node.name] = -(error.reshape(*weight.shape[:2], -1).sum(2) * per_group).sum(1)
    return found


def with_shifted_biases(model: onnx.ModelProto, shifts: Mapping[str, Values]) -> onnx.ModelProto:
    """A copy of a float network with something added to the biases of some layers.

    Each gets a bias of its own: layers may share one.
    """
    own = onnx.ModelProto()
    own.CopyFrom(model)
    held = constants(own.graph)
    for node in _layers(own.graph):
        if node.name not in shifts:
            continue
        before = numpy_helper.to_array(held[node.input[2]]) if len(node.input) > 2 else 0.0
        moved = np.asarray(before + shifts[node.name], np.float32)
        del node.input[2:]
        node.input.append(f"{node.name}_bias")
        own.graph.initializer.append(numpy_helper.from_array(moved, node.input[2]))
    return own


def _layers(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    held = constants(graph)
    kinds = [node for node in graph.node if node.op_type in WEIGHTED[:2]]
    return [node for node in kinds if node.input[1] in held]


def _oriented(weight: npt.NDArray[np.generic], node: onnx.NodeProto) -> Values:
    """A weight with output channels first."""
    found = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    turned = node.op_type == "Gemm" and not found.get("transB", 0)
    oriented: Values = (weight.T if turned else weight).astype(np.float64)
    return oriented


def _dequantised(maker: onnx.NodeProto, held: dict[str, onnx.TensorProto]) -> Values:
    """The numbers that a constant ``DequantizeLinear`` gives."""
    integers, scale, zero = (
        numpy_helper.to_array(held[name]).astype(np.float64) for name in maker.input
    )
    found = {item.name: onnx.helper.get_attribute_value(item) for item in maker.attribute}
    if scale.ndim:
        shape = [1] * integers.ndim
        shape[found.get("axis", 1)] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    values: Values = (integers - zero) * scale
    return values
