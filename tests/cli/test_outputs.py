"""`-o` replaces a file of the same kind, and no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

SUBNET = ("spaces", "subnet", "darts_v2", "--space", "darts_cifar")
KIT = ("latency", "kit", "--space", "demo")


def test_a_file_is_replaced_by_one_of_its_kind_only(supernet: Command, tmp_path: Path) -> None:
    subnet, kit = tmp_path / "subnet.json", tmp_path / "kit.pyz"
    for _ in range(2):  # the second time replaces the first file
        assert supernet(*SUBNET, "-o", subnet).code == 0
        assert supernet(*KIT, "-o", kit).code == 0
    before = subnet.read_bytes(), kit.read_bytes()
    found = supernet(*KIT, "-o", subnet)
    assert found.code == 2
    assert f"{subnet} holds a supernet.subnet, and -o replaces only a measuring kit" in found.stderr
    found = supernet(*SUBNET, "-o", kit)
    assert found.code == 2
    assert f"{kit} holds a measuring kit, and -o replaces only a supernet.subnet" in found.stderr
    assert (subnet.read_bytes(), kit.read_bytes()) == before


PAGE = b"# Spaces\n\nSuch as:\n\nformat: supernet.space\nversion: 1\n"
DAMAGED = b"PK\x03\x04" + b"junk" * 30 + b"PK\x05\x06" + b"\xff" * 18


@pytest.mark.parametrize(
    "content",
    [
        *[b"\xff\xd8\xff photo", b"# Notes\n", b'{"a": 1, "b": 2}', b"name, age\nBob, 7\n"],
        *[PAGE, DAMAGED, b"\n" * 30_000],
    ],
    ids=["photo", "notes", "json", "csv", "page", "damaged", "blank"],
)
def test_what_others_wrote_stays(supernet: Command, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine"
    path.write_bytes(content)
    pairs = tmp_path / "pairs.npz"
    np.savez(pairs, top1=np.zeros(3))
    for command in (
        KIT,
        SUBNET,
        ("predictor", "fit", "--space", "demo", "--pairs", pairs),
        ("predictor", "predict", "--predictor", pairs, "--space", "demo", "--pairs", pairs),
        ("predictor", "collect"),
        ("spaces", "from", "torchvision:resnet18"),
        ("latency", "fit", pairs, "--space", "demo", "--column", "ms"),
        ("latency", "measure", "--space", "demo"),
        ("search", "--max-macs", "1M"),
    ):
        found = supernet(*command, "-o", path)
        assert (found.code, "holds something else" in found.stderr) == (2, True), found.stderr
        assert path.read_bytes() == content


def test_an_empty_file_is_no_file_of_another_kind(supernet: Command, tmp_path: Path) -> None:
    path = tmp_path / "subnet.json"
    path.touch()
    assert supernet(*SUBNET, "-o", path).code == 0


def test_a_name_that_no_file_can_have_is_one_line(supernet: Command) -> None:
    found = supernet(*SUBNET, "-o", "x" * 300)
    assert found.code == 2
    assert "File name too long" in found.stderr


def test_an_empty_text_is_no_file(supernet: Command) -> None:
    found = supernet(*SUBNET, "-o", "")
    assert found.code == 2
    assert "'--output': must be a file, found an empty text" in found.stderr


def test_an_import_replaces_what_it_makes(supernet: Command, tmp_path: Path) -> None:
    subnet = tmp_path / "subnet.json"
    assert supernet(*SUBNET, "-o", subnet).code == 0
    found = supernet(
        *("import", "ofa", "--accuracy-predictor", "none.pth"),
        *("--space", "mobilenet_v3", "-o", subnet),
    )
    assert found.code == 2
    assert "-o replaces only a supernet.predictor or a supernet.mlp_predictor" in found.stderr
