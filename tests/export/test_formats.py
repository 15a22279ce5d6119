"""Every format of the registry writes what torch computes, and refuses what is not its own."""

import shutil
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from supernet.export.contract import Exporter, Precision, Sample, Source, Written
from supernet.export.registry import FORMATS, exporter, exporter_of
from supernet.export.sources import plain
from supernet.export.verification import torch_logits, verify
from torch import Tensor, nn

from supernet.data import ImageSet, load_fashion_mnist
from supernet.errors import (
    ExportError,
    FileFormatError,
    MissingPackageError,
    StorageError,
)
from supernet.models import Network
from supernet.space import decode, load_space, operators, smallest

MEAN, STD, SIZE = 0.286, 0.353, 32
Variant = tuple[str, Precision]

VARIANTS: list[Variant] = [
    (name, precision) for name, info in FORMATS.items() for precision in info.load().precisions
]
# longer than ten seconds: passes over graphs in Python, environments, calibration
SLOW = {"executorch", "litert", ("onnx", "int8"), ("openvino", "int8")}

# what OpenVINO makes of the biases of convolutions, computed while a file is opened
WEIGHTS_OPENVINO = {
    "ShapeOf": 48, "Subtract": 15, "Broadcast": 15, "Concat": 18, "Reshape": 18,
    "VariadicSplit": 3, "Divide": 3,
}  # fmt: skip

# Of the smallest network of the demo: 15 convolutions, a linear layer. What ONNX Runtime and
# OpenVINO execute depends on the processor, so theirs are those in the file. Hard-swish is one
# operator in all that have it.
OPERATORS: dict[Variant, Counter[str]] = {
    ("onnx", "fp32"): Counter(
        Conv=15, Relu=9, ReduceMean=3, HardSigmoid=2, Mul=2, HardSwish=1, Gemm=1
    ),
    # hard-sigmoids and the hard-swish are a sum, read with another scale, and a product
    ("onnx", "int8"): Counter(
        QuantizeLinear=27, DequantizeLinear=62, Conv=15, GlobalAveragePool=3, Add=3, Mul=3,
        Flatten=1, Gemm=1,
    ),
    ("openvino", "fp32"): Counter(
        Convolution=12, GroupConvolution=3, Relu=9, ReduceMean=3, HardSigmoid=2, HSwish=1,
        Multiply=4, Add=16, MatMul=1, **WEIGHTS_OPENVINO,
    ),
    ("openvino", "int8"): Counter(
        Convolution=12, GroupConvolution=3, Relu=9, ReduceMean=3, HardSigmoid=2, HSwish=1,
        Multiply=17, Add=16, MatMul=1, FakeQuantize=24, Convert=13, **WEIGHTS_OPENVINO,
    ),
    ("pytorch", "fp32"): Counter(
        Conv2d=15, BatchNorm2d=11, ReLU=9, Hardsigmoid=2, Hardswish=1, GlobalMean=1, Linear=1
    ),
    ("torch-export", "fp32"): Counter(
        conv2d=15, batch_norm=11, relu_=7, relu=2, hardsigmoid=2, hardswish_=1, mean=3, mul=2,
        linear=1,
    ),
    ("ncnn", "fp32"): Counter(
        Convolution=12, ConvolutionDepthWise=3, HardSigmoid=2, HardSwish=1, Reduction=3,
        BinaryOp=2, InnerProduct=1,
    ),
    # the hard-swish is a threshold, a hard-sigmoid and a product there
    ("coreml", "fp32"): Counter(
        conv=15, relu=9, sigmoid_hard=3, thresholded_relu=1, mul=3, reduce_mean=3, linear=1
    ),
    ("executorch", "fp32"): Counter(
        Conv2d=11, DepthwiseConv2d=4, FullyConnected=1, Multiply=4, Add=2, Hardswish=1,
        GlobalAvgPooling2d=3, StaticTranspose=6, StaticReshape=1,
    ),
    ("litert", "fp32"): Counter(
        CONV_2D=11, DEPTHWISE_CONV_2D=4, PAD=3, MEAN=3, MUL=4, HARD_SWISH=1, FULLY_CONNECTED=1
    ),
    ("litert", "int8"): Counter({
        "CONV_2D int8": 11, "DEPTHWISE_CONV_2D int8": 4, "PAD int8": 3, "MEAN int8": 3,
        "MUL int8": 4, "HARD_SWISH int8": 1, "FULLY_CONNECTED int8": 1, "QUANTIZE int8": 1,
        "DEQUANTIZE": 1,
    }),
    ("executorch", "int8"): Counter({
        "Conv2d int8": 11, "DepthwiseConv2d int8": 4, "FullyConnected int8": 1,
        "Multiply int8": 4, "Add int8": 2, "Clamp int8": 2, "GlobalAvgPooling2d int8": 2,
        "Hardswish": 1, "GlobalAvgPooling2d": 1,
        "StaticTranspose int8": 5, "StaticTranspose": 1, "StaticReshape": 1, "Convert": 4,
    }),
}  # fmt: skip
WITH_WEIGHTS = {
    "onnx": ("Conv", "FusedConv", "Gemm", "QLinearConv", "QGemm"),
    "pytorch": ("Conv2d", "Linear"),
    "torch-export": ("conv2d", "linear"),
    "openvino": ("Convolution", "FullyConnected"),
    "executorch": ("Conv2d", "DepthwiseConv2d", "FullyConnected"),
    "ncnn": ("Convolution", "ConvolutionDepthWise", "InnerProduct"),
    "litert": ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
    "coreml": ("conv", "linear"),
}


