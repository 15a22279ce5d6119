"""Files of backbones give torch's maps, by name, in every format that can have several outputs.

ONNX is what `tests/cli/test_backbone.py` exports.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from supernet.export.contract import Images, InputSpec, Logits, OpenedModel, Source
from supernet.export.map_verification import MapCheck, refused, verify_maps
from supernet.export.registry import FORMATS, exporter
from torch import Tensor, nn

from supernet.models import Network, backbone_of
from supernet.space import decode, load_space, operators, smallest

SIZE, LARGER, STRIDES = (32, 48), (40, 64), (2, 8)
WITH_MAPS = [name for name, info in FORMATS.items() if info.load().takes_maps]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "torch-export" else [])
        for name in WITH_MAPS
        if name != "onnx"
    ],
)
def test_maps_are_torchs_at_any_size(name: str, tmp_path: Path) -> None:
    space = replace(load_space("demo"), in_channels=1, padding="same")
    subnet = decode(space, smallest(space))[0]
    listed = operators(space, subnet)
    torch.manual_seed(0)
    network = Network(listed).eval()
    backbone = backbone_of(network, subnet, listed, STRIDES, SIZE).eval()
    made = exporter(name)
    path = tmp_path / f"backbone{made.suffix}"
    source = Source(
        network=backbone,
        in_channels=1,
        resolution=SIZE[0],
        width=SIZE[1],
        outputs=backbone.names,
        multiple=STRIDES[-1],
        preprocessing={"size": list(SIZE), "features": [{"name": n} for n in backbone.names]},
    )
    made.write(source, path)
    opened = made.open(path)
    opened.runner()()  # at the size of the preprocessing, where it may vary
    for size in (SIZE, LARGER):
        images = [torch.randn(2, 1, *size)]
        checks = verify_maps(
            opened, backbone_of(network, subnet, listed, STRIDES, size), backbone.names, images
        )
        assert list(checks) == ["stride2", "stride8"]
        assert [check.shape[1:] for check in checks.values()] == [
            tuple(side // stride for side in size) for stride in STRIDES
        ]
        assert refused(checks) == ""


class Doubled(nn.Module):
    """Two maps."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, 2 * x[..., ::2, ::2]]


def stand_in(**maps: float) -> OpenedModel:
    """A file whose maps are right but for a factor."""
    names = {"stride1": 1.0, "stride2": 2.0}

    def run(images: Images) -> dict[str, Logits]:
        floats = images.astype(np.float32)
        found = {"stride1": floats, "stride2": floats[..., ::2, ::2]}
        return {name: found[name] * names[name] * maps[name] for name in maps}

    return OpenedModel(
        runtime="none",
        input=InputSpec(shape=(1, 3, 8, 8)),
        call=lambda images: images.astype(np.float32),
        maps=run,
        operators=Counter,
    )


@pytest.mark.parametrize(
    ("maps", "why"),
    [
        ({"stride1": 1.0, "stride2": 1.00005}, ""),
        ({"stride1": 1.0, "stride2": 1.001}, "stride2 and torch's differ by"),
        ({"stride1": float("nan"), "stride2": 1.0}, "stride1 and torch's differ by nan"),
        ({"stride2": 1.0}, "stride1 and torch's differ by inf"),
    ],
)
def test_a_wrong_map_is_named(maps: dict[str, float], why: str) -> None:
    found = refused(
        verify_maps(stand_in(**maps), Doubled(), ("stride1", "stride2"), [torch.randn(2, 3, 8, 8)])
    )
    assert found.startswith(why) if why else found == ""


def test_a_damaged_network_is_told() -> None:
    check = MapCheck(shape=(1, 2, 2), max_abs_diff=0.0, largest=float("inf"))
    assert "stride8 that are not finite" in refused({"stride8": check})
