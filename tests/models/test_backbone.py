"""Backbones give the maps that their networks compute, as timm's `features_only` networks do."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from supernet.errors import ConfigError
from supernet.models import Network, Supernet, backbone_of, extract
from supernet.space import (
    Space,
    decode,
    feature_maps,
    largest_subnet,
    load_space,
    operators,
    sample,
)

MakeSupernet = Callable[[Space], Supernet]


def seen(network: Network, count: int, image: Tensor) -> list[Tensor]:
    """What the first layers of a network write."""
    found = []
    for layer in list(network.layers)[:count]:
        image = layer(image)
        found.append(image)
    return found


@torch.inference_mode()
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_maps_are_those_of_the_extracted_network(
    any_space: Space, make_supernet: MakeSupernet, training: bool
) -> None:
    supernet = make_supernet(any_space).train(training)
    for subnet in decode(any_space, sample(any_space, 3, np.random.default_rng(0))):
        known = feature_maps(subnet, operators(any_space, subnet))
        wanted = known[1:] or known  # of all but the finest, where there are several
        strides = [one.stride for one in wanted]
        network = extract(supernet, subnet)
        backbone = extract(supernet, subnet, features=strides)
        assert backbone.training == training
        image = torch.randn(2, any_space.in_channels, subnet.resolution, subnet.resolution)
        written = seen(network, known[-1].index + 1, image)
        for one, found in zip(wanted, backbone(image), strict=True):
            assert torch.equal(found, written[one.index])
        assert len(backbone.layers) == known[-1].index + 1
        assert backbone.feature_info.module_name() == [f"layers.{m.index}" for m in wanted]
        assert backbone.feature_info.reduction() == strides
        assert backbone.feature_info.channels() == [one.channels for one in wanted]


@torch.inference_mode()
def test_images_may_have_any_size(any_space: Space, make_supernet: MakeSupernet) -> None:
    """At a size of its own, a backbone that was made for it computes the same."""
    supernet = make_supernet(any_space).eval()
    for subnet in decode(any_space, sample(any_space, 3, np.random.default_rng(1))):
        strides = [one.stride for one in feature_maps(subnet, operators(any_space, subnet))]
        backbone = extract(supernet, subnet, features=strides)
        network, listed = extract(supernet, subnet), operators(any_space, subnet)
        for size in ((33, 47), (64, 32)):
            image = torch.randn(1, any_space.in_channels, *size)
            maps = backbone(image)
            assert [m.shape[2:] for m in maps] == [
                tuple(-(-side // stride) for side in size) for stride in strides
            ]
            fixed = backbone_of(network, subnet, listed, strides, size)(image)
            assert all(torch.equal(one, other) for one, other in zip(maps, fixed, strict=True))


@pytest.mark.parametrize(
    ("space", "name", "head"),
    [
        ("efficientnet_lite0", "tf_efficientnet_lite0", None),
        ("mobilenet_v2", "mobilenetv2_100", None),
        ("mobilenet_v4_small", "mobilenetv4_conv_small", 960),
        ("mobilenet_v3_large", "mobilenetv3_large_100", 960),
    ],
)
def test_feature_info_is_timms(space: str, name: str, head: int | None) -> None:
    """MobileNetV3 and V4 of timm count a convolution of the head to the last map."""
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        theirs = timm.create_model(name, features_only=True).feature_info
        whole = load_space(space)
        subnet = largest_subnet(whole)
        listed = operators(whole, subnet)
        ours = backbone_of(Network(listed), subnet, listed, (2, 4, 8, 16, 32)).feature_info
    assert ours.reduction() == theirs.reduction()
    assert ours.channels()[:-1] == theirs.channels()[:-1]
    if head is None:
        assert ours.channels() == theirs.channels()
    else:
        assert theirs.channels()[-1] == head != ours.channels()[-1]
    assert len(ours) == len(theirs.info)
    assert ours[2]["num_chs"] == theirs[2]["num_chs"]
    assert [info["index"] for info in ours.get_dicts()] == [0, 1, 2, 3, 4]


@torch.inference_mode()
def test_maps_are_timms_with_the_same_weights() -> None:
    timm = pytest.importorskip("timm")
    space = load_space("efficientnet_lite0")
    subnet = largest_subnet(space)
    listed = operators(space, subnet)
    torch.manual_seed(0)
    network = Network(listed, eps=space.bn_eps).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    theirs = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    values = list(network.state_dict().values())
    names = list(theirs.state_dict())
    theirs.load_state_dict(dict(zip(names, values[: len(names)], strict=True)))
    ours = backbone_of(network, subnet, listed, (8, 16, 32))
    image = torch.randn(1, 3, 97, 128)
    for own, other in zip(ours(image), theirs(image)[2:], strict=True):
        assert float((own - other).abs().max() / other.abs().max()) < 1e-5


def test_a_pyramid_of_torchvision_reads_the_maps(
    tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    """And all that a backbone holds learns through it."""
    supernet = make_supernet(tiny_space).train()
    backbone = extract(supernet, supernet.largest, features=(2, 4))
    pyramid = FeaturePyramidNetwork(backbone.feature_info.channels(), 6)
    found = pyramid(dict(zip(backbone.names, backbone(torch.randn(2, 3, 24, 32)), strict=True)))
    assert [tuple(m.shape) for m in found.values()] == [(2, 6, 12, 16), (2, 6, 6, 8)]
    sum(m.square().mean() for m in found.values()).backward()
    assert all(weights.grad is not None for weights in backbone.parameters())


def test_no_such_stride_is_told(tiny_space: Space, make_supernet: MakeSupernet) -> None:
    supernet = make_supernet(tiny_space)
    with pytest.raises(ConfigError, match="no map of stride 32; its strides are 2, 4"):
        extract(supernet, supernet.largest, features=(4, 32))
