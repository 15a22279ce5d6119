"""ONNX files, written without the package `onnx`.

A file is a protocol buffer: numbered fields, each a variable-length integer, four
bytes of a float, or a length and so many bytes. The numbers are those of onnx.proto.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, Sequence, Union

import numpy as np

__all__ = ["Graph", "Node", "serialise"]

IR_VERSION = 8  # of opset 18; ONNX Runtime reads it from 1.14 on
_VARINT, _BYTES, _FLOAT = 0, 2, 5  # kinds of field
_ELEMENTS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}

Attribute = Union[int, float, Sequence[int]]


class Node(NamedTuple):
    """One operator of ONNX."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Attribute]


class Graph(NamedTuple):
    """Nodes in the order they run in, their weights, the input ``x`` and the output."""

    nodes: list[Node]
    weights: dict[str, Any]
    """Arrays by name."""
    input_shape: tuple[int, ...]
    output: str
    output_shape: tuple[int, ...]


def serialise(graph: Graph, opset: int) -> bytes:
    """The bytes of an ONNX file."""
    body = [_message(1, _node(node)) for node in graph.nodes]
    body.append(_text(2, "operators"))
    body += [_message(5, _tensor(name, array)) for name, array in graph.weights.items()]
    body.append(_message(11, _value("x", graph.input_shape)))
    body.append(_message(12, _value(graph.output, graph.output_shape)))
    opset_id = _text(1, "") + _integer(2, opset)
    return b"".join([_integer(1, IR_VERSION), _message(7, b"".join(body)), _message(8, opset_id)])


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number is its 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _node(node: Node) -> bytes:
    parts = [_text(1, name) for name in node.inputs]
    parts += [_text(2, node.output), _text(3, "n_" + node.output), _text(4, node.op)]
    parts += [_message(5, _attribute(*item)) for item in node.attributes.items()]
    return b"".join(parts)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        content, kind = _varint(2 << 3 | _FLOAT) + struct.pack("<f", value), 1
    elif isinstance(value, int):
        content, kind = _integer(3, value), 2
    else:
        content, kind = b"".join(_integer(8, item) for item in value), 7
    return _text(1, name) + content + _integer(20, kind)


def _tensor(name: str, array: Any) -> bytes:
    array = np.asarray(array)
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    parts = [_integer(1, size) for size in array.shape]
    parts += [_integer(2, _ELEMENTS[array.dtype.name]), _text(8, name), _message(9, raw)]
    return b"".join(parts)


def _value(name: str, shape: Sequence[int]) -> bytes:
    sizes = b"".join(_message(1, _integer(1, size)) for size in shape)
    tensor = _integer(1, _ELEMENTS["float32"]) + _message(2, sizes)
    return _text(1, name) + _message(2, _message(1, tensor))
