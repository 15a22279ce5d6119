"""Graphs made without torch's exporter compute what torch does, in every shipped space."""

from collections import Counter
from collections.abc import Callable
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


class Own(Network):
    """Computes something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def other_act(network: Network) -> Network:
    network.layers[0].act = nn.GELU()
    return network


def other_head(network: Network) -> Network:
    last = network.operators[-1]
    network.layers[-1] = nn.Linear(last.in_channels, 7)
    return network


def more_behind_it(network: Network) -> Network:
    network.layers[-1] = nn.Sequential(network.layers[-1], nn.ReLU())
    return network


def other_class(network: Network) -> Network:
    own = Own(network.operators)
    own.load_state_dict(network.state_dict())
    return own.eval()


def hooked(network: Network) -> Network:
    network.layers[0].register_forward_hook(lambda module, given, out: out + 1)
    return network


@pytest.mark.parametrize(
    "change", [other_act, other_head, more_behind_it, other_class, hooked], ids=lambda f: f.__name__
)
def test_a_changed_network_is_not_what_its_operators_say(
    change: Callable[[Network], Network], tiny_space: Space, rng: np.random.Generator
) -> None:
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    network = shaken(extract(Supernet(tiny_space), subnet))
    source = source_of(network)
    assert drawn(source)
    changed = replace(source, network=change(network))
    assert not drawn(changed)
    x = torch.randn(1, *source.shape)
    with torch.no_grad():
        expected = changed.network(x).numpy()
    logits = open_onnx(onnx_model(changed).SerializeToString()).logits([x])
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)


def test_other_numbers_and_networks_of_older_versions_are_not_drawn(demo_space: Space) -> None:
    network = extract(Supernet(demo_space), decode(demo_space, smallest(demo_space))[0])
    assert drawn(source_of(network))
    source = source_of(network)
    assert not drawn(replace(source, network=network.double()))
    network.float()
    assert drawn(source)
    del network.operators
    assert not drawn(source)


def test_short_names_meet_no_others() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.v0 = nn.Parameter(torch.ones(1))
            self.w1 = nn.Parameter(2 * torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ((x + self.v0).relu() * self.w1).mean((2, 3))

    model = onnx_model(Source(network=Named(), in_channels=3, resolution=8))
    onnx.checker.check_model(model, full_check=True)
    assert {"v0", "w1"} <= {tensor.name for tensor in model.graph.initializer}


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
