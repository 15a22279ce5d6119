"""What an exported operator takes: bytes in the file, bytes of live tensors while it runs."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from supernet.blocks import INPUT, KINDS, Part, parts_of, reads_of
from supernet.space.operator import Operator

__all__ = ["Precision", "file_bytes", "network_peak_bytes", "peak_bytes", "weight_bytes"]

Precision: TypeAlias = Literal["fp32", "int8"]

_FLOAT = 4
_NODE_BYTES = {"fp32": 200, "int8": 400}
"""Around the weights, for each node of the fp32 graph: names, shapes, and in int8 the nodes that
quantise. Exported files of the shipped spaces had 147 to 194, in int8 235 to 345."""
_VECTORS = {"norm": 4, "scale": 1}
"""Numbers a channel, in floats, of what no convolution takes up."""
_Step: TypeAlias = tuple[int, tuple[int, ...]]
"""Elements of a node's output, and which earlier tensors it reads: 0 is the input, k the
output of step k."""


def file_bytes(operator: Operator, precision: Precision = "fp32") -> float:
    """Bytes of an operator in an exported file: its weights, and the nodes around them.

    The nodes are taken a little too large, so that a file is not larger than said; what is
    kept beside the network (preprocessing) is not counted.
    """
    return weight_bytes(operator, precision) + _NODE_BYTES[precision] * len(_steps(operator))


def weight_bytes(operator: Operator, precision: Precision = "fp32") -> float:
    """Bytes of the exported weights of an operator, batch norm folded.

    Of a batch norm that follows no convolution all four numbers a channel are there. In int8 a
    weight has one byte, and each output channel a scale and a zero point, and the
    same for its bias, all of these in 32 bits but the weights' zero point.
    """
    alone = _FLOAT * sum(_VECTORS.get(part.what, 0) * part.writes for part in parts_of(operator))
    products = list(_products(operator))
    if precision == "fp32":
        return float(alone + sum(_FLOAT * (weights + biases) for weights, _, biases in products))
    sizes = [weights + 5 * after + 12 * biases for weights, after, biases in products]
    return float(alone + sum(sizes))


def _products(operator: Operator) -> Iterator[tuple[int, int, int]]:
    """Weights, output channels and biases of each convolution and linear layer."""
    o = operator
    before, after, gated = o.in_channels, o.out_channels, o.gated_channels
    if o.op == "linear":
        yield before * after, after, after * o.bias
    for part in parts_of(o):
        if part.what == "conv":
            yield part.weights, part.writes, part.writes * part.normed
    if o.se:
        yield gated * o.se, o.se, o.se
        yield o.se * gated, gated, gated
    if o.shortcut_convolves:
        yield before * after, after, after * o.shortcut_normalises


def peak_bytes(operator: Operator, bytes_per_value: int = _FLOAT) -> float:
    """Largest sum of live tensors while an operator of the exported graph runs.

    Every node has an output of its own, and an input lives until its last reader has run:
    what a runtime needs that neither fuses nodes nor works in place. The global average is
    flat at once: no tensor more. Weights are not counted. Between operators one tensor
    lives, so the peak of a network is the largest peak of its operators.
    """
    read = operator.in_channels * operator.inputs * operator.height * operator.width
    return float(_peak(read, _steps(operator)) * bytes_per_value)


def network_peak_bytes(operators: Sequence[Operator], bytes_per_value: int = _FLOAT) -> float:
    """As `peak_bytes`, of a whole network: in a graph several outputs live at once."""
    first = operators[0]
    steps: list[_Step] = []
    outputs = [0]  # of the image and of each operator, as numbers of tensors
    for operator, reads in zip(operators, reads_of(operators)):
        before = len(steps)
        given = tuple(outputs[read] for read in reads)
        for size, own in _steps(operator):
            steps.append(
                (size, tuple(t for o in own for t in (given if o == 0 else (o + before,))))
            )
        outputs.append(len(steps))
    image = first.in_channels * first.height * first.width
    return float(_peak(image, steps) * bytes_per_value)


def _peak(read: int, steps: Sequence[_Step]) -> int:
    """Most elements that live at once, of an input of `read` elements and what steps write."""
    sizes = [read, *(size for size, _ in steps)]
    last = dict.fromkeys(range(len(sizes)), len(steps))
    last |= {tensor: number for number, (_, own) in enumerate(steps) for tensor in own}
    live, peak = {0}, 0
    for number in range(len(steps)):
        live.add(number + 1)
        peak = max(peak, sum(sizes[tensor] for tensor in live))
        live -= {tensor for tensor in live if last[tensor] <= number}
    return peak


class _Nodes:
    """The nodes of the exported graph of an operator, in order."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self.steps: list[_Step] = []

    def add(self, size: int, *read: int) -> int:
        self.steps.append((size, read))
        return len(self.steps)

    def act(self, kind: str, size: int, x: int) -> int:
        if kind == "none":
            return x
        return self.add(size, x, self.add(size, x)) if kind == "swish" else self.add(size, x)

    def gate(self, size: int, x: int) -> int:
        hidden, channels = self._operator.se, self._operator.gated_channels
        if not hidden:
            return x
        pooled = self.add(channels, x)
        hidden_out = self.add(hidden, self.add(hidden, pooled))  # convolution, relu
        return self.add(size, x, self.add(channels, self.add(channels, hidden_out)))

    def part(self, part: Part, size: int, read: Sequence[int]) -> int:
        """A part of a block without its activation."""
        if part.what == "act":
            return read[0]
        return self.attention(part, *read) if part.what == "attention" else self.add(size, *read)

    def attention(self, part: Part, query: int, key: int, value: int) -> int:
        """Shapes are changed in place or not: each change counts as a tensor."""
        heads, pixels = part.heads, part.height * part.width
        asked, got = part.reads * pixels, part.writes * pixels
        of_keys, of_values = (size // heads * part.keys for size in (part.reads, part.writes))
        for _ in range(3):  # in heads, turned, as rows of a matrix
            query = self.add(asked, query)
        key = self.add(of_keys, self.add(of_keys, key))
        shares = heads * pixels * part.keys
        y = self.add(shares, self.add(shares, query, key))
        y = self.add(got, y, self.add(of_values, self.add(of_values, value)))
        for _ in range(3):
            y = self.add(got, y)
        return y

    def shortcut(self, size: int, y: int) -> int:
        o, x = self._operator, 0
        if o.shortcut == "none":
            return y
        if o.shortcut_pool:
            x = self.add(o.in_channels * o.out_height * o.out_width, x)
        if o.shortcut_convolves:
            x = self.add(size, x)
        return self.add(size, x, y)


def _steps(operator: Operator) -> Sequence[_Step]:
    o, nodes = operator, _Nodes(operator)
    out = o.out_channels * o.out_height * o.out_width
    if o.op not in KINDS:
        if o.op == "pool":
            nodes.add(out, nodes.act(o.act, o.in_channels * o.height * o.width, 0))
        else:
            nodes.act(o.act, out, nodes.add(out, 0))
        return nodes.steps
    y, known = 0, {INPUT: 0}
    for part in parts_of(o):
        read = [known[name] for name in part.inputs]
        size = part.writes * part.out_height * part.out_width
        y = nodes.act(part.act, size, nodes.part(part, size, read))
        if part.gated:
            y = nodes.gate(size, y)
        known[part.name] = y
    y = nodes.shortcut(out, y)
    if KINDS[o.op].ends_in_act:
        nodes.act(o.act, out, y)
    return nodes.steps