def variants(*, runs: bool = False, int8: bool | None = None) -> list[object]:
    """As parameters, those that take long marked."""
    return [
        pytest.param(
            name,
            precision,
            id=f"{name}-{precision}",
            marks=[pytest.mark.slow] if SLOW & {name, (name, precision)} else [],
        )
        for name, precision in VARIANTS
        if (not runs or FORMATS[name].load().runs_here) and int8 in {None, precision == "int8"}
    ]


def found(name: str) -> Exporter:
    """The exporter, or the test is skipped with what it lacks."""
    try:
        return exporter(name)
    except MissingPackageError as error:
        pytest.skip(str(error))


def images_of(part: ImageSet, count: int) -> Tensor:
    pixels = torch.from_numpy(part.pixels(slice(0, count))).permute(0, 3, 1, 2).float()
    return (F.pad(pixels, (2, 2, 2, 2)) / 255 - MEAN) / STD


@dataclass(frozen=True, eq=False)
class Files:
    """What one format wrote."""

    path: Path
    written: Written
    source: Source


@pytest.fixture(scope="session")
def source() -> Source:
    """A small network after 200 steps: enough for its classes to be told apart."""
    space = replace(load_space("demo"), num_classes=10, in_channels=1)
    subnet = replace(decode(space, smallest(space))[0], resolution=SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Network(operators(space, subnet))
        data = load_fashion_mnist()
        images, labels = images_of(data.train, 6400), torch.from_numpy(data.train.labels[:6400])
        optimiser = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True)
        for step in range(200):
            optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
            part = slice(32 * step, 32 * step + 32)
            optimiser.zero_grad()
            F.cross_entropy(network(images[part]), labels[part]).backward()
            optimiser.step()
    held = Sample(batches=[images_of(data.holdout, 256)], labels=data.holdout.labels[:256])
    return Source(
        network=network.eval(),
        in_channels=1,
        resolution=SIZE,
        preprocessing={"classes": list(data.classes), "mean": [MEAN], "std": [STD]},
        calibration=[images[:128]],
        holdout=held,
    )


@pytest.fixture(scope="session")
def sample() -> Sample:
    test = load_fashion_mnist().test
    return Sample(batches=[images_of(test, 256)], labels=test.labels[:256])


@pytest.fixture(scope="session")
def files(
    source: Source, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, Precision], Files]]:
    """Writes each variant once."""

    @cache
    def write(name: str, precision: Precision) -> Files:
        made = found(name)
        path = tmp_path_factory.mktemp(f"{name}-{precision}") / f"network{made.suffix}"
        return Files(path, written(made, source, path, precision), source)

    yield write
    write.cache_clear()


def written(made: Exporter, source: Source, path: Path, precision: Precision = "fp32") -> Written:
    try:
        return made.write(source, path, precision)
    except ExportError as error:
        if str(error).startswith("environment of"):
            pytest.skip(f"no package index: {str(error).splitlines()[0]}")
        raise


def copied(files: Files, folder: Path) -> Path:
    """The whole set of files in another folder."""
    shutil.copytree(files.path.parent, folder, dirs_exist_ok=True)
    return folder / files.path.name


@pytest.mark.parametrize(("name", "precision"), variants(runs=True))
def test_a_file_computes_what_torch_computes(
    name: str, precision: Precision, files, sample: Sample
) -> None:
    made = files(name, precision)
    model = found(name).open(made.path)
    checked = verify(model, made.source.network, sample)
    if precision == "fp32":
        assert checked.refused(found(name).tolerance) == ""
        assert checked.max_abs_diff <= 2 * found(name).tolerance
        assert checked.agreement == 100
    else:
        assert checked.agreement >= 90
        assert checked.top1 >= checked.torch_top1 - 5
    assert checked.torch_top1 > 75  # else the agreement says little


