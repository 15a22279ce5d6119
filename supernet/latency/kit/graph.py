"""ONNX graphs of operators, as the exporter would write them after folding batch norm.

Built in a few milliseconds, with random weights: time does not depend on their values
as long as they are ordinary numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from supernet.blocks import INPUT, KINDS, Part, parts_of, reads_of, same_pads
from supernet.latency.kit.proto import Graph, Node, serialise
from supernet.latency.kit.quantise import quantised

__all__ = ["OPSET", "PRECISIONS", "build_onnx"]

OPSET = 18
PRECISIONS = ("fp32", "int8")


class _Builder:
    """Collects nodes and weights; every method appends one operator of ONNX.

    Args:
        given: names and values of weights and biases in the order in which they are asked
            for; random ones where there are none.
    """

    def __init__(self, given: Iterator[Any] | None = None) -> None:
        self.nodes: list[Node] = []
        self.weights: dict[str, Any] = {}
        self._rng = np.random.default_rng(0)
        self._given = given

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(Node(op, tuple(inputs), name, attributes))
        return name

    def constant(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = values
        return name

    def weight(self, *shape: int) -> str:
        if self._given is not None:
            name, values = next(self._given)
            assert values.shape == shape, f"{name}: expected {shape}, got {values.shape}"
            self.weights[name] = values
            return str(name)
        fan_in = int(np.prod(shape[1:])) or 1
        values = self._rng.standard_normal(shape, dtype=np.float32)
        return self.constant(values * np.float32(fan_in**-0.5))

    def conv(  # noqa: PLR0913  # what a convolution has, most by their names
        self,
        x: str,
        before: int,
        after: int,
        kernels: Sequence[int] = (1, 1),
        strides: Sequence[int] = (1, 1),
        *,
        groups: int = 1,
        bias: bool = True,
        pads: Sequence[int] = (0, 0, 0, 0),
        dilation: int = 1,
    ) -> str:
        weights = [self.weight(after, before // groups, *kernels)]
        weights += [self.weight(after)] if bias else []
        return self.node(
            "Conv",
            [x, *weights],
            kernel_shape=list(kernels),
            strides=list(strides),
            pads=list(pads),
            group=groups,
            **({"dilations": [dilation] * 2} if dilation > 1 else {}),
        )

    def act(self, x: str, name: str) -> str:
        if name == "none":
            return x
        if name == "relu6":
            bounds = [self.constant(np.array(value, np.float32)) for value in (0, 6)]
            return self.node("Clip", [x, *bounds])
        if name == "swish":
            return self.node("Mul", [x, self.node("Sigmoid", [x])])
        return self.node({"relu": "Relu", "hard_swish": "HardSwish"}[name], [x])

    def mean(self, x: str, *, keep: bool) -> str:
        axes = self.constant(np.array([2, 3], np.int64))
        return self.node("ReduceMean", [x, axes], keepdims=int(keep))

    def squeeze_excite(self, x: str, channels: int, o: Any) -> str:
        hard, hidden = o.gate != "sigmoid", "relu" if o.gate == "hard_sigmoid" else o.act
        gate = self.conv(self.mean(x, keep=True), channels, o.se)
        gate = self.conv(self.act(gate, hidden), o.se, channels)
        slope = {"alpha": 1 / 6, "beta": 0.5} if hard else {}
        return self.node(
            "Mul", [x, self.node("HardSigmoid" if hard else "Sigmoid", [gate], **slope)]
        )

    def add(
        self, inputs: Sequence[str], operator: Any, *, before: str = "", after: str = ""
    ) -> str:
        """Append one operator of ours, which stands between two of some kinds."""
        o, x = operator, inputs[0]
        if o.op == "add":
            return self.node("Add", inputs)
        if o.op == "concat":
            return self.node("Concat", inputs, axis=1)
        if o.op == "pool":
            return self.mean(self.act(x, o.act), keep=after == "conv")
        if o.op == "linear":
            if before == "conv":  # a pixel
                x = self.shaped(x, -1)
            weights = [self.weight(o.out_channels, o.in_channels)]
            weights += [self.weight(o.out_channels)] if o.bias else []
            return self.act(self.node("Gemm", [x, *weights], transB=1), o.act)
        if o.op in ("maxpool", "avgpool"):
            return self.window_pool(x, o)
        y = self.add_shortcut(x, self.body(x, o), o)
        return self.act(y, o.act) if KINDS[o.op].ends_in_act else y

    def body(self, x: str, o: Any) -> str:
        """Everything of a block but its shortcut."""
        y, known = x, {INPUT: x}
        for part in parts_of(o):
            y = self.part(part, [known[name] for name in part.inputs])
            if o.se and part.gated:
                y = self.squeeze_excite(y, part.writes, o)
            known[part.name] = y
        return y

    def part(self, part: Part, read: Sequence[str]) -> str:
        """One part of a block."""
        y = read[0]
        if part.what == "concat":
            y = self.node("Concat", read, axis=1)
        elif part.what == "attention":
            y = self.attention(part, *read)
        elif part.what == "norm":
            y = self.norm(y, part.writes)
        elif part.what == "scale":
            y = self.node("Mul", [y, self.weight(part.writes, 1, 1)])
        elif part.what == "shift":
            pads = [0, 0, -1, -1, 0, 0, part.height % 2, part.width % 2]
            y = self.node("Pad", [y, self.constant(np.array(pads, np.int64))])
        elif part.what == "conv":
            sizes = part.reads, part.writes, part.kernels, part.strides
            own: dict[str, Any] = {"pads": part.pads, "dilation": part.dilation}
            y = self.conv(y, *sizes, groups=part.groups, bias=part.normed, **own)
        return self.act(y, part.act)

    def norm(self, x: str, channels: int) -> str:
        """A batch norm that no convolution takes up: factor, summand, mean, variance."""
        weights = [self.weight(channels) for _ in range(4)]
        if self._given is None:
            self.weights[weights[-1]] = np.square(self.weights[weights[-1]]) + np.float32(0.5)
        return self.node("BatchNormalization", [x, *weights])

    def attention(self, part: Part, query: str, key: str, value: str) -> str:
        """As `supernet.elastic.attend`, in as many nodes as the exporter makes of it."""
        heads, pixels = part.heads, part.height * part.width
        size, gets = part.reads // heads, part.writes // heads
        y = self.turned(self.shaped(query, heads, size, pixels), 0, 1, 3, 2)
        keys = self.shaped(key, size, part.keys)
        keys = self.node("Mul", [keys, self.constant(np.array(size**-0.5, np.float32))])
        y = self.node("MatMul", [self.shaped(y, heads * pixels, size), keys])
        y = self.node("Softmax", [y], axis=2)
        y = self.node("MatMul", [y, self.turned(self.shaped(value, gets, part.keys), 0, 2, 1)])
        y = self.turned(self.shaped(y, heads, pixels, gets), 0, 1, 3, 2)
        return self.shaped(y, part.writes, part.height, part.width)

    def shaped(self, x: str, *sizes: int) -> str:
        """In another shape; 0 keeps the images of a batch."""
        return self.node("Reshape", [x, self.constant(np.array([0, *sizes], np.int64))])

    def turned(self, x: str, *axes: int) -> str:
        return self.node("Transpose", [x], perm=list(axes))

    def window_pool(self, x: str, o: Any) -> str:
        """A maximum or a mean over windows."""
        if o.padding == "symmetric":
            return self.pool(
                "MaxPool" if o.op == "maxpool" else "AveragePool", x, o.kernel, o.stride
            )
        (top, bottom), (left, right) = (
            same_pads(size, o.kernel, o.stride) for size in (o.height, o.width)
        )
        sizes = {"kernel_shape": [o.kernel] * 2, "strides": [o.stride] * 2}
        sizes["pads"] = [top, left, bottom, right]
        if o.op == "maxpool":
            return self.node("MaxPool", [x], **sizes)
        return self.node("AveragePool", [x], **sizes, count_include_pad=1)

    def pool(self, op: str, x: str, kernel: int, stride: int, *, odd: bool = False) -> str:
        pads = [kernel // 2] * 4 if kernel % 2 else [0] * 4
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        return self.node(op, [x], **sizes, ceil_mode=int(odd))

    def add_shortcut(self, x: str, y: str, o: Any) -> str:
        if o.shortcut == "none":
            return y
        if o.shortcut == "pool":
            x = self.pool("AveragePool", x, 3, o.stride)
        elif o.stride > 1 and o.shortcut != "conv_norm":
            odd = o.height % o.stride > 0 or o.width % o.stride > 0
            x = self.pool("AveragePool", x, o.stride, o.stride, odd=odd)
        normalised = o.shortcut in ("project_norm", "conv_norm")
        stride = o.stride if o.shortcut == "conv_norm" else 1
        if normalised or (o.shortcut == "project" and o.in_channels != o.out_channels):
            sizes = o.in_channels, o.out_channels, (1, 1), (stride, stride)
            x = self.conv(x, *sizes, bias=normalised)
        return self.node("Add", [x, y])


def build_onnx(
    operators: Sequence[Any],
    *,
    batch: int = 1,
    precision: str = "fp32",
    weights: Iterator[Any] | None = None,
) -> bytes:
    """A serialised ONNX model of operators that follow each other, input ``x``.

    Args:
        operators: `supernet.space.Operator` or `Spec`, at least one; `Wired` where they are a
            graph. One by itself that has several inputs reads ``x`` as each of them.
        batch: images at once.
        precision: ``fp32``, or ``int8``: in QDQ form, unsigned activations and signed
            weights, one scale an output channel.
        weights: name and values for each convolution and linear layer in order, followed by
            those of its bias where it has one; random ones when not given.
    """
    first = operators[0]
    shape = [batch, first.in_channels]
    if first.op != "linear":
        shape += [first.height, first.width]
    builder = _Builder(weights)
    outputs = ["x"]
    kinds = ["", *(operator.op for operator in operators), ""]
    for operator, own, before, after in zip(operators, reads_of(operators), kinds, kinds[2:]):
        inputs = [outputs[read] for read in own]
        if len(inputs) < _inputs(operator):  # by itself
            inputs *= _inputs(operator)
        outputs.append(builder.add(inputs, operator, before=before, after=after))
    assert weights is None or next(weights, None) is None, "more weights than operators have"
    output_shape = (batch, *_output_size(operators[-1]))
    graph = Graph(builder.nodes, builder.weights, tuple(shape), outputs[-1], output_shape)
    return serialise(quantised(graph) if precision == "int8" else graph, OPSET)


def _inputs(o: Any) -> int:
    """How many an operator reads."""
    if o.op == "concat":
        return int(o.out_channels // o.in_channels)
    return 2 if o.op == "add" else 1


def _output_size(o: Any) -> list[int]:
    if o.op in ("pool", "linear"):
        return [o.out_channels]
    lost = o.kernel if o.padding == "valid" else 1
    return [o.out_channels, *((size - lost) // o.stride + 1 for size in (o.height, o.width))]
