"""Weights that the graphs of several subnets have in common, stored once.

Subnets of one supernet read the first channels of the same tensors, yet their ONNX files have
hardly a number in common: each convolution holds the product of its weight with a batch norm of
its own. Here it is written as what it is the product of, ``weight[:rows, :columns] * scale``: the
weight is stored once for all, the scale, a number a channel, in each graph. A runtime computes
the product when it loads the graph, by the same multiplications that the exporter made, so each
network gives the very bits of its own export.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from supernet.export.factors import Factors

from supernet.files import atomic_path

__all__ = ["SharedWeights"]

_ALIGNED = 64  # bytes, where a tensor begins in the file
_SMALL = 256  # numbers; fewer stay in the graph
_LAYERS = ("Conv", "Gemm")

Values = npt.NDArray[np.float32]


class SharedWeights:
    """A file of tensors, of which each graph takes the first part along every axis.

        shared = SharedWeights([factors_of(network) for network in networks])
        for model, network in zip(models, networks):
            shared.put_into(model, factors_of(network))
        shared.write(folder)

    Args:
        factors: of all networks whose graphs are to share.
    """

    def __init__(self, factors: Sequence[Sequence[Factors]]) -> None:
        self._tensors: list[Values] = []
        self._offsets: list[int] = []
        self.size = 0
        """Bytes of the file."""
        weights = [item.weight for network in factors for item in network]
        for weight in sorted(weights, key=lambda weight: -weight.size):
            if weight.size >= _SMALL and self._find(weight) is None:
                self._tensors.append(weight)
                self._offsets.append(self.size)
                self.size += -(-weight.nbytes // _ALIGNED) * _ALIGNED
        digest = hashlib.sha256(b"".join(tensor.tobytes() for tensor in self._tensors))
        self.name = f"weights-{digest.hexdigest()[:8]}.bin"
        """Of the file; by its content, so that no graph reads what is not meant for it."""

    def put_into(self, model: onnx.ModelProto, factors: Sequence[Factors]) -> int:
        """Let a graph read its weights from the file.

        Args:
            model: as exported in fp32; changed.
            factors: of its network.

        Returns:
            Bytes that the graph itself holds no longer.
        """
        graph = model.graph
        held = {tensor.name: tensor for tensor in graph.initializer}
        before = model.ByteSize()
        nodes: list[NodeProto] = []
        read: set[int] = set()
        replaced: dict[str, str] = {}  # layers may share a tensor
        for node in graph.node:
            name = node.input[1] if node.op_type in _LAYERS else ""
            part = self._part(numpy_helper.to_array(held[name]), factors) if name in held else None
            if part is not None:
                place, found = part
                read.add(place)
                graph.initializer.remove(held.pop(name))
                making, constants = _making(name, place, self._tensors[place].shape, found)
                replaced[name] = making[-1].output[0] if making else _name(place)
                nodes += making
                graph.initializer.extend(constants)
            if name in replaced:
                node.input[1] = replaced[name]
            nodes.append(node)
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(self._reference(place) for place in sorted(read))
        return int(before - model.ByteSize())

    def write(self, folder: Path) -> None:
        """Write the file into the folder of the graphs, whole or not at all."""
        with atomic_path(folder / self.name) as temporary, temporary.open("wb") as file:
            for offset, tensor in zip(self._offsets, self._tensors):
                file.write(b"\0" * (offset - file.tell()))
                file.write(tensor.tobytes())
            file.write(b"\0" * (self.size - file.tell()))

    def _find(self, weight: Values) -> int | None:
        """The tensor of the file whose first part is this."""
        for place, tensor in enumerate(self._tensors):
            if tensor.ndim == weight.ndim and all(np.less_equal(weight.shape, tensor.shape)):
                part = tensor[tuple(slice(size) for size in weight.shape)]
                if part.flat[0] == weight.flat[0] and np.array_equal(part, weight):
                    return place
        return None

    def _part(self, product: Values, factors: Sequence[Factors]) -> tuple[int, Factors] | None:
        if product.size < _SMALL:
            return None
        for item in factors:
            if item.weight.shape == product.shape and np.array_equal(item.product, product):
                place = self._find(item.weight)
                return None if place is None else (place, item)
        return None

    def _reference(self, place: int) -> TensorProto:
        tensor, offset = self._tensors[place], self._offsets[place]
        reference = TensorProto(
            name=_name(place),
            data_type=TensorProto.FLOAT,
            dims=tensor.shape,
            data_location=TensorProto.EXTERNAL,
        )
        where = {"location": self.name, "offset": offset, "length": tensor.nbytes}
        for key, value in where.items():
            reference.external_data.add(key=key, value=str(value))
        return reference


def _making(
    name: str, place: int, shape: tuple[int, ...], factors: Factors
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes that make a weight of a tensor of the file, and their constants."""
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []
    value, wanted = _name(place), factors.weight.shape
    if wanted != shape:
        ends = {"starts": [0] * len(shape), "ends": list(wanted)}
        for key, values in ends.items():
            constants.append(numpy_helper.from_array(np.array(values, np.int64), f"{name}_{key}"))
        nodes.append(
            helper.make_node("Slice", [value, *(c.name for c in constants)], [f"{name}_part"])
        )
        value = f"{name}_part"
    if factors.scale is not None:
        constants.append(numpy_helper.from_array(factors.column, f"{name}_scale"))
        nodes.append(helper.make_node("Mul", [value, f"{name}_scale"], [f"{name}_product"]))
    return nodes, constants


def _name(place: int) -> str:
    return f"shared_{place}"