@pytest.mark.parametrize(("name", "precision"), variants())
def test_a_file_says_what_it_is(name: str, precision: Precision, files) -> None:
    made = files(name, precision)
    model = exporter_of(made.path).open(made.path)
    channels, rows, columns = model.input.image
    assert (channels, rows, columns) == (1, SIZE, SIZE)
    assert model.input.dtype == "float32"
    assert model.preprocessing in ({}, made.source.preprocessing)
    if name != "ncnn":
        assert model.preprocessing
    assert all("/" not in note or "://" in note for note in made.written.notes)


@pytest.mark.parametrize(("name", "precision"), variants())
def test_operators_are_those_that_were_seen(name: str, precision: Precision, files) -> None:
    model = found(name).open(files(name, precision).path)
    kinds = model.operators()
    layers = {kind: n for kind, n in kinds.items() if kind.split()[0] in WITH_WEIGHTS[name]}
    assert sum(layers.values()) == 16, kinds
    assert in_file(name, files(name, precision).path, kinds) == OPERATORS[name, precision]


def in_file(name: str, path: Path, executed: Counter[str]) -> Counter[str]:
    """What a file holds, where what is executed depends on the processor."""
    if name == "onnx":
        return Counter(node.op_type for node in onnx.load(path).graph.node)
    if name == "openvino":
        openvino = pytest.importorskip("openvino")
        steps = openvino.Core().read_model(path).get_ordered_ops()
        ends = ("Parameter", "Constant", "Result")
        return Counter(step.get_type_name() for step in steps if step.get_type_name() not in ends)
    return executed


def test_operators_of_every_variant_are_frozen() -> None:
    assert set(OPERATORS) == set(VARIANTS)


@pytest.mark.parametrize(("name", "precision"), variants(int8=True))
def test_int8_computes_with_integers_and_names_what_does_not(
    name: str, precision: Precision, files
) -> None:
    made = files(name, precision)
    kinds = found(name).open(made.path).operators()
    assert sum(count for kind, count in kinds.items() if kind.endswith(("8", "Conv"))) >= 14
    islands = made.written.facts["float_operators"]
    assert len(islands) <= 9
    assert all(part in " ".join(made.written.notes) for part in islands)


@pytest.mark.parametrize(("name", "precision"), variants(runs=True, int8=True))
def test_int8_cuts_nothing_off(name: str, precision: Precision, files, sample: Sample) -> None:
    """Some quantisers average ranges over images: what lies outside ends at the average."""
    made = files(name, precision)
    expected = torch_logits(made.source.network, sample)
    given = found(name).open(made.path).logits(sample.batches)
    assert given.max() > 0.85 * expected.max()
    assert given.min() < 0.85 * expected.min()


@pytest.mark.parametrize(("name", "precision"), variants(runs=True, int8=False))
def test_a_set_of_files_can_be_moved(
    name: str, precision: Precision, files, sample: Sample, tmp_path: Path
) -> None:
    path = copied(files(name, precision), tmp_path / "elsewhere")
    images = sample.batches[0][:4]
    there = found(name).open(path).logits([images])
    assert np.array_equal(there, found(name).open(files(name, precision).path).logits([images]))


@pytest.mark.parametrize(("name", "precision"), variants(int8=False))
def test_a_file_that_was_cut_off_is_refused(
    name: str, precision: Precision, files, tmp_path: Path
) -> None:
    path = copied(files(name, precision), tmp_path / "cut")
    parts = [file for file in path.parent.rglob("*") if file.is_file() and file.suffix != ".py"]
    for part in parts:
        whole = part.read_bytes()
        for share in (0, 0.5, 0.9):
            part.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(FileFormatError) as caught:
                found(name).open(path)
            assert "\n" not in str(caught.value)
        part.write_bytes(whole)


@pytest.mark.parametrize("name", FORMATS)
def test_a_foreign_file_is_refused(name: str, tmp_path: Path) -> None:
    made = found(name)
    path = tmp_path / f"network{made.suffix}"
    with pytest.raises(FileFormatError, match=r"network"):
        made.open(path)
    for beside in (path, path.with_suffix(".bin")):
        beside.write_bytes(b"7767517 is no network\n" * 100)
    with pytest.raises(FileFormatError, match=r"network") as caught:
        made.open(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in SLOW])
