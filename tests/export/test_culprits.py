"""An operator that a tool lacks is named, with the layer of the network that it stands in."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from supernet.export import culprits
from supernet.export.contract import Source
from supernet.export.culprits import lacking
from supernet.export.formats.ncnn import _refuse_foreign
from supernet.export.registry import exporter
from torch import Tensor, nn

from supernet.errors import ExportError, MissingPackageError

Function = Callable[[Tensor], Tensor]


class Odd(nn.Module):
    """A layer of any function."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Block(nn.Module):
    """A convolution and an odd layer behind it."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.conv, self.odd = nn.Conv2d(1, 4, 3), Odd(function)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.odd(self.conv(x)).mean((2, 3))
        return out


def source(function: Function) -> Source:
    network = nn.Sequential(Block(function), nn.Linear(4, 10)).eval()
    return Source(network=network, in_channels=1, resolution=8)


def determinant(x: Tensor) -> Tensor:
    found: Tensor = torch.linalg.det(x)
    return found[..., None, None]


def branch(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def bits(x: Tensor) -> Tensor:
    return torch.bitwise_and(x.int(), 3).float()


@pytest.mark.parametrize(
    ("name", "function", "told"),
    [
        ("onnx", torch.lgamma, r"has no operator lgamma \(in layer 0\.odd\)$"),
        ("onnx", branch, r"failed in layer 0\.odd: Could not guard"),
        ("torch-export", branch, r"failed in layer 0\.odd: Could not guard"),
        ("openvino", determinant, r"has no operator Det \(in layer 0\.odd\)$"),
        pytest.param(
            "coreml",
            determinant,
            r"has no operator linalg_det \(in layer 0\.odd\)$",
            # a finaliser of coremltools' own fails once it has failed to convert
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        ),
        ("ncnn", bits, r"has no operator Tensor.to .*, torch.bitwise_and \(in layer 0\.odd\)$"),
        pytest.param(
            "executorch",
            determinant,
            r"has no operator _linalg_det \(in layer 0\.odd\)$",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_converter_that_lacks_an_operator(
    name: str, function: Function, told: str, tmp_path: Path
) -> None:
    try:
        made = exporter(name)
    except MissingPackageError as error:
        pytest.skip(str(error))
    with pytest.raises(ExportError, match=told):
        made.write(source(function), tmp_path / f"network{made.suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def places() -> dict[str, list[str]]:
    """Found once."""
    return culprits._places(source(determinant))


# What the tools print, cut: torch 2.14.1, openvino 2026.4.1, coremltools 9.0, executorch 1.5.1,
# onnxruntime 1.32.0, ncnn 1.0.20261020; of litert-torch as its source has it.
@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("No ONNX function found for <OpOverload(op='aten._linalg_det', overload='default')>. F",
         "_linalg_det"),
        ("-- No conversion rule found for operations: Det-18\n-- Conversion is failed for: Mul-18",
         "Det"),
        ("Unsupported fx node linalg_det, kind linalg_det", "linalg_det"),
        ("type object 'Builder' has no attribute 'linalg_det'", "linalg_det"),
        ("Operator torch._ops.aten._linalg_det.default is not in Core ATen opset (https://py",
         "_linalg_det"),
        ("RuntimeError: Lowering not found: aten.linalg_det.default", "linalg_det"),
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for "
         "Det(11) node with name 'n1'", "Det"),
        ("ncnn refuses it: layer Det not exists or registered", "Det"),
    ],
)  # fmt: skip
def test_the_words_of_each_tool(
    text: str, operator: str, places: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(culprits, "_places", lambda _: places)
    assert lacking(text, source(determinant)) == f"it has no operator {operator} (in layer 0.odd)"


def test_what_stands_nowhere_is_told_alone_and_other_errors_are_left() -> None:
    assert lacking("layer Foo not exists", source(torch.relu)) == "it has no operator Foo"
    assert lacking("the disk is full", source(torch.relu)) == ""


def test_what_pnnx_leaves_in_a_page() -> None:
    pytest.importorskip("ncnn")
    page = "7767517\n3 3\nInput in0 0 1 in0\ntorch.bitwise_and n_0 1 1 2 3\nReduction n_2 1 1 4 5\n"
    with pytest.raises(ExportError, match=r"no operator torch.bitwise_and \(in layer 0\.odd\)$"):
        _refuse_foreign(page, source(bits))
    _refuse_foreign(page.replace("torch.bitwise_and", "BinaryOp"), source(bits))


@pytest.mark.parametrize("name", ["Det", "aten::linalg_det"])
def test_what_pnnx_leaves_under_other_names_than_those_of_torch(
    name: str, places: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ncnn")
    monkeypatch.setattr(culprits, "_places", lambda _: places)
    page = f"7767517\n3 3\nInput in0 0 1 in0\n{name} n_0 1 1 2 3\nReduction n_2 1 1 4 5\n"
    with pytest.raises(ExportError, match=rf"no operator {name} \(in layer 0\.odd\)$"):
        _refuse_foreign(page, source(determinant))
