"""A kind of block is one file and a name: that of the page about it works everywhere at once."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
USE = """
import supernet.blocks

supernet.blocks.KINDS["separable"] = SEPARABLE

import io

import numpy as np
import onnx
import torch
from torch.utils.flop_counter import FlopCounterMode

from supernet.latency.kit.graph import build_onnx
from supernet.latency.work import work_terms
from supernet.models import Supernet, extract, sort_channels
from supernet.space import *

stage = Stage(
    block=("separable",), width=(16, 24), depth=(1, 2), kernel=(3, 5), expand=(0.5, 1.0),
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
    onnx.checker.check_model(onnx.load_from_string(build_onnx(found)), full_check=True)
    assert all(dict(work_terms(operator)) for operator in found)
print("the same")
"""


def test_the_kind_of_the_page_needs_nothing_else(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text.partition("## A kind of block")[2], re.DOTALL)
    assert len(code.splitlines()) < 150
    (tmp_path / "use.py").write_text(code + USE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "the same\n", done.stderr
