"""Published networks have the published sizes.

The files are their authors' and not part of this project: the tests look for them in
``SUPERNET_PUBLISHED``, else in ``../shared/published`` beside the project, and are
skipped where they are not.
"""

import json
import math
import os
from pathlib import Path

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
from supernet.space.layout import Dimension, layout_of
from supernet.space.net_config import read_net_config

ROOT = Path(__file__).parents[2]
PUBLISHED = Path(os.environ.get("SUPERNET_PUBLISHED") or ROOT.parent / "shared" / "published")
needs_files = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"published networks are not at {PUBLISHED}"
)
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


@pytest.mark.parametrize(
    "content",
    [
        "",
        "junk",
        "[]",
        "{}",
        '{"name": "ResNet"}',
        '{"name": "MobileNetV3", "first_conv": {"in_channels": "3", "out_channels": 16}}',
        "[" * 100_000,
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str):
    (tmp_path / "net.config").write_text(content)
    with pytest.raises(FileFormatError, match=r"net\.config: not a published network") as caught:
        read_net_config(tmp_path / "net.config", 224)
    assert "\n" not in str(caught.value)
