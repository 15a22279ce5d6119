"""Graphs of several subnets that read one file of weights."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession
from supernet.export import Source
from supernet.export.bundle import SharedWeights
from supernet.export.direct import direct_onnx
from supernet.export.factors import Factors, factors_of
from supernet.export.formats.onnx import Onnx, open_onnx

from supernet.models import Supernet, extract
from supernet.space import Space, decode, largest, load_space, sample, smallest
from tests.export.test_direct import shaken


def networks(
    space: Space, rng: np.random.Generator
) -> tuple[list[ModelProto], list[list[Factors]]]:
    """The smallest, the largest and a random subnet, each with statistics of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        supernet = Supernet(space)
        genes = np.concatenate([smallest(space), largest(space), sample(space, 1, rng)])
        models, factors = [], []
        for subnet in decode(space, genes):
            network = shaken(extract(supernet, subnet))
            source = Source(
                network=network, in_channels=space.in_channels, resolution=subnet.resolution
            )
            models.append(direct_onnx(source))
            factors.append(factors_of(network))
    return models, factors


@pytest.mark.parametrize("name", ["demo", pytest.param("mobilenet_v3", marks=pytest.mark.slow)])
def test_each_network_gives_the_bits_of_its_own_file(
    name: str, rng: np.random.Generator, tmp_path: Path
):
    models, factors = networks(load_space(name), rng)
    alone = [model.SerializeToString() for model in models]
    shared = SharedWeights(factors)
    shared.write(tmp_path)
    assert (tmp_path / shared.name).stat().st_size == shared.size
    for number, (model, own) in enumerate(zip(models, factors)):
        taken = shared.put_into(model, own)
        inside = [tensor for tensor in model.graph.initializer if not tensor.external_data]
        held = sum(numpy_helper.to_array(tensor).nbytes for tensor in inside)
        assert model.ByteSize() == len(alone[number]) - taken
        assert held < len(alone[number]) / 4
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(model.SerializeToString())
        onnx.checker.check_model(str(path), full_check=True)
        opened, before = open_onnx(path), open_onnx(alone[number])
        sizes = [size or 1 for size in opened.input.shape[1:]]
        images = rng.standard_normal((4, *sizes), dtype=np.float32)
        assert np.array_equal(opened.logits([images]), before.logits([images]))
        assert Onnx().parts(path) == [path, tmp_path / shared.name]
    together = shared.size + sum(model.ByteSize() for model in models)
    assert together < 1.3 * max(map(len, alone))  # three networks in the room of one


def test_what_is_not_of_these_networks_stays_where_it_was(rng: np.random.Generator):
    models, factors = networks(load_space("demo"), rng)
    before = models[0].SerializeToString()
    other = [[Factors(np.ones((64, 64), np.float32), None)]]
    assert SharedWeights(other).put_into(models[0], factors[0]) == 0
    assert models[0].SerializeToString() == before


def test_two_layers_that_share_a_tensor_still_do(rng: np.random.Generator, tmp_path: Path):
    weight = rng.standard_normal((16, 16), dtype=np.float32)
    scale = rng.standard_normal(16, dtype=np.float32)
    factors = [Factors(weight, None, scale)]
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16]) for name in "xz"]
    nodes = [helper.make_node("Gemm", [a, "w"], [b], transB=1) for a, b in ("xy", "yz")]
    tensors = [numpy_helper.from_array(factors[0].product, "w")]
    graph = helper.make_graph(nodes, "g", shape[:1], shape[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    shared = SharedWeights([factors])
    shared.write(tmp_path)
    assert shared.put_into(model, factors) > 0
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    session = InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    x = rng.standard_normal((1, 16), dtype=np.float32)
    expected = x @ factors[0].product.T @ factors[0].product.T
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-4)


def test_a_tensor_is_stored_once_and_only_its_first_parts_are_read():
    whole = np.random.default_rng(0).standard_normal((32, 16), dtype=np.float32)
    other = whole[::-1].copy()
    parts = [whole[:20], whole[:, :15], whole, other, whole[:2, :2]]
    shared = SharedWeights([[Factors(np.ascontiguousarray(part), None)] for part in parts])
    assert shared.size == 2 * whole.nbytes