def test_a_folder_that_cannot_be_written_is_named(
    name: str, source: Source, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    made = found(name)
    with pytest.raises(StorageError, match=r"cannot write .*network"):
        made.write(source, tmp_path / "file" / f"network{made.suffix}")


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in SLOW])
def test_a_network_that_cannot_be_exported_leaves_nothing(
    name: str, source: Source, tmp_path: Path
) -> None:
    made = found(name)
    with pytest.raises(ExportError) as caught:
        made.write(replace(source, network=Branches()), tmp_path / f"network{made.suffix}")
    assert str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Branches(nn.Module):
    """Decides by what is in the images: no graph can say it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


class Deployed(nn.Module):
    """Reads pixels, gives probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network((x.float() / 255 - MEAN) / STD).softmax(1)
        return out


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in FORMATS]
)
def test_zeros_on_some_sides_only_are_kept(name: str, source: Source, tmp_path: Path) -> None:
    """Padding as TensorFlow's, by sizes that are even and odd."""
    space = replace(load_space("efficientnet_lite0"), resolutions=(44,), num_classes=10)
    torch.manual_seed(0)
    subnet = decode(space, smallest(space))[0]
    network = Network(operators(space, subnet), eps=space.bn_eps).eval()
    given = replace(source, network=network, in_channels=3, resolution=44, preprocessing={})
    made = found(name)
    path = tmp_path / f"network{made.suffix}"
    written(made, given, path)
    if not made.runs_here:
        return
    images = torch.randn(4, 3, 44, 44)
    with torch.inference_mode():
        expected = network(images).numpy()
    logits = made.open(path).logits([images])
    np.testing.assert_allclose(logits, expected, atol=1e-4 * float(np.abs(expected).max()))
    if name == "onnx":
        assert "Pad" not in made.open(path).operators()


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in SLOW])
def test_pixels_in_and_probabilities_out(name: str, source: Source, tmp_path: Path) -> None:
    made = found(name)
    path = tmp_path / f"network{made.suffix}"
    told = dict(source.preprocessing) | {"pixels": True, "output": "probabilities"}
    network = Deployed(source.network).eval()
    made.write(replace(source, network=network, pixels=True, preprocessing=told), path)
    if not made.runs_here:
        return
    test = load_fashion_mnist().test
    pixels = F.pad(torch.from_numpy(test.pixels(slice(0, 64))).permute(0, 3, 1, 2), (2,) * 4)
    model = made.open(path)
    assert model.input.dtype == ("float32" if name == "ncnn" else "uint8")
    checked = verify(model, network, Sample(batches=[pixels], labels=test.labels[:64]))
    assert checked.max_abs_diff <= 1e-4
    model.runner()()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in SLOW])
def test_any_number_of_images_or_a_note_that_it_is_one(
    name: str, source: Source, sample: Sample, tmp_path: Path
) -> None:
    made = found(name)
    path = tmp_path / f"network{made.suffix}"
    told = made.write(replace(source, dynamic_batch=True), path)
    model = made.open(path)
    fixed = any("one image at a time" in note for note in told.notes)
    assert model.input.batch == (1 if fixed else None)
    if made.runs_here:
        logits = model.logits([sample.batches[0][:3]])
        assert logits.shape == (3, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name not in SLOW])
def test_a_second_export_replaces_the_first(name: str, source: Source, tmp_path: Path) -> None:
    made = found(name)
    path = tmp_path / f"network{made.suffix}"
    made.write(source, path)
    first = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    made.write(source, path)
    again = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    assert len(again) == len(first)
    assert not [name for name in again if ".tmp" in str(name)]
    made.open(path)


@pytest.mark.parametrize("name", ["openvino", "executorch", "litert"])
def test_int8_without_images_is_refused(name: str, source: Source, tmp_path: Path) -> None:
    made = found(name)
    with pytest.raises(ExportError, match="needs images to calibrate with"):
        made.write(replace(source, calibration=()), tmp_path / f"network{made.suffix}", "int8")


@pytest.mark.parametrize("name", [name for name, info in FORMATS.items() if info.load().needs])
def test_a_missing_package_names_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = FORMATS[name].load()
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(MissingPackageError) as caught:
        made.check()
    assert made.needs[0] in str(caught.value)
    assert f"supernet[{made.extra}]" in caught.value.hint


def test_openvino_on_a_full_disk(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream fails without a reason; every other format raises what the system says."""
    openvino = pytest.importorskip("openvino")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    def here(_: str, function: Callable[..., Written], *given: object) -> Written:
        return function(*given)

    monkeypatch.setattr("supernet.export.formats.openvino.call_apart", here)
    monkeypatch.setattr(openvino, "save_model", fails)
    path = tmp_path / "network.xml"
    for free, message in ((0, "no space is left on the disk"), (1 << 30, "Input/output error")):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: Namespace(free=free))
        with pytest.raises(StorageError, match=message):
            found("openvino").write(source, path)
    assert list(tmp_path.iterdir()) == []


def test_the_copy_that_converters_get_is_theirs(source: Source) -> None:
    network = plain(source)
    for weights in network.parameters():
        weights.fill_(0)
    assert any(weights.any() for weights in source.network.parameters())
