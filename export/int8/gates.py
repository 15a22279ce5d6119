"""Hard-swish and hard-sigmoid on 8-bit integers.

ONNX Runtime has neither for integers: left alone, each is an island of float between a
dequantisation and a quantisation, whose four passes over memory take a seventh of the time of
MobileNetV3. Both are a gate ``clip(x + 3, 0, 6) / 6``. Adding 3 is an operator that it has;
clipping is what quantisation to the range from 0 to 6 does by itself; and to divide by 6, the
same integers are read with a sixth of the scale. So

    hard_sigmoid(x) = read(quantise(x + 3, 6 / 255), 1 / 255)
    hard_swish(x)   = x * hard_sigmoid(x)

with an error of the gate of at most half of 1 / 255. Below -3 both are 0 (from 3 on
hard-sigmoid is 1), so that nothing is lost if ranges end there (`narrowed`), and the integers
are finer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from supernet.export.int8.graphs import Links, replace_nodes

__all__ = ["GATES", "Range", "narrowed", "with_integer_gates"]

GATES = ("HardSwish", "HardSigmoid")
Range = tuple[float, float]

_SIXTH = 1 / 6  # slope of hard-sigmoid
_CONSTANTS: dict[str, Any] = {
    "gate_three": np.array(255, np.uint8),
    "gate_three_scale": np.array(3 / 255, np.float32),
    "gate_six_scale": np.array(6 / 255, np.float32),
    "gate_one_scale": np.array(1 / 255, np.float32),
    "gate_zero": np.array(0, np.uint8),
}


def narrowed(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Ranges without what the gates cut off: below -3, of hard-sigmoid also above 3."""
    links, found = Links.of(model.graph), dict(ranges)
    for name, (low, high) in ranges.items():
        if links.only_read_by(name, GATES):
            top = 3.0 if links.only_read_by(name, ("HardSigmoid",)) else np.inf
            found[name] = (max(low, -3.0), min(high, top))
    return found


def with_integer_gates(model: onnx.ModelProto) -> onnx.ModelProto:
    """A quantised model whose gates between integers run on integers, too.

    Args:
        model: in QDQ form; changed in place.
    """
    graph = model.graph
    links, nodes, replaced = Links.of(graph), [], False
    dropped: set[str] = set()
    for node in graph.node:
        if node.name in dropped:
            continue
        if node.op_type in GATES and _is_between_integers(node, links):
            made, old = _gate(node, links)
            nodes += made
            dropped |= old
            replaced = True
        else:
            nodes.append(node)
    if replaced:
        for name, array in _CONSTANTS.items():
            graph.initializer.append(numpy_helper.from_array(array, name))
        replace_nodes(graph, [node for node in nodes if node.name not in dropped])
    return model


def _is_between_integers(node: onnx.NodeProto, links: Links) -> bool:
    """Whether a gate reads what was dequantised, what it gives is quantised, and it is ours."""
    before = links.producer.get(node.input[0])
    slope = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    ours = node.op_type == "HardSwish" or (
        abs(slope.get("alpha", 0.2) - _SIXTH) < 1e-6 and slope.get("beta", 0.5) == 0.5
    )
    return (
        ours
        and before is not None
        and before.op_type == "DequantizeLinear"
        and links.only_read_by(node.output[0], ("QuantizeLinear",))
    )


def _gate(node: onnx.NodeProto, links: Links) -> tuple[list[onnx.NodeProto], set[str]]:
    """Nodes of a gate, and the names of those that they replace."""
    x, y, name = node.input[0], node.output[0], node.name
    make = onnx.helper.make_node
    read = f"{y}_gate"
    made = [
        make(
            "DequantizeLinear",
            ["gate_three", "gate_three_scale", "gate_zero"],
            [f"{y}_three"],
            name=f"{name}_three",
        ),
        make("Add", [x, f"{y}_three"], [f"{y}_sum"], name=f"{name}_sum"),
        make(
            "QuantizeLinear",
            [f"{y}_sum", "gate_six_scale", "gate_zero"],
            [f"{y}_integers"],
            name=f"{name}_clip",
        ),
    ]
    if node.op_type == "HardSwish":
        one = [f"{y}_integers", "gate_one_scale", "gate_zero"]
        made.append(make("DequantizeLinear", one, [read], name=f"{name}_gate"))
        made.append(make("Mul", [x, read], [y], name=f"{name}_product"))
        return made, set()
    # the integers are quantised as they should be: who would quantise them again reads them
    again = links.readers[y]
    readers = [reader for q in again for reader in links.readers[q.output[0]]]
    one = [f"{y}_integers", "gate_one_scale", "gate_zero"]
    for number, reader in enumerate(readers):
        made.append(make("DequantizeLinear", one, [reader.output[0]], name=f"{name}_read{number}"))
    return made, {q.name for q in again} | {reader.name for reader in readers}
