"""Graphs made without torch's exporter compute what torch does, in every shipped space."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from supernet.export import Source
from supernet.export.counting import onnx_macs
from supernet.export.direct import direct_onnx
from supernet.export.formats.onnx import onnx_model, open_onnx
from torch import nn

from supernet.models import Network, Supernet, extract
from supernet.space import Space, decode, load_space, operators, sample, total_macs


def shaken(network: Network) -> Network:
    """With statistics and biases of no network in particular."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return network.eval()


@torch.no_grad()
def test_it_computes_what_torch_does(any_space: Space, rng: np.random.Generator):
    torch.manual_seed(0)
    supernet = Supernet(any_space)
    for subnet in decode(any_space, sample(any_space, 3, rng)):
        network = shaken(extract(supernet, subnet))
        found = operators(any_space, subnet)
        model = direct_onnx(network, found)
        x = torch.randn(1, any_space.in_channels, subnet.resolution, subnet.resolution)
        expected = network(x).numpy()
        logits = open_onnx(model.SerializeToString()).logits([x])
        assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
        assert onnx_macs(model) == total_macs(found)


def weights(model: onnx.ModelProto) -> list[bytes]:
    """Those of the layers and their biases; the exporter leaves out biases that are 0."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    found = [held[name] for node in layers for name in node.input[1:]]
    return [values.tobytes() for values in found if values.any()]


@pytest.mark.parametrize("name", ["demo"])
def test_its_nodes_are_those_of_an_exported_file(name: str, rng: np.random.Generator):
    space = load_space(name)
    subnet = decode(space, sample(space, 1, rng))[0]
    network = shaken(extract(Supernet(space), subnet))
    exported = onnx_model(
        Source(network=network, in_channels=space.in_channels, resolution=subnet.resolution)
    )
    made = direct_onnx(network, operators(space, subnet))
    kinds = [Counter(node.op_type for node in model.graph.node) for model in (made, exported)]
    assert kinds[0] == kinds[1]
    assert weights(made) == weights(exported)
