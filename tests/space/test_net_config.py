"""Published networks have the published sizes.

The files are their authors' and not part of this project: the tests look for them in
``SUPERNET_PUBLISHED``, else in ``../shared/published`` beside the project, and are
skipped where they are not.
"""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import FileFormatError
from supernet.space import (
    canonical,
    load_space,
    macs_of,
    params_of,
    total_macs,
    total_params,
)
from supernet.space.identify import find_subnet
from supernet.space.layout import Dimension, layout_of
from supernet.space.net_config import read_bn_eps, read_net_config, read_run_config
from tests.published import PUBLISHED, needs

needs_files = needs()
# README of Once-for-All: millions of parameters and of multiply-adds
OFA = {
    "LG-G8_lat-24ms_top1-76.4": (5.8, 230), "LG-G8_lat-16ms_top1-74.7": (5.8, 151),
    "LG-G8_lat-11ms_top1-73.0": (5.0, 103), "LG-G8_lat-8ms_top1-71.1": (4.1, 74),
    "s7edge_lat-88ms_top1-76.3": (6.4, 219), "s7edge_lat-58ms_top1-74.7": (4.6, 145),
    "s7edge_lat-41ms_top1-73.1": (4.7, 96), "s7edge_lat-29ms_top1-70.5": (3.8, 66),
    "note8_lat-65ms_top1-76.1": (5.3, 220), "note8_lat-49ms_top1-74.9": (6.0, 164),
    "note8_lat-31ms_top1-72.8": (4.6, 101), "note8_lat-22ms_top1-70.4": (4.3, 67),
    "pixel2_lat-62ms_top1-75.8": (5.8, 208), "pixel2_lat-50ms_top1-74.7": (4.7, 166),
    "pixel2_lat-35ms_top1-73.4": (5.1, 113), "pixel2_lat-25ms_top1-71.5": (4.1, 79),
    "1080ti_gpu64-27ms_top1-76.4": (6.5, 397), "1080ti_gpu64-22ms_top1-75.3": (5.2, 313),
    "1080ti_gpu64-15ms_top1-73.8": (6.0, 226), "1080ti_gpu64-12ms_top1-72.6": (5.9, 165),
    "v100_gpu64-11ms_top1-76.1": (6.2, 352), "v100_gpu64-9ms_top1-75.3": (5.2, 313),
    "v100_gpu64-6ms_top1-73.0": (4.9, 179), "v100_gpu64-5ms_top1-71.6": (5.2, 141),
    "tx2_gpu16-96ms_top1-75.8": (6.2, 349), "tx2_gpu16-80ms_top1-75.4": (5.2, 313),
    "tx2_gpu16-47ms_top1-72.9": (4.9, 179), "tx2_gpu16-35ms_top1-70.3": (4.3, 121),
    "cpu_lat-17ms_top1-75.7": (4.9, 365), "cpu_lat-15ms_top1-74.6": (4.9, 301),
    "cpu_lat-11ms_top1-72.0": (4.4, 160), "cpu_lat-10ms_top1-71.1": (4.2, 143),
}  # fmt: skip
# 73.47 and 364.49 million: the README rounds these two up, all others to the nearest
ROUNDED_UP = {"LG-G8_lat-8ms_top1-71.1", "cpu_lat-17ms_top1-75.7"}
# logs of ProxylessNAS, at 224 pixels
PROXYLESS = {
    "proxyless_mobile": (4.08, 320.4),
    "proxyless_gpu": (7.12, 465.3),
    "proxyless_cpu": (4.36, 439.2),
    "proxyless_mobile_14": (6.86, 580.9),
}


@needs_files
@pytest.mark.parametrize("name", OFA)
def test_specialized_networks_have_the_published_sizes(name: str):
    folder = next((PUBLISHED / "ofa" / "specialized").glob(f"{name}_*"))
    resolution = json.loads((folder / "run.config").read_text())["image_size"]
    found = read_net_config(folder / "net.config", resolution)
    params, macs = OFA[name]
    assert round(total_params(found) / 1e6, 1) == params
    exact = total_macs(found) / 1e6
    assert (math.ceil(exact) if name in ROUNDED_UP else round(exact)) == macs


