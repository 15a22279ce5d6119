"""Sizes of files and of live tensors are those of the graphs that are exported."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from supernet.export import to_onnx

from supernet.latency.kit.graph import build_onnx
from supernet.models import Supernet, extract
from supernet.space import (
    Domain,
    Operator,
    Space,
    decode,
    file_bytes,
    load_space,
    network_peak_bytes,
    operators,
    peak_bytes,
    weight_bytes,
)
from tests.shipped import SHIPPED

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def liveness(model: onnx.ModelProto) -> int:
    """Bytes of the largest sum of live tensors, from any graph of fp32 values.

    A tensor lives from the node that writes it to the last node that reads it; constants
    are weights. Nothing is fused or in place: every node writes a tensor of its own, a
    Flatten too.
    """
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    constants = {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    constants |= {tensor.name for tensor in graph.initializer}
    tensors = [*graph.value_info, *graph.input, *graph.output]
    sizes = {
        value.name: int(np.prod([max(d.dim_value, 1) for d in value.type.tensor_type.shape.dim]))
        for value in tensors
        if value.type.tensor_type.elem_type == FLOAT and value.name not in constants
    }
    born = {value.name: -1 for value in graph.input}
    last = {value.name: len(nodes) for value in graph.output}
    for step, node in enumerate(nodes):
        born.update(dict.fromkeys(node.output, step))
        for name in node.input:
            last[name] = max(last.get(name, 0), step)
    names = [name for name in sizes if name in born]
    lives = [(born[name], last.get(name, born[name]), sizes[name]) for name in names]
    return 4 * max(
        sum(size for first, end, size in lives if first <= step <= end)
        for step in range(len(nodes))
    )


def weights_in(model: onnx.ModelProto) -> int:
    """Bytes of the weights and biases of a graph; bounds of a Clip are no weights."""
    return sum(4 * int(np.prod(t.dims)) for t in model.graph.initializer if t.dims and is_float(t))


def is_float(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == FLOAT


def peak(found: list[Operator], bytes_per_value: int = 4) -> float:
    return network_peak_bytes(found, bytes_per_value)


def some_of(space: Space, rng: np.random.Generator, count: int = 4) -> list[list[Operator]]:
    domain = Domain.of(space)
    rows = [domain.smallest(), domain.largest(), domain.sample_spread(count, rng)]
    return [operators(space, subnet) for subnet in decode(space, np.concatenate(rows))]


@pytest.mark.parametrize("name", SHIPPED)
def test_sizes_of_every_shipped_space_are_those_of_its_graphs(
    name: str, rng: np.random.Generator
) -> None:
    for found in some_of(load_space(name), rng, 1):
        content = build_onnx(found)
        model = onnx.load_from_string(content)
        assert peak(found) == liveness(model)
        assert sum(map(weight_bytes, found)) == weights_in(model)
        assert weights_in(model) < len(content) <= sum(map(file_bytes, found))


def test_sizes_of_all_kinds_of_operators_are_those_of_their_graphs(
    any_space: Space, rng: np.random.Generator
) -> None:
    for found in some_of(any_space, rng, 10):
        model = onnx.load_from_string(build_onnx(found))
        assert peak(found) == liveness(model)
        assert sum(map(weight_bytes, found)) == weights_in(model)
    for operator in {operator for found in some_of(any_space, rng, 20) for operator in found}:
        assert peak_bytes(operator) == liveness(onnx.load_from_string(build_onnx([operator])))


def test_sizes_are_those_of_a_real_export(
    any_space: Space, rng: np.random.Generator, tmp_path: Path
) -> None:
    domain = Domain.of(any_space)
    subnet = decode(any_space, domain.sample_spread(1, rng))[0]
    network = extract(Supernet(any_space), subnet)
    with torch.no_grad():  # the exporter writes equal weights, such as all zeros, once
        for values in [*network.parameters(), *network.buffers()]:
            if values.is_floating_point():
                values.uniform_(0.5, 1.5)
    path = tmp_path / "a.onnx"
    to_onnx(network, path, in_channels=any_space.in_channels, resolution=subnet.resolution)
    model, found = onnx.load(path), operators(any_space, subnet)
    assert peak(found) == liveness(model)
    assert sum(map(weight_bytes, found)) == weights_in(model)
    size, said = path.stat().st_size, sum(map(file_bytes, found))
    graph = size - weights_in(model)
    assert size <= said <= size + graph  # the graph at most twice as large as it is
    assert b".py" not in path.read_bytes()  # the exporter notes where each node comes from


def test_a_peak_in_int8_is_a_quarter(demo_space: Space, rng: np.random.Generator) -> None:
    for found in some_of(demo_space, rng):
        assert peak(found, 1) == peak(found) / 4


def test_a_block_with_a_shortcut_keeps_its_input() -> None:
    """By hand: a 1x1 expansion of 8 to 48 channels and its activation beside the input."""
    operator = Operator(
        op="mbconv", in_channels=8, mid_channels=48, out_channels=8, kernel=3, act="relu",
        shortcut="identity", height=4, width=4,
    )  # fmt: skip
    assert peak_bytes(operator) == 4 * 16 * (8 + 48 + 48)


@pytest.mark.parametrize("name", ["demo", "mobilenet_v2", "resnet50"])
def test_a_file_in_int8_is_as_large_as_said(name: str, rng: np.random.Generator) -> None:
    for found in some_of(load_space(name), rng, 1):
        content = build_onnx(found, precision="int8")
        model = onnx.load_from_string(content)
        channels = [t for t in model.graph.initializer if t.dims and t.data_type != INT64]
        weights = sum(weight_bytes(operator, "int8") for operator in found)
        assert weights == sum(len(t.raw_data) for t in channels)
        graph = len(content) - weights
        said = sum(file_bytes(operator, "int8") for operator in found)
        assert len(content) <= said <= len(content) + graph
