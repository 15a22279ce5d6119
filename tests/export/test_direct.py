"""Graphs made without torch's exporter compute what torch does, in every shipped space."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from supernet.export import Source
from supernet.export.counting import onnx_macs
from supernet.export.direct import direct_onnx, drawn
from supernet.export.formats.onnx import onnx_model, open_onnx
from supernet.export.pixels import Deployed
from supernet.export.traced import traced_onnx
from torch import nn

from supernet.latency.kit.graph import OPSET
from supernet.models import Network, Supernet, extract
from supernet.space import Space, decode, operators, sample, smallest, total_macs


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


def source_of(network: Network) -> Source:
    """A network and the images that it is made for."""
    first = network.operators[0]
    return Source(network=network, in_channels=first.in_channels, resolution=first.height)


@torch.no_grad()
def test_it_computes_what_torch_does(any_space: Space, rng: np.random.Generator):
    torch.manual_seed(0)
    supernet = Supernet(any_space)
    for subnet in decode(any_space, sample(any_space, 3, rng)):
        network = shaken(extract(supernet, subnet))
        found = operators(any_space, subnet)
        model = direct_onnx(source_of(network))
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


@pytest.mark.parametrize(
    "asked", [{}, {"opset": 20, "dynamic_batch": True, "pixels": True, "probabilities": True}]
)
def test_it_is_what_torchs_exporter_writes(asked: dict[str, Any], demo_space: Space) -> None:
    space = demo_space
    subnet = decode(space, sample(space, 1, np.random.default_rng(0)))[0]
    given = {"opset": OPSET, "pixels": False, "probabilities": False} | asked
    output = "probabilities" if given.pop("probabilities") else "logits"
    network: nn.Module = shaken(extract(Supernet(space), subnet))
    if asked:
        network = Deployed(network, [0.3], [0.4], pixels=True, probabilities=True)
    source = Source(
        network=network,
        in_channels=space.in_channels,
        resolution=subnet.resolution,
        preprocessing={"output": output},
        **given,
    )
    assert drawn(source)
    made, traced = direct_onnx(source), traced_onnx(source)
    onnx.checker.check_model(made, full_check=True)
    kinds = [Counter(node.op_type for node in model.graph.node) for model in (made, traced)]
    assert kinds[0] == kinds[1]
    assert weights(made) == weights(traced)
    for own, other in zip(
        (*made.graph.input, *made.graph.output, *made.opset_import),
        (*traced.graph.input, *traced.graph.output, *traced.opset_import),
        strict=True,
    ):
        assert own == other


def test_weights_have_the_names_of_torch(demo_space: Space) -> None:
    network = extract(Supernet(demo_space), decode(demo_space, smallest(demo_space))[0])
    named = {name for name, _ in network.named_parameters()}
    held = {tensor.name for tensor in direct_onnx(source_of(network)).graph.initializer}
    assert named & held == {n for n in named if "norm" not in n}


def test_what_it_cannot_draw_goes_through_torchs_exporter(demo_space: Space) -> None:
    network = extract(Supernet(demo_space), decode(demo_space, smallest(demo_space))[0])
    source = source_of(network.eval())
    for other in (
        replace(source, resolution=source.resolution + 8),  # of other images than it is made for
        replace(source, network=nn.Sequential(network)),
        replace(source, outputs=("stride2",)),
    ):
        assert not drawn(other)
    model = onnx_model(replace(source, resolution=source.resolution + 8))
    assert model.graph.input[0].type.tensor_type.shape.dim[2].dim_value == source.resolution + 8
