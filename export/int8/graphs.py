"""ONNX graphs: who makes a tensor, who reads it, and to which layer a node belongs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

__all__ = ["WEIGHTED", "Links", "constants", "layers_of", "prepared", "replace_nodes"]

WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")
_ROWS_AND_COLUMNS = [2, 3]


@dataclass(frozen=True, eq=False, slots=True)
class Links:
    """Producers and readers of the tensors of a graph."""

    producer: dict[str, onnx.NodeProto]
    readers: dict[str, list[onnx.NodeProto]]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> "Links":
        """Those of a graph."""
        readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                readers[name].append(node)
        return cls({name: node for node in graph.node for name in node.output}, readers)

    def only_read_by(self, tensor: str, kinds: Sequence[str]) -> bool:
        """Whether some node reads a tensor, and all that do are of `kinds`."""
        found = self.readers.get(tensor, [])
        return bool(found) and all(node.op_type in kinds for node in found)


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Initialisers by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in operators that run on integers, with all shapes known.

    A mean over rows and columns becomes a global pooling, which ONNX Runtime has for 8-bit
    integers. Every node gets a name.
    """
    own = onnx.ModelProto()
    own.CopyFrom(model)
    weights = constants(own.graph)
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(own.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{number}"
        nodes += _pooled(node, weights) if node.op_type == "ReduceMean" else [node]
    replace_nodes(own.graph, nodes)
    return onnx.shape_inference.infer_shapes(own)


def _pooled(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> list[onnx.NodeProto]:
    found = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    axes = list(found.get("axes", []))
    if len(node.input) > 1 and node.input[1] in weights:
        axes = numpy_helper.to_array(weights[node.input[1]]).tolist()
    if axes not in (_ROWS_AND_COLUMNS, [-2, -1], [-1, -2]):
        return [node]
    x, y = node.input[0], node.output[0]
    if found.get("keepdims", 1):
        return [onnx.helper.make_node("GlobalAveragePool", [x], [y], name=node.name)]
    middle = f"{y}_pooled"
    return [
        onnx.helper.make_node("GlobalAveragePool", [x], [middle], name=node.name),
        onnx.helper.make_node("Flatten", [middle], [y], name=f"{node.name}_flat", axis=1),
    ]


def replace_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Give a graph other nodes, and drop the initialisers that none of them reads."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    used = {name for node in copies for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def layers_of(graph: onnx.GraphProto) -> dict[str, tuple[str, ...]]:
    """Names of nodes by layer: one that has weights, and what follows it until the next.

    A node without weights belongs to the last layer that it reads from. Layers are named by
    their weights, as torch names the module (``layers.3.depthwise.conv``).
    """
    weights = constants(graph)
    order: list[str] = []
    members: dict[str, list[str]] = {}
    layer_of: dict[str, str] = {}
    for node in graph.node:
        own = [name for name in node.input if name in weights]
        if node.op_type in WEIGHTED and own:
            layer = _layer_name(own[0], node.name)
            order.append(layer)
            members.setdefault(layer, [])
        else:
            from_layers = [layer_of[name] for name in node.input if name in layer_of]
            if not from_layers:
                continue
            layer = max(from_layers, key=order.index)
        members[layer].append(node.name)
        layer_of |= dict.fromkeys(node.output, layer)
    return {layer: tuple(names) for layer, names in members.items()}


def _layer_name(weight: str, node: str) -> str:
    name = weight.removesuffix(".weight")
    return name if name != weight else node
