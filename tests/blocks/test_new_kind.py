"""A kind of block is one file and a name: those of the page about it work everywhere at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
USE = """
import supernet.blocks

supernet.blocks.KINDS[OWN.name] = OWN

import io

import numpy as np
import onnx
import onnxruntime
import torch
from supernet.export import Source
from supernet.export.direct import direct_onnx
from torch.utils.flop_counter import FlopCounterMode

from supernet.latency.kit.graph import build_onnx
from supernet.latency.work import work_terms
from supernet.models import Supernet, extract, sort_channels
from supernet.space import *
from supernet.space.costs import file_bytes, peak_bytes, weight_bytes

stage = Stage(
    block=(OWN.name,), width=(16, 24), depth=(1, 2), kernel=(3, 5), expand=(1.0, 2.0),
    stride=2, shortcut=("project_norm",),
)
space = Space(name="own", resolutions=(16,), stem=Stem(width=(8, 16)), stages=(stage,), head=Head())
supernet = Supernet(space, num_classes=3)
image = torch.randn(4, 3, 16, 16)
supernet(image).sum().backward()
before = supernet(image)
sort_channels(supernet)
torch.testing.assert_close(supernet(image), before, atol=1e-5, rtol=1e-5)
genes = sample(supernet.space, 6, np.random.default_rng(0))
for subnet, macs, params in zip(
    decode(supernet.space, genes), macs_of(supernet.space, genes), params_of(supernet.space, genes)
):
    for training in (True, False):
        supernet.train(training).activate(subnet)
        network = extract(supernet, subnet)
        torch.testing.assert_close(network(image), supernet(image), atol=1e-5, rtol=1e-5)
    with FlopCounterMode(display=False) as counter:
        network(image[:1])
    assert counter.get_total_flops() == 2 * macs
    assert sum(p.numel() for p in network.parameters()) == params
    found = operators(supernet.space, subnet)
    for precision in ("fp32", "int8"):
        model = onnx.load_from_string(build_onnx(found, precision=precision))
        onnx.checker.check_model(model, full_check=True)
    channels = supernet.space.in_channels
    source = Source(network=network, in_channels=channels, resolution=subnet.resolution)
    direct = direct_onnx(source).SerializeToString()
    session = onnxruntime.InferenceSession(direct, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": image[:1].numpy()})
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(logits), network(image[:1]), atol=1e-4, rtol=1e-4
        )
    assert all(dict(work_terms(operator)) for operator in found)
    assert all(file_bytes(o) > weight_bytes(o) > 0 and peak_bytes(o) > 0 for o in found if o.params)
print("the same")
"""


@pytest.mark.parametrize("name", [pytest.param("SEPARABLE", marks=pytest.mark.slow), "GHOST"])
def test_a_kind_of_the_page_needs_nothing_else(tmp_path: Path, name: str) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## A kind of block")[2]
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = (block for block in found if f"\n{name} = Kind(" in block)
    assert len(code.splitlines()) < 150
    (tmp_path / "use.py").write_text(f"{code}\nOWN = {name}\n{USE}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "the same\n", done.stderr
