"""Attention, gates and pooled shortcuts in every format: computed as torch does, or named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from supernet.export.contract import Precision, Sample, Source
from supernet.export.registry import FORMATS, exporter
from supernet.export.sources import spelled_out
from torch import Tensor, nn

from supernet.errors import ExportError, MissingPackageError
from supernet.models import Network
from supernet.space import Operator

SIZE = 16
SLOW = {"executorch", "litert", ("onnx", "int8"), ("openvino", "int8")}


def block(op: str, before: int, after: int, **more: Any) -> Operator:
    """A block of 8x8 pixels."""
    sizes: dict[str, Any] = {"in_channels": before, "out_channels": after, "height": 8, "width": 8}
    return Operator(op=op, **sizes | more)


_STEM = block("conv", 3, 16, kernel=3, stride=2, act="relu", height=SIZE, width=SIZE)
KINDS: dict[str, list[Operator]] = {
    "attention": [
        block("mqa", 16, 16, mid_channels=16, heads=2, kernel=3, reduction=2, shortcut="identity"),
        block("uib_scaled", 16, 24, mid_channels=32, start=3, kernel=0, act="relu"),
        block("mqa", 24, 24, mid_channels=24, heads=3, shortcut="identity"),
    ],
    "sigmoid gates": [
        block("mbconv", 16, 16, mid_channels=32, kernel=3, act="swish", se=8, gate="sigmoid",
              shortcut="identity"),
        block("mbconv", 16, 24, mid_channels=32, kernel=3, act="relu", se=8, gate="sigmoid"),
    ],
    "hard-sigmoid gates": [
        block("mbconv", 16, 16, mid_channels=32, kernel=3, act="hard_swish", se=8,
              gate="hard_sigmoid_act"),
        block("mbconv", 16, 24, mid_channels=32, kernel=3, act="hard_swish", se=8),
    ],
    "pooled shortcuts": [
        block("bottleneck", 16, 24, mid_channels=16, kernel=3, stride=2, act="relu",
              shortcut="project_norm"),
        block("conv", 24, 24, kernel=3, act="relu", shortcut="pool", stride=2, height=4, width=4),
    ],
}  # fmt: skip
FLOAT_PARTS: dict[str, set[str]] = {
    "onnx": {"BatchNormalization"},
    "openvino": {"MatMul", "Softmax"},
    "executorch": {"BatchMatrixMultiply", "Softmax", "DepthwiseConv2d"},
}
"""What of an attention computes in float in an int8 file; each is named by the exporter."""


def images(count: int, seed: int) -> Tensor:
    """Smooth random pictures: neighbours are alike, as in photographs."""
    coarse = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")


def source_of(kind: str) -> Source:
    """A network with outputs as decided as those of a trained one."""
    last = KINDS[kind][-1]
    sizes: dict[str, Any] = {"height": last.out_height, "width": last.out_width}
    width = last.out_channels
    listed = [
        _STEM,
        *KINDS[kind],
        Operator(op="pool", in_channels=width, out_channels=width, **sizes),
        Operator(op="linear", in_channels=width, out_channels=10, bias=True),
    ]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = Network(listed).train()
        end: Any = network.layers[-1]
        end.linear.weight.mul_(8)
        for seed in range(20):
            network(images(32, seed))
        calibration = images(64, 100)
        labels = network.eval()(calibration).argmax(1).numpy()
    return Source(
        network=network,
        in_channels=3,
        resolution=SIZE,
        calibration=[calibration],
        holdout=Sample(batches=[calibration], labels=labels),
        most_lost=100.0,
    )


def cases() -> list[object]:
    """As parameters: attention where it takes seconds; all else is marked slow."""
    return [
        pytest.param(
            kind,
            name,
            precision,
            id=f"{kind}-{name}-{precision}".replace(" ", "_"),
            marks=[pytest.mark.slow]
            if kind != "attention" or SLOW & {name, (name, precision)}
            else [],
        )
        for kind in KINDS
        for name, info in FORMATS.items()
        for precision in info.load().precisions
    ]


@pytest.mark.parametrize(("kind", "name", "precision"), cases())
def test_a_kind_is_computed_as_torch_computes_it(
    kind: str, name: str, precision: Precision, tmp_path: Path
) -> None:
    try:
        made = exporter(name)
    except MissingPackageError as error:
        pytest.skip(str(error))
    source, path = source_of(kind), tmp_path / f"network{made.suffix}"
    try:
        written = made.write(source, path, precision)
    except ExportError as error:
        if str(error).startswith("environment of"):
            pytest.skip(f"no package index: {str(error).splitlines()[0]}")
        raise
    if not made.runs_here:
        return
    asked = images(64, 200)
    with torch.inference_mode():
        expected = source.network(asked).numpy()
    found = made.open(path).logits([asked])
    most = float(np.abs(expected).max())
    if precision == "fp32":
        assert float(np.abs(found - expected).max()) <= made.tolerance * max(1.0, most / 10)
        return
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
    if kind == "attention":
        facts = written.facts
        parts = {*facts["float_operators"], *facts.get("other_float_operators", ())}
        assert parts >= FLOAT_PARTS.get(name, set())


@pytest.mark.parametrize(
    ("window", "stride", "padding", "ceil", "size"),
    [(3, 2, 1, False, (7, 8)), (3, 1, 1, False, (5, 5)), (2, 2, 0, True, (7, 4))],
)
def test_windows_that_stick_out_are_a_convolution_and_a_factor(
    window: int, stride: int, padding: int, ceil: bool, size: tuple[int, int]
) -> None:
    pool = nn.AvgPool2d(window, stride, padding, ceil_mode=ceil, count_include_pad=False)
    network = nn.Sequential(pool, nn.AvgPool2d(2))  # the other stays as it is
    height, width = size
    source = Source(network=network.eval(), in_channels=3, resolution=height, width=width)
    spelled = spelled_out(source).network
    kinds = [type(module) for module in spelled.children()]
    assert kinds[1:] == [nn.AvgPool2d]
    assert kinds[0] is not nn.AvgPool2d
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(spelled(x), network(x))
