"""A float graph in the form in which int8 files are exported.

Around what runs on 8-bit integers, every tensor is quantised and dequantised at once
(QDQ form); the runtime fuses these pairs away. ReLU and clipping vanish into the
range of what they follow, if they alone read it. Scales are as random as the weights: time
does not depend on them. Hard-swish and hard-sigmoid are gates of integers (see
`supernet.export.int8.gates`), a mean over rows and columns is a global pooling. A test
compares what the runtime makes of it with what it makes of an exported file.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from supernet.latency.kit.proto import Graph, Node

__all__ = ["quantised"]

_INTEGER = {"Conv", "Gemm", "Add", "Mul", "Sigmoid", "AveragePool", "MaxPool"}
_INTEGER |= {"HardSwish", "HardSigmoid", "ReduceMean", "Reshape"}
_INTEGER |= {"MatMul", "Softmax", "Transpose", "Concat"}
_GATES = {"HardSwish", "HardSigmoid"}
_IN_RANGE = {"Relu", "Clip"}  # become the lower and upper end of a range
_SAME_SCALE = {"AveragePool", "MaxPool", "Reshape", "Transpose"}
_WITH_WEIGHTS = {"Conv", "Gemm"}
_GATE = {
    "gate_three": np.array(255, np.uint8),
    "gate_three_scale": np.array(3 / 255, np.float32),
    "gate_six_scale": np.array(6 / 255, np.float32),
    "gate_one_scale": np.array(1 / 255, np.float32),
    "gate_zero": np.array(0, np.uint8),
}


def quantised(graph: Graph) -> Graph:
    """The same network on 8-bit integers."""
    return _Quantiser(graph).run()


class _Quantiser:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._weights: dict[str, Any] = {}
        self._name: dict[str, str] = {}  # of a tensor, after what vanished
        self._scale: dict[str, str] = {}  # of a quantised tensor
        self._dequantised: dict[str, str] = {}
        written = {node.output for node in graph.nodes}
        # of what others read too, the lower values are kept
        reads = Counter(name for node in graph.nodes for name in node.inputs)
        self._in_range = {
            node.output
            for node in graph.nodes
            if node.op in _IN_RANGE and reads[node.inputs[0]] == 1 and node.inputs[0] in written
        }
        # gates that only a change of shape reads stay floats in exported files
        self._flattened = {node.inputs[0] for node in graph.nodes if node.op == "Reshape"}

    def run(self) -> Graph:
        graph = self._graph
        touched, positive = self._touched()
        for node in graph.nodes:
            if node.output in self._in_range:
                self._name[node.output] = self._name.get(node.inputs[0], node.inputs[0])
                continue
            if node.op == "ReduceMean":
                self._pool(node, touched, positive)
                continue
            inputs = [self._input(name, node, touched, positive) for name in node.inputs]
            if node.op in _GATES and node.output not in self._flattened:
                self._gate(node, inputs[0])
                continue
            self._nodes.append(node._replace(inputs=tuple(inputs)))
        output = self._resolve(graph.output)
        if output in touched:
            output = self._pair(output, positive)
        return graph._replace(nodes=self._nodes, weights=self._weights, output=output)

    def _pool(self, node: Node, touched: set[str], positive: set[str]) -> None:
        """A mean over rows and columns."""
        x = self._input(node.inputs[0], node, touched, positive)
        if node.attributes["keepdims"]:
            self._nodes.append(Node("GlobalAveragePool", (x,), node.output, {}))
            return
        pooled = node.output + "_pooled"
        self._nodes.append(Node("GlobalAveragePool", (x,), pooled, {}))
        inner = self._pair(pooled, positive)
        self._nodes.append(Node("Flatten", (inner,), node.output, {"axis": 1}))
        self._scale[node.output] = pooled

    def _gate(self, node: Node, x: str) -> None:
        """``clip(x + 3, 0, 6) / 6`` by quantising to one range and reading another."""
        y = node.output
        for name, value in _GATE.items():
            self._weights[name] = value
        three = ("gate_three", "gate_three_scale", "gate_zero")
        self._nodes += [
            Node("DequantizeLinear", three, y + "_three", {}),
            Node("Add", (x, y + "_three"), y + "_sum", {}),
            Node("QuantizeLinear", (y + "_sum", "gate_six_scale", "gate_zero"), y + "_int", {}),
        ]
        one = (y + "_int", "gate_one_scale", "gate_zero")
        if node.op == "HardSigmoid":
            self._nodes.append(Node("DequantizeLinear", one, y + "_d", {}))
            self._dequantised[y] = y + "_d"
            return
        self._nodes.append(Node("DequantizeLinear", one, y + "_gate", {}))
        self._nodes.append(Node("Mul", (x, y + "_gate"), y, {}))

    def _resolve(self, name: str) -> str:
        return self._name.get(name, name)

    def _touched(self) -> Any:
        """Tensors that an integer operator reads or writes, and those never below 0."""
        touched: set[str] = set()
        positive: set[str] = set()
        name: dict[str, str] = {}
        for node in self._graph.nodes:
            first = name.get(node.inputs[0], node.inputs[0])
            if node.output in self._in_range:
                name[node.output] = first
                positive.add(first)
            elif node.op in _INTEGER | _IN_RANGE:
                positive |= {node.output} if node.op in _IN_RANGE else set()
                touched |= {name.get(x, x) for x in node.inputs} | {node.output}
            if node.op in _SAME_SCALE:
                self._scale[node.output] = self._scale.get(first, first)
        return touched, positive

    def _input(self, name: str, node: Node, touched: set[str], positive: set[str]) -> str:
        if name in self._graph.weights:
            return self._weight(name, node, positive)
        name = self._resolve(name)
        return self._pair(name, positive) if name in touched else name

    def _pair(self, name: str, positive: set[str]) -> str:
        """`name` after quantising and dequantising."""
        if name not in self._dequantised:
            scale = self._scale_of(name, positive)
            self._nodes.append(Node("QuantizeLinear", (name, *scale), name + "_q", {}))
            self._nodes.append(Node("DequantizeLinear", (name + "_q", *scale), name + "_d", {}))
            self._dequantised[name] = name + "_d"
        return self._dequantised[name]

    def _scale_of(self, name: str, positive: set[str]) -> list[str]:
        name = self._scale.get(name, name)  # a pooling keeps the scale of its input
        if name + "_scale" not in self._weights:
            step = 0.02 + 0.001 * (len(self._weights) % 7)  # no two neighbours alike
            self._weights[name + "_scale"] = np.array(step, np.float32)
            zero = 0 if name in positive else 128
            self._weights[name + "_zero"] = np.array(zero, np.uint8)
        return [name + "_scale", name + "_zero"]

    def _weight(self, name: str, node: Node, positive: set[str]) -> str:
        values = self._graph.weights[name]
        if node.op == "Mul":  # factors
            step = np.float32(np.abs(values).max() / 127)
            self._weights[name] = (np.rint(values / step) + 128).astype(np.uint8)
            self._weights[name + "_scale"] = np.array(step, np.float32)
            self._weights[name + "_zero"] = np.array(128, np.uint8)
            inputs = (name, name + "_scale", name + "_zero")
            self._nodes.append(Node("DequantizeLinear", inputs, name + "_d", {}))
            return name + "_d"
        if node.op not in _WITH_WEIGHTS:
            self._weights[name] = values
            return name
        if name in node.inputs[2:]:  # a bias has the scale of the products
            x = self._scale_of(self._resolve(node.inputs[0]), positive)[0]
            scale = self._weights[x] * self._weights[node.inputs[1] + "_scale"]
            kind: Any = np.int32
        else:
            top = np.abs(values.reshape(len(values), -1)).max(axis=1) + np.float32(1e-6)
            scale = (top / 127).astype(np.float32)
            kind = np.int8
        integers = np.rint(values / scale.reshape((-1,) + (1,) * (values.ndim - 1)))
        self._weights[name + "_i"] = integers.astype(kind)
        self._weights[name + "_scale"] = scale
        self._weights[name + "_zero"] = np.zeros(len(values), kind)
        inputs = (name + "_i", name + "_scale", name + "_zero")
        self._nodes.append(Node("DequantizeLinear", inputs, name + "_d", {"axis": 0}))
        return name + "_d"