@needs_files
@pytest.mark.parametrize("name", PROXYLESS)
def test_proxyless_networks_have_the_published_sizes(name: str):
    found = read_net_config(PUBLISHED / "proxylessnas" / f"{name}.config", 224)
    params, macs = PROXYLESS[name]
    assert round(total_params(found) / 1e6, 2) == params
    assert round(total_macs(found) / 1e6, 1) == macs


@needs_files
def test_subnets_measured_by_others_have_exactly_their_sizes():
    """1,600 subnets of OFA MobileNetV3 1.0 with their MACs and parameters (DyNAS-T)."""
    table = np.load(PUBLISHED / "accuracy" / "ofa_mbv3_w1.0_imagenet_top1.npz")
    space = load_space("mobilenet_v3")
    layout = layout_of(space)
    genes = np.zeros((len(table["r"]), len(layout.genes)), np.int8)

    def put(dimension: Dimension, values: np.ndarray) -> None:
        genes[:, dimension.column] = np.searchsorted(dimension.choices, values)

    put(layout.resolution, table["r"])
    for stage in range(5):  # behind the fixed first one
        put(layout.stages[stage + 1].depth, table["d"][:, stage])
        for block in range(4):
            put(layout.stages[stage + 1].kernel[block], table["ks"][:, 4 * stage + block])
            put(layout.stages[stage + 1].expand[block], table["e"][:, 4 * stage + block])
    genes = canonical(space, genes)
    np.testing.assert_array_equal(macs_of(space, genes), table["macs"])
    np.testing.assert_array_equal(params_of(space, genes), table["params"])


@needs_files
def test_other_networks_are_told_apart_by_their_batch_norm():
    """ProxylessNAS adds 1e-3 to variances."""
    for name in PROXYLESS:
        assert read_bn_eps(PUBLISHED / "proxylessnas" / f"{name}.config") == 1e-3
    folder = next((PUBLISHED / "ofa" / "specialized").glob("LG-G8*"))
    assert read_bn_eps(folder / "net.config") == 1e-5


