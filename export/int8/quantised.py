"""A graph on 8-bit integers, by ONNX Runtime's static quantisation."""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from supernet.export.int8.gates import Range, narrowed, with_integer_gates
from supernet.export.int8.graphs import layers_of
from supernet.export.int8.ranges import quiet

__all__ = ["quantised"]

_KINDS = sorted({*QDQRegistry, *QLinearOpsRegistry} - {"Softmax"})  # probabilities stay fine


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
    return with_integer_gates(quantiser.model.model)
