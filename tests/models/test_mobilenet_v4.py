"""The published MobileNetV4 networks are subnets, and compute what timm's do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from supernet.errors import ConfigError
from supernet.models import Supernet, extract, open_network
from supernet.models._layers import Counts, layer_order, layer_pairs
from supernet.space import decode, load_space, operators, sample, total_macs, total_params
from supernet.workflow.start import start_from
from tests.mobilenet_v4 import SIZES, hybrid, published

SPACE = load_space("mobilenet_v4")
LARGER = pytest.mark.slow
"""32 M parameters."""


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    return Supernet(SPACE).eval()


# arXiv:2404.10518, table 5: 3.8 M and 0.2 G, 9.2 M and 1.0 G, 31 M and 5.9 G. timm's networks,
# with the classifier of a thousand classes and the batch norms, have 9.7 M and 32.6 M
# parameters and 6.4 G multiply-adds at 384 px by torch's own counter, and so have ours.
@pytest.mark.parametrize(
    ("size", "params", "macs"),
    [("small", 3774024, 0.186), ("medium", 9715512, 1.08), ("large", 32590864, 6.376)],
)
def test_the_published_networks_are_subnets(size: str, params: int, macs: float) -> None:
    timm = pytest.importorskip("timm")
    found = operators(SPACE, published(size, SPACE))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = timm.create_model(f"mobilenetv4_conv_{size}").eval()
        network(torch.zeros(1, 3, SIZES[size], SIZES[size]))
    assert total_params(found) == sum(p.numel() for p in network.parameters()) == params
    assert 2 * total_macs(found) == counter.get_total_flops()
    assert round(total_macs(found) / 1e9, 3) == macs


@pytest.mark.parametrize("size", ["small", "medium", pytest.param("large", marks=LARGER)])
def test_they_compute_what_timms_do(size: str, supernet: Supernet) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = shaken(timm.create_model(f"mobilenetv4_conv_{size}"))
    ours = extract(supernet, published(size, SPACE)).eval()
    image = torch.randn(2, 3, 96, 96)
    with torch.inference_mode(False), torch.no_grad():
        for pair in layer_pairs(layer_order(ours, image), layer_order(network, image)):
            pair.copy(Counts())
        expected = network(image)
        error = float((ours(image) - expected).abs().max())
    assert error < 1e-5 * max(1, float(expected.abs().max()))


def test_the_hybrid_is_a_subnet() -> None:
    """Of timm's 1.27 G at 256 px, 42 M are the products of attention, which torch counts, too."""
    timm = pytest.importorskip("timm")
    space = load_space("mobilenet_v4_hybrid")
    found = operators(space, hybrid(space))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = timm.create_model("mobilenetv4_hybrid_medium").eval()
        network(torch.zeros(1, 3, 256, 256))
    assert total_params(found) == sum(p.numel() for p in network.parameters()) == 11074648
    assert 2 * total_macs(found) == counter.get_total_flops() == 2 * 1271183360


@pytest.mark.slow
def test_the_hybrid_computes_what_timms_does() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    space = load_space("mobilenet_v4_hybrid")
    network = shaken(timm.create_model("mobilenetv4_hybrid_medium"))
    ours = extract(Supernet(space), hybrid(space)).eval()
    image = torch.randn(2, 3, 256, 256)
    with torch.inference_mode(False), torch.no_grad():
        for pair in layer_pairs(layer_order(ours, image), layer_order(network, image)):
            pair.copy(Counts())
        expected = network(image)
        error = float((ours(image) - expected).abs().max())
    assert error < 1e-5 * max(1, float(expected.abs().max()))


@pytest.mark.slow
def test_random_subnets_of_the_hybrid_are_extracted_as_they_are_active() -> None:
    space = replace(load_space("mobilenet_v4_hybrid"), resolutions=(64,))
    torch.manual_seed(0)
    supernet = Supernet(space, num_classes=5)
    shaken(supernet)
    image = torch.randn(16, 3, 64, 64)
    for subnet in decode(space, sample(space, 200, np.random.default_rng(0))):
        for training in (False, True):
            supernet.train(training).activate(subnet)
            network = extract(supernet, subnet)
            with torch.no_grad():
                expected = supernet(image)
                error = float((network(image) - expected).abs().max())
            assert error < 1e-5 * max(1, float(expected.abs().max()))


def shaken(network: nn.Module) -> nn.Module:
    """The network with norms and factors that do something, in eval mode."""
    for name, values in network.named_parameters():
        if name.endswith((".gamma", ".scale.weight")):
            nn.init.uniform_(values, 0.3, 1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def test_a_network_of_another_width_is_refused(tmp_path) -> None:
    timm = pytest.importorskip("timm")
    narrow = timm.create_model("mobilenetv4_conv_small_050", num_classes=5)
    torch.save(narrow.state_dict(), tmp_path / "narrow.pth")
    source = f"timm:mobilenetv4_conv_small_050={tmp_path / 'narrow.pth'}"
    with pytest.raises(ConfigError, match=r"layer 3 of the network does not fit: it has blocks"):
        start_from(Supernet(load_space("mobilenet_v4_small")), source)


def test_the_nearest_name_is_shown() -> None:
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match="did you mean 'mobilenetv4_conv_small'"):
        open_network("timm:mobilenetv4_conv_smal")