CHOICES = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
BUILDERS: dict[str, Callable[[Any], Any]] = {
    "mobilenet_v3": lambda ofa: ofa.OFAMobileNetV3(width_mult=1.0, **CHOICES),
    "proxyless": lambda ofa: ofa.OFAProxylessNASNets(
        width_mult=1.3, bn_param=(0.1, 1e-3), **CHOICES
    ),
    "resnet50": lambda ofa: ofa.OFAResNets(
        depth_list=[0, 1, 2],
        expand_ratio_list=[0.2, 0.25, 0.35],
        width_mult_list=[0.65, 0.8, 1.0],
    ),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_networks_of_the_package_have_its_parameters_and_are_in_its_space(
    name: str, tmp_path: Path
):
    """`get_active_subnet().config`, as the package's users save it."""
    ofa = pytest.importorskip("ofa.imagenet_classification.elastic_nn.networks")
    space, theirs = load_space(name), BUILDERS[name](ofa)
    np_random, path = np.random.default_rng(3), tmp_path / "net.config"
    for _ in range(3):
        _choose(theirs, np_random)
        network = theirs.get_active_subnet()
        path.write_text(json.dumps(network.config))
        found = read_net_config(path, 192)
        assert total_params(found) == sum(values.numel() for values in network.parameters())
        assert find_subnet(space, found) is not None
        assert read_bn_eps(path) == space.bn_eps


def _choose(theirs: Any, rng: np.random.Generator) -> None:
    """A random subnet; the package's own choice comes from the global generator."""
    state = random.getstate()
    random.seed(int(rng.integers(2**31)))
    try:
        theirs.sample_active_subnet()
    finally:
        random.setstate(state)


CONV = {"in_channels": 3, "out_channels": 8, "kernel_size": 3, "stride": 2, "act_func": "relu6"}
BLOCK = {"name": "MBConvLayer", "in_channels": 8, "out_channels": 8, "expand_ratio": 3}
SMALL: dict[str, Any] = {
    "name": "ProxylessNASNets",
    "first_conv": CONV,
    "blocks": [{"conv": BLOCK, "shortcut": {"name": "IdentityLayer"}}],
    "feature_mix_layer": {"in_channels": 8, "out_channels": 16},
    "classifier": {"in_features": 16, "out_features": 10},
}


def _changed(**changes: Any) -> dict[str, Any]:
    return SMALL | changes


def _block(**changes: Any) -> dict[str, Any]:
    return _changed(blocks=[{"conv": BLOCK | changes, "shortcut": None}])


def _written(folder: Path, content: object) -> Path:
    (folder / "net.config").write_text(json.dumps(content))
    return folder / "net.config"


def test_blocks_that_were_removed_are_left_out(tmp_path: Path):
    removed = [
        {"conv": {"name": "ZeroLayer"}, "shortcut": {"name": "IdentityLayer"}},
        {"conv": None, "shortcut": {"name": "IdentityLayer"}},
        {"mobile_inverted_conv": {"name": "ZeroLayer", "stride": 1}, "shortcut": None},
    ]
    with_removed = _changed(blocks=[*removed, *SMALL["blocks"], *removed])
    expected = read_net_config(_written(tmp_path, SMALL), 32)
    assert read_net_config(_written(tmp_path, with_removed), 32) == expected


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (_changed(first_conv=CONV | {"groups": 3}), "groups: must be 1, found 3"),
        (_changed(first_conv=CONV | {"dilation": 2}), "dilation: must be 1, found 2"),
        (_changed(first_conv=CONV | {"has_shuffle": True}), "has_shuffle: must be False"),
        (_changed(first_conv=CONV | {"use_bn": False}), "use_bn: must be True"),
        (_changed(first_conv=CONV | {"use_se": True}), "use_se: must be False"),
        (_changed(first_conv=CONV | {"act_func": "gelu\n"}), r"one of h_swish, .*'gelu\\n'"),
        (_changed(first_conv=CONV | {"kernel_size": 4}), "kernel must be odd"),
        (_changed(first_conv=CONV | {"stride": 0}), "stride must be at least 1"),
        (_changed(first_conv=CONV | {"out_channels": 9}), "cannot follow"),
        (_changed(first_conv=CONV | {"out_channels": 10**9}), "out_channels: must be from 0"),
        (_changed(first_conv=CONV | {"out_channels": -8}), "out_channels: must be from 0"),
        (_block(groups=3), "groups: must be those of a depthwise"),
        (_block(expand_ratio=1e300), "mid_channels: must be from"),
        (_block(expand_ratio=-1), "mid_channels: must be from"),
        (_block(mid_channels=24, expand_ratio=1), "must equal in_channels for op 'dsconv'"),
        (_block(act_func="relu9"), "act_func: must be one of"),
        ({"name": "ResNets", "input_stem": [], "blocks": [], "classifier": {"in_features": 1,
          "out_features": 1}}, "not a network of operators known here"),
    ],
)  # fmt: skip
def test_what_no_operator_is_like_is_refused(tmp_path: Path, content: Any, text: str):
    with pytest.raises(FileFormatError, match=text) as caught:
        read_net_config(_written(tmp_path, content), 32)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("resolution", [-1, 0, 7, 4097, 10**30])
def test_an_input_size_that_no_space_has_is_refused(tmp_path: Path, resolution: int):
    with pytest.raises(FileFormatError, match="image_size: must be from 8 to 4096, found"):
        read_net_config(_written(tmp_path, SMALL), resolution)


@pytest.mark.parametrize("content", ["{}", '{"image_size": "224"}', '{"image_size": 2.5}', "", "1"])
def test_a_run_config_without_a_size_is_refused(tmp_path: Path, content: str):
    (tmp_path / "run.config").write_text(content)
    with pytest.raises(FileFormatError, match=r"run\.config: not a published network: "):
        read_run_config(tmp_path / "run.config")


def test_a_huge_file_is_not_read(tmp_path: Path):
    with (tmp_path / "net.config").open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(FileFormatError, match="larger than 4194304 bytes"):
        read_net_config(tmp_path / "net.config", 224)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "junk",
        "[]",
        "{}",
        '{"name": "ResNet"}',
        '{"name": "a\\nb"}',
        '{"name": "MobileNetV3", "name": 1}',
        '{"name": "ResNets", "input_stem": [{"name": "x\\ny"}]}',
        '{"name": ' + "9" * 1_000_000 + "}",
        '{"name": "MobileNetV3", "first_conv": {"in_channels": "3", "out_channels": 16}}',
        "[" * 100_000,
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str):
    (tmp_path / "net.config").write_text(content)
    with pytest.raises(FileFormatError, match=r"net\.config: not a published network") as caught:
        read_net_config(tmp_path / "net.config", 224)
    assert str(caught.value).isprintable()
