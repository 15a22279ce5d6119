"""Exported folders, what is in them, and networks side by side."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from supernet.export.contract import Written
from supernet.export.counting import onnx_macs
from supernet.export.int8.telling import floats_told
from supernet.export.registry import FORMATS

from supernet.errors import FileFormatError, MissingPackageError
from supernet.runs import Run
from supernet.space import Precision, SubnetFile, decode, file_bytes, smallest

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


def run_of(trained: Path) -> Path:
    return next((trained / "runs").iterdir())


def test_a_later_format_leaves_the_samples_of_an_earlier_one(
    in_trained: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    for formats in (["--onnx"], ["--pytorch"], ["--onnx", "--int8"]):
        found = in_trained("export", *formats, "-o", folder)
        assert found.code == 0, found.stderr
        expected = json.loads((folder / "samples" / "expected.json").read_text())
        assert {*expected} == {path.name for path in folder.glob("*.onnx")}
        for images in expected.values():
            assert len(images) == 2
            assert all((folder / "samples" / name).is_file() for name in images)
    assert {*expected} == {"model.onnx", "model_int8.onnx"}


def test_files_are_hardly_larger_than_a_search_says(exported: Any) -> None:
    folder, _ = exported
    listed = SubnetFile.load(folder / "subnet.json").operators
    sizes: tuple[tuple[str, Precision], ...] = (("model", "fp32"), ("model_int8", "int8"))
    for name, precision in sizes:
        model = onnx.load(folder / f"{name}.onnx")
        del model.metadata_props[:]
        said = sum(file_bytes(operator, precision) for operator in listed)
        around = 1500  # from pixels and to probabilities
        assert len(model.SerializeToString()) <= said + around


def test_probabilities_are_off_by_a_probability(exported: Any) -> None:
    folder, found = exported
    for told in (found.stdout, (folder / "README.md").read_text()):
        assert "probability off by" in told
        assert "logit" not in told


def test_the_folder_answers_to_a_stranger(exported: Any):
    """`predict.py` runs where this library is not: only the folder is its path."""
    folder, _ = exported
    done = subprocess.run(
        [sys.executable, "-E", "-s", "predict.py", "--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": ok") + done.stdout.count(" ok\n") >= 4
    sample = next((folder / "samples").glob("1_*.png"))
    done = subprocess.run(
        [sys.executable, "-E", "-s", folder / "predict.py", sample],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert " %" in done.stdout
    for script in ("predict.py", "pictures.py"):
        assert "supernet" not in (folder / script).read_text()


def stranger(folder: Path, *arguments: object, **environment: str) -> Any:
    """What `predict.py` answers where this library is not."""
    return subprocess.run(
        [sys.executable, "-s", "predict.py", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


ALONE = """
import runpy, sys

class Alone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | ALLOWED:
            raise ModuleNotFoundError(f"{name} is not among what the folder needs", name=name)

ALLOWED = {"onnxruntime", "numpy", "PIL", "predict", "pictures"}
sys.meta_path.insert(0, Alone())
sys.argv[0] = "predict.py"
runpy.run_path("predict.py", run_name="__main__")
"""


def alone(folder: Path, *arguments: object) -> Any:
    """What `predict.py` answers where nothing but what it asks for can be imported."""
    return subprocess.run(
        [sys.executable, "-s", "-c", ALONE, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_needs_onnxruntime_numpy_and_pillow_alone(exported: Any, tmp_path: Path):
    folder = shutil.copytree(exported[0], tmp_path / "net")
    checked = alone(folder, "--check")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": ok\n") == 4
    answered = alone(folder, next((folder / "samples").glob("1_*.png")))
    assert answered.returncode == 0, answered.stderr
    assert " %" in answered.stdout
    for package in ("torch", "supernet"):
        changed = (
            (exported[0] / "pictures.py").read_text().replace("import io\n", f"import {package}\n")
        )
        (folder / "pictures.py").write_text(changed)
        assert f"{package} is not among what" in alone(folder, "--check").stderr


def test_a_device_that_got_one_of_the_files_can_check_it(exported: Any, tmp_path: Path):
    folder = shutil.copytree(exported[0], tmp_path / "net")
    (folder / "model.onnx").unlink()
    done = stranger(folder, "--check")
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first == "model.onnx: is not here, not compared"
    assert len(others) == 2
    assert all(line.endswith(": ok") for line in others)
    shutil.rmtree(folder / "samples")
    done = stranger(folder, "--check")
    assert done.returncode == 1
    assert "expected.json is not here: there is nothing to compare with" in done.stderr
    assert "Traceback" not in done.stderr


def test_classes_in_letters_that_a_terminal_lacks_are_told(exported: Any, tmp_path: Path):
    folder = shutil.copytree(exported[0], tmp_path / "net")
    model = onnx.load(folder / "model.onnx")
    (classes,) = (item for item in model.metadata_props if item.key == "classes")
    classes.value = json.dumps(["\u9774"] * 10)
    onnx.save(model, folder / "model.onnx")
    sample = next((folder / "samples").glob("1_*.png"))
    done = stranger(folder, sample, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u9774 " in done.stdout


def test_an_interrupt_keeps_the_files_that_are_finished(
    in_trained: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("supernet.export.int8.quantising.quantise", interrupted)
    found = in_trained("export", "--onnx", "--int8", "-o", tmp_path / "net")
    assert found.code == 130
    assert found.stderr.endswith("interrupted (what was finished is kept)\n")
    assert SubnetFile.load(tmp_path / "net" / "subnet.json").measured["files"].keys() == {
        "model.onnx"
    }
    assert not (tmp_path / "net" / "model_int8.onnx").exists()
    assert "not timed" in (tmp_path / "net" / "README.md").read_text()  # it was to end now
    monkeypatch.setattr("supernet.export.formats.onnx.onnx_model", interrupted)
    assert in_trained("export", "--onnx", "--int8", "-o", tmp_path / "none").code == 130
    assert not (tmp_path / "none").exists()


def test_pixels_go_in_and_probabilities_come_out(exported: Any):
    folder, found = exported
    for name in ("model.onnx", "model_int8.onnx"):
        model = onnx.load(folder / name)
        assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
        facts = {item.key: json.loads(item.value) for item in model.metadata_props}
        assert facts["pixels"] is True
        assert facts["output"] == "probabilities"
        assert len(facts["classes"]) == 10
    expected = json.loads((folder / "samples" / "expected.json").read_text())
    for images in expected.values():
        for values in images.values():
            assert sum(values) == pytest.approx(1, abs=1e-4)
    files = found.json["files"]
    assert files["model.onnx"]["agreement"] == 100.0
    assert files["model_int8.onnx"]["agreement"] > 90
    assert files["model_int8.onnx"]["weights_bits"] in (7, 8)


def test_the_card_and_the_file_say_what_was_measured(exported: Any):
    folder, found = exported
    card = (folder / "README.md").read_text()
    files = found.json["files"]
    assert f"{files['model_int8.onnx']['top1']:.2f} % of 2000" in card
    assert "as `thop` counts them" in card
    assert "8-bit integers" in card
    file = SubnetFile.load(folder / "subnet.json")
    assert set(file.measured["files"]) == {"model.onnx", "model_int8.onnx"}
    assert file.measured["top1"] == files["model.onnx"]["top1"]
    labels = (folder / "labels.txt").read_text().splitlines()
    assert labels[0] == "T-shirt/top"
    assert len(labels) == 10
    islands = files["model_int8.onnx"]["float_operators"]
    assert islands["Softmax"] == 1
    for told in (card, found.stdout):
        assert f"int8: {floats_told(islands)}\n" in told
        assert "1 Softmax" in floats_told(islands)


@pytest.mark.parametrize(
    ("ms", "pays", "told"),
    [
        (
            {"model.onnx": 1.0, "model_int8.onnx": 2.0},
            False,
            "0.50 times as fast as model.onnx, {lost:.2f} points lost: it does not pay on the "
            "machine that exported, ship model.onnx\n",
        ),
        (
            {"model.onnx": 3.0, "model_int8.onnx": 2.0},
            True,
            "1.50 times as fast as model.onnx, {lost:.2f} points lost: ship model_int8.onnx\n",
        ),
    ],
    ids=["slower", "faster"],
)
def test_whether_int8_pays_stands_wherever_the_files_are_told(
    in_trained: Command,
    exported: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ms: dict[str, float],
    pays: bool,
    told: str,
):
    def timed(paths: list[Path], *_: object) -> dict[Path, float]:
        return {path: ms.get(path.name, 1.0) for path in paths}

    def quantised(model: onnx.ModelProto, *_: object) -> tuple[onnx.ModelProto, Written]:
        facts = exported[1].json["files"]["model_int8.onnx"]
        kept = {key: facts[key] for key in ("weights_bits", "calibrator", "sensitivity")}
        return onnx.load(exported[0] / "model_int8.onnx"), Written(facts=kept)

    monkeypatch.setattr("supernet.workflow.export.file_latencies", timed)
    monkeypatch.setattr("supernet.export.int8.quantising.quantise", quantised)
    ends = ("--pixels", "--probabilities", "-o", tmp_path / "net", "--json")
    found = in_trained("export", "--onnx", "--int8", *ends)
    assert found.code == 0, found.stderr
    folder = tmp_path / "net"
    fact = found.json["files"]["model_int8.onnx"]["beside_float"]
    assert SubnetFile.load(folder / "subnet.json").measured["files"]["model_int8.onnx"][
        "beside_float"
    ] == fact  # fmt: skip
    assert (fact["pays"], fact["ship"]) == (pays, "model_int8.onnx" if pays else "model.onnx")
    assert "beside_float" not in found.json["files"]["model.onnx"]
    line = f"int8: model_int8.onnx is {told.format(lost=fact['points_lost'])}"
    assert line in found.stdout
    assert line in (folder / "README.md").read_text()
    assert in_trained("export", "--pytorch", *ends).code == 0  # another format leaves it there
    assert line in (folder / "README.md").read_text()
    again = in_trained("export", "--onnx", *ends)  # timed by itself
    assert again.code == 0
    assert "model_int8.onnx" in (folder / "README.md").read_text()
    assert "times as fast" not in (folder / "README.md").read_text()


def test_networks_are_measured_side_by_side(exported: Any, in_trained: Command, tmp_path: Path):
    folder, made = exported
    subnet = folder / "subnet.json"
    found = in_trained("eval", "subnet.json", folder, "--json")
    assert found.code == 0, found.stderr
    rows = {Path(row["path"]).name: row for row in found.json["files"]}
    assert set(rows) == {"subnet.json", "model.onnx", "model_int8.onnx"}
    files = made.json["files"]
    for name in ("model.onnx", "model_int8.onnx"):
        # views are rounded to pixels in both
        assert rows[name]["top1"] == pytest.approx(files[name]["top1"], abs=1e-9)
        assert rows[name]["size_bytes"] == (folder / name).stat().st_size
        assert 0 < rows[name]["memory_bytes"] < 500e6
    assert rows["model.onnx"]["macs"] == rows["subnet.json"]["macs"]
    assert rows["model_int8.onnx"]["macs"] == rows["subnet.json"]["macs"]
    assert rows["subnet.json"]["thop_macs"] > rows["subnet.json"]["macs"]
    assert rows["subnet.json"]["top1"] == pytest.approx(files["model.onnx"]["torch_top1"], abs=1)
    assert SubnetFile.load(subnet).measured["latency_ms"] > 0
    some = in_trained("eval", "subnet.json", folder / "model.onnx", "--images", "100", "--json")
    first, second = some.json["files"]
    assert first["top1"] == pytest.approx(second["top1"], abs=2)  # the same images, as pixels


def foreign(
    path: Path, *, channels: int = 1, classes: int = 10, size: int = 16, **how: Any
) -> Path:
    """A file of somebody else: a linear layer on the mean of each channel."""
    kind = how.get("kind", TensorProto.FLOAT)
    shape = [1, channels, size, size] if how.get("layout") != "NHWC" else [1, size, size, channels]
    axes = [2, 3] if how.get("layout") != "NHWC" else [1, 2]
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f", "axes"], ["m"], keepdims=0),
        helper.make_node("Gemm", ["m", "w"], ["y"]),
    ]
    weights = np.ones((channels, classes), np.float32)
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, classes])],
        [
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
            numpy_helper.from_array(weights, "w"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"layout": "NHWC"},
        {"kind": TensorProto.UINT8},
        pytest.param({"kind": TensorProto.FLOAT16}, marks=pytest.mark.slow),
        pytest.param({"size": 24}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_files_of_others_are_fed_as_they_ask(in_trained: Command, tmp_path: Path, how: Any):
    path = foreign(tmp_path / "theirs.onnx", **how)
    found = in_trained("eval", path, "--images", "200", "--json")
    assert found.code == 0, found.stderr
    row = found.json["files"][0]
    assert row["images"] == 200
    assert 5 <= row["top1"] <= 16  # always the first class
    assert row["resolution"] == how.get("size", 16)
    assert row["macs"] == 10


def test_a_normalisation_that_a_file_of_others_tells_is_said(in_trained: Command, tmp_path: Path):
    files = [convolution(tmp_path / f"{name}.onnx", 16) for name in ("small", "large")]
    for path, (mean, std) in zip(files, (([0.2], [0.4]), ([51.0], [102.0]))):
        model = onnx.load(path)
        helper.set_model_props(model, {"mean": json.dumps(mean), "std": json.dumps(std)})
        onnx.save(model, path)
    found = in_trained("eval", *files, "--images", "100", "--json")
    assert found.code == 0, found.stderr
    small, large = found.json["files"]
    assert small["top1"] == large["top1"]
    assert (
        f"note: {files[0]}: normalised by what it tells: mean [0.2] and std [0.4]" in found.stdout
    )
    assert "mean [51.0] and std [102.0], of pixel values up to 255" in found.stdout


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: foreign(p, channels=3), "reads 3 channels, the images have 1"),
        (lambda p: foreign(p, classes=7), "gives 7 outputs, the images have 10 classes"),
        (lambda p: p.write_bytes(b"not a network"), "ONNX Runtime refuses it"),
        (lambda p: None, "no such file"),
    ],
    ids=["channels", "classes", "damaged", "missing"],
)
def test_a_file_that_does_not_fit_is_one_line(
    in_trained: Command, tmp_path: Path, make: Any, text: str
):
    path = tmp_path / "theirs.onnx"
    make(path)
    found = in_trained("eval", path, "--images", "50")
    assert found.code == 2
    line = found.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert text in line


def convolution(path: Path, size: int | None, *, batch: int | None = 1, flat: int = 0) -> Path:
    """A file with one convolution; of varying size where none is given."""
    weights = np.random.default_rng(0).normal(size=(64, 1, 5, 5)).astype(np.float32)
    last = np.ones((64, 10), np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], pads=[2, 2, 2, 2]),
        helper.make_node("GlobalAveragePool", ["y"], ["z"]),
        helper.make_node("Flatten", ["z"], ["f"]),
        helper.make_node("MatMul", ["f", "l"], ["logits"]),
    ]
    held = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(last, "l")]
    if flat:  # it does for images of one size only
        held.append(numpy_helper.from_array(np.array([-1, 1, flat, flat]), "shape"))
        nodes[0].input[0] = "shaped"
        nodes.insert(0, helper.make_node("Reshape", ["x", "shape"], ["shaped"]))
    rows = "rows" if size is None else size
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", 1, [batch or "n", 1, rows, size or "columns"])],
        [helper.make_tensor_value_info("logits", 1, [batch or "n", 10])],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def test_a_file_of_varying_size_is_measured_at_the_size_that_is_given(
    in_trained: Command, tmp_path: Path
):
    files = [
        convolution(tmp_path / "fixed.onnx", 32),
        convolution(tmp_path / "varying.onnx", None),
        convolution(tmp_path / "any.onnx", None, batch=None),
        convolution(tmp_path / "eight.onnx", 32, batch=8),
    ]
    found = in_trained("eval", *files, "--images", "40", "--resolution", "32", "--json")
    assert found.code == 0, found.stderr
    fixed, varying, batches, eight = found.json["files"]
    macs = 64 * 25 * 32 * 32 + 640
    assert [row["macs"] for row in found.json["files"]] == [macs] * 4
    assert fixed["top1"] == varying["top1"] == batches["top1"] == eight["top1"]
    for row in (varying, batches):
        assert 0.2 < row["latency_ms"] / fixed["latency_ms"] < 5
    assert [row["batch"] for row in found.json["files"]] == [1, 1, 1, 8]
    assert "for 8" in found.stdout


def test_a_file_that_does_not_run_at_the_size_is_one_line(in_trained: Command, tmp_path: Path):
    path = convolution(tmp_path / "flat.onnx", None, flat=28)
    assert in_trained("eval", path, "--images", "40", "--resolution", "28").code == 0
    found = in_trained("eval", path, "--images", "40", "--resolution", "30")
    assert found.code == 2
    assert "flat.onnx: does not run on an image of 1 x 30 x 30: " in found.stderr
    assert "should not happen" not in found.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--std", "0"), "std: must be finite numbers above 0, found 0"),
        (("--std=-1",), "std: must be finite numbers above 0, found -1"),
        (("--mean", "'nan' is not a list of numbers"), "nan"),
    ],
)
def test_numbers_that_normalise_nothing_are_refused(
    in_trained: Command, tmp_path: Path, options: tuple[str, ...], text: str
):
    found = in_trained("eval", foreign(tmp_path / "theirs.onnx"), *options)
    assert found.code == 2
    assert text in found.stderr


def test_multiply_adds_of_a_graph_whose_batch_varies(tmp_path: Path):
    model = onnx.load(foreign(tmp_path / "a.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    assert onnx_macs(model) == 10


def on_integers(path: Path, kind: str) -> Path:
    """A convolution of 8-bit integers by operators of their own, in place of QDQ form."""
    weights = np.random.default_rng(0).integers(-9, 9, (10, 1, 16, 16)).astype(np.int8)
    scalars: dict[str, Any] = {
        "s": np.float32(0.02), "z": np.uint8(128), "t": np.float32(0.01), "zero": np.int8(0)
    }  # fmt: skip
    begin = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])
    if kind == "ConvInteger":
        convolved = [
            helper.make_node(kind, ["q", "w", "z", "zero"], ["c"]),
            helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        ]
    else:
        convolved = [
            helper.make_node(kind, ["q", "s", "z", "w", "t", "zero", "s", "z"], ["c"]),
            helper.make_node("DequantizeLinear", ["c", "s", "z"], ["d"]),
        ]
    graph = helper.make_graph(
        [begin, *convolved, helper.make_node("Flatten", ["d"], ["y"])],
        "integers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [
            numpy_helper.from_array(weights, "w"),
            *(numpy_helper.from_array(np.array(v), name) for name, v in scalars.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("kind", ["ConvInteger", "QLinearConv"])
def test_multiply_adds_on_integers_are_counted(kind: str, tmp_path: Path):
    model = onnx.load(on_integers(tmp_path / "integers.onnx", kind))
    onnx.checker.check_model(model, full_check=True)
    assert onnx_macs(model, (1, 1, 16, 16)) == 10 * 16 * 16


def test_what_multiplies_in_other_ways_is_not_told_as_nothing(tmp_path: Path):
    model = onnx.load(foreign(tmp_path / "a.onnx"))
    model.graph.node[-1].op_type = "FusedGemm"
    with pytest.raises(FileFormatError, match="of FusedGemm are not counted"):
        onnx_macs(model)


def test_a_transposed_convolution_multiplies_each_value_of_its_image():
    graph = helper.make_graph(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
        "up",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((3, 4, 2, 2), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    assert onnx_macs(model) == 3 * 8 * 8 * 4 * 2 * 2


def test_old_files_that_list_their_weights_as_inputs_are_measured(
    in_trained: Command, tmp_path: Path
):
    """As exporters of IR versions below 4 did, and the ONNX model zoo still holds."""
    path = tmp_path / "old.onnx"
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Flatten", ["c"], ["y"])],
        "old",
        [
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [10, 1, 16, 16]),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 16, 16]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.ones((10, 1, 16, 16), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
    onnx.save(model, path)
    found = in_trained("eval", path, "--images", "50", "--json")
    assert found.code == 0, found.stderr
    assert found.json["files"][0]["macs"] == 10 * 16 * 16


def test_a_file_that_gives_no_numbers_is_one_line(in_trained: Command, tmp_path: Path):
    path = tmp_path / "words.onnx"
    word = numpy_helper.from_array(np.array(["cat"], object), "v")
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["label"], value=word)],
        "words",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 16, 16])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    found = in_trained("eval", path, "--images", "50")
    assert found.code == 2
    last = found.stderr.strip().splitlines()[-1]
    assert last.endswith("'label', is not a row of numbers for each image")


def test_a_folder_of_other_things_is_refused(in_trained: Command, tmp_path: Path):
    (tmp_path / "photo.jpg").write_text("mine")
    found = in_trained("export", "--onnx", "-o", tmp_path)
    assert found.code == 2
    assert "holds other things than an export" in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    found = in_trained("export", "--onnx", "-o", tmp_path / "net.onnx")
    assert found.code == 2
    assert "must be a folder" in found.stderr


@pytest.mark.slow
def test_opsets_that_can_be_written_are_named(in_trained: Command, tmp_path: Path):
    found = in_trained("export", "--onnx", "--opset", "11", "-o", tmp_path / "net")
    assert found.code == 2
    assert "opset: must be from 18 to " in found.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "net").exists()
    found = in_trained("export", "--onnx", "--opset", "21", "-o", tmp_path / "net")
    assert found.code == 0, found.stderr
    model = onnx.load(tmp_path / "net" / "model.onnx")
    assert model.opset_import[0].version == 21
    assert (
        model.ir_version == 10
    )  # the oldest that has this opset: older runtimes refuse newer ones
    assert "onnxruntime>=1.18" in (tmp_path / "net" / "README.md").read_text()


@pytest.mark.slow
def test_files_that_read_something_else_are_replaced(in_trained: Command, tmp_path: Path):
    folder = tmp_path / "net"
    assert in_trained("export", "--onnx", "-o", folder).code == 0
    assert "float, normalised" in (folder / "README.md").read_text()
    found = in_trained("export", "--pytorch", "--pixels", "--probabilities", "-o", folder)
    assert found.code == 0, found.stderr
    assert "uint8 from 0 to 255" in (folder / "README.md").read_text()
    assert not (folder / "model.onnx").exists()
    assert [*SubnetFile.load(folder / "subnet.json").measured["files"]] == ["model.safetensors"]


@pytest.mark.slow
def test_another_subnet_replaces_the_files_and_the_same_one_keeps_them(
    in_trained: Command, trained: Path, tmp_path: Path, exported: Any
):
    folder, onnx_again = tmp_path / "net", ("export", "--onnx", "--pixels", "--probabilities")
    shutil.copytree(exported[0], folder)
    assert in_trained(*onnx_again, "-o", folder).code == 0
    file = SubnetFile.load(folder / "subnet.json")
    assert set(file.measured["files"]) == {"model.onnx", "model_int8.onnx"}
    assert "`model_int8.onnx`" in (folder / "README.md").read_text()
    shutil.copytree(exported[0], tmp_path / "other")
    document = json.loads((tmp_path / "other" / "subnet.json").read_text())
    document["checkpoint"]["sha256"] = "0" * 64
    document["measured"]["files"]["model.mlpackage"] = {}
    (tmp_path / "other" / "subnet.json").write_text(json.dumps(document))
    (tmp_path / "other" / "model.mlpackage").mkdir()
    assert in_trained(*onnx_again, "-o", tmp_path / "other").code == 0
    assert not (tmp_path / "other" / "model_int8.onnx").exists()
    assert not (tmp_path / "other" / "model.mlpackage").exists()
    file = SubnetFile.load(tmp_path / "other" / "subnet.json")
    assert set(file.measured["files"]) == {"model.onnx"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "text"),
    [("mean", "0.5"), ("mean", "null"), ("mean", '["a"]'), ("std", "[0]"), ("frame", "yes"),
     ("pixels", '"no"'), ("size", '"28"'), ("size", '["a", "b"]'), ("size", "28")],
)  # fmt: skip
def test_words_that_others_use_otherwise_mean_nothing(
    in_trained: Command, tmp_path: Path, key: str, text: str
):
    path = foreign(tmp_path / "theirs.onnx")
    plain = in_trained("eval", path, "--json")
    model = onnx.load(path)
    model.metadata_props.add(key=key, value=text)
    path.write_bytes(model.SerializeToString())
    found = in_trained("eval", path, "--json")
    assert found.code == 0, found.stderr
    assert found.json["files"][0]["top1"] == plain.json["files"][0]["top1"]


@pytest.mark.slow
def test_another_network_replaces_the_files_of_the_old_one_alone(
    in_trained: Command, trained: Path, tmp_path: Path
):
    folder = tmp_path / "net"
    assert in_trained("export", "--onnx", "--pytorch", "-o", folder).code == 0
    for name in ("model.mp4", "model.txt", "samples/mine.txt"):
        (folder / name).write_text("mine")
    run = Run(run_of(trained))
    space = run.space()
    SubnetFile.of(space, decode(space, smallest(space))[0]).save(tmp_path / "other.json")
    done = in_trained("export", tmp_path / "other.json", "--onnx", "-o", folder)
    assert done.code == 0, done.stderr
    assert all((folder / name).is_file() for name in ("model.mp4", "model.txt", "samples/mine.txt"))
    assert not (folder / "model.safetensors").exists()


def test_a_finetuned_subnet_is_what_is_exported(in_trained: Command, trained: Path, tmp_path: Path):
    found = in_trained("finetune", "--epochs", "0.5", "--json")
    assert found.code == 0, found.stderr
    own = Path(found.json["subnet"])
    assert found.json["epochs"] == 0.5
    assert found.json["distill"] == 0  # half an epoch is much beside this supernet's
    assert "by the labels alone" in found.stdout
    again = in_trained("finetune", "--epochs", "0.5", "--json")  # goes on: nothing is left to do
    assert again.json == found.json
    other = in_trained("finetune", "--epochs", "1")
    assert other.code == 2
    assert "--fresh" in other.stderr
    before = SubnetFile.load(next((trained / "runs").glob("*/search/this_machine/subnet.json")))
    file = SubnetFile.load(trained / own)
    assert file.operators == before.operators
    assert file.measured["holdout_top1"] == found.json["after"]
    folder = next((trained / "runs").iterdir()) / "export" / "net"
    exported = in_trained("export", "--onnx", "-o", folder, "--json")
    assert exported.code == 0, exported.stderr
    assert "with its finetuned weights" in exported.stderr
    assert "Finetuned after it was taken" in (folder / "README.md").read_text()
    again = in_trained("eval", folder / "subnet.json", "--images", "50")  # its run is within ours
    assert again.code == 0, again.stderr
    subnet = next((trained / "runs").glob("*/search/this_machine/subnet.json"))
    tuned, plainly = (
        in_trained("eval", subnet, *options, "--json") for options in ([], ["--not-finetuned"])
    )
    told = f"{found.json['after']:.2f} % of the held-out images, {found.json['before']:.2f} before"
    assert f"with its finetuned weights: {told}" in tuned.stderr
    assert "finetun" not in plainly.stderr
    assert tuned.json["files"][0]["top1"] == exported.json["torch_top1"]
    (trained / own).rename(trained / "finetuned.json")  # as if it had been stopped
    for command in (["eval", "--images", "50"], ["export", "--onnx", "-o", tmp_path / "stopped"]):
        stopped = in_trained(*command, subnet)
        note = "its finetuning is not finished, so the supernet's weights are taken"
        assert note in stopped.stdout + stopped.stderr
    (trained / "finetuned.json").rename(trained / own)
    shutil.rmtree(folder.parent)
    plain = in_trained("export", "--onnx", "--not-finetuned", "-o", tmp_path / "plain", "--json")
    assert plain.json["files"]["model.onnx"]["torch_top1"] == plainly.json["files"][0]["top1"]
    assert plain.json["torch_top1"] != exported.json["torch_top1"]
    start = next((trained / own).parent.glob("start-*.safetensors"))
    config = (trained / own).parent / "config.yaml"
    config.write_text(config.read_text().replace(start.name, "start-0000.safetensors"))
    since = in_trained("finetune", "--epochs", "0.5")
    assert since.code == 2
    assert "the supernet was trained on since" in since.stderr
    shutil.rmtree((trained / own).parent)


def test_finetuning_that_makes_it_worse_is_told(in_trained: Command, trained: Path):
    found = in_trained("finetune", "--epochs", "0.05", "--lr", "30", "--json")
    assert found.code == 0, found.stderr
    assert found.json["after"] < found.json["before"]
    assert "finetuning made it worse" in found.stderr
    exported = in_trained("export", "--onnx", "-o", trained / "worse")
    assert "--not-finetuned takes the supernet's weights" in exported.stderr
    shutil.rmtree((trained / found.json["subnet"]).parent)


def test_a_subnet_is_finetuned_for_integers(in_trained: Command, trained: Path):
    found = in_trained("finetune", "--qat", "--epochs", "0.2", "--distill", "0.25", "--json")
    assert found.code == 0, found.stderr
    assert found.json["distill"] == 0.25
    assert "25 % by the largest subnet" in found.stdout
    folder = (trained / found.json["subnet"]).parent
    assert "int8: true" in (folder / "config.yaml").read_text()
    other = in_trained("finetune", "--epochs", "0.2")
    assert other.code == 2
    assert "finetuned otherwise before" in other.stderr
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_search_for_int8_ends_with_a_file_that_keeps_its_promise(
    in_trained: Command, trained: Path, tmp_path: Path
):
    found = in_trained(
        "search",
        "--precision",
        "int8",
        "--name",
        "int8",
        "--confirm",
        "2",
        "--budget",
        "2000",
        "--json",
    )
    assert found.code == 0, found.stderr
    assert found.json["predicted"]["target"] == "this_machine_int8"
    assert found.json["predicted"]["precision"] == "int8"
    path = run_of(trained) / "search" / "int8" / "subnet.json"
    made = in_trained("export", path, "--onnx", "--int8", "-o", tmp_path / "net", "--json")
    assert made.code == 0, made.stderr
    assert made.json["latency"]["precision"] == "int8"
    assert made.json["latency"]["predicted_ms"] == found.json["predicted"]["latency_ms"]
    holdout = made.json["files"]["model_int8.onnx"]["holdout_top1"]
    # the export tries more calibrators, and looks at 1,000 of the held-out images
    assert holdout == pytest.approx(found.json["measured"]["top1"], abs=6)
    again = in_trained("search", "--precision", "int8", "--target", "this_machine")
    assert again.code == 2
    assert "was measured in fp32" in again.stderr


def test_int8_needs_a_run(in_trained: Command, trained: Path):
    predictor = run_of(trained) / "predictor" / "predictor.json"
    found = in_trained(
        *("search", "--space", "tiny.yaml", "--predictor", predictor, "--precision", "int8")
    )
    assert found.code == 2
    assert "can be measured in a run only" in found.stderr


@pytest.mark.slow
def test_a_converter_that_crashes_costs_its_own_file_alone(
    in_trained: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("openvino")
    folder = tmp_path / "net"
    asked = ("export", "--onnx", "--openvino", "-o", folder, "--json")
    assert in_trained(*asked).code == 0
    before = {path.name: path.read_bytes() for path in folder.glob("model.*")}
    (tmp_path / "tools" / "openvino").mkdir(parents=True)
    (tmp_path / "tools" / "openvino" / "__init__.py").write_text(
        "import os, signal\nos.write(1, b'pass 3 of 5\\n')\nos.kill(os.getpid(), signal.SIGSEGV)"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "tools"))
    found = in_trained(*asked)
    assert found.code == 1
    told = "error: OpenVINO IR: the converter was killed by SIGSEGV; its last lines:\npass 3 of 5 ("
    assert told + "leave this format out" in found.stderr
    assert list(found.json["failed"]) == ["model.xml"]
    assert list(found.json["files"]) == ["model.onnx"]
    assert {path.name: path.read_bytes() for path in folder.glob("model.*")} == before
    known = SubnetFile.load(folder / "subnet.json").measured["files"]
    assert set(known) == {"model.onnx", "model.xml"}
    alone = in_trained("export", "--openvino", "-o", folder)
    assert alone.code == 1
    assert "killed by SIGSEGV" in alone.stderr
    assert {path.name: path.read_bytes() for path in folder.glob("model.*")} == before


@pytest.mark.slow
def test_all_formats_fit_into_one_folder(in_trained: Command, tmp_path: Path):
    """Those whose packages are here; each is opened again when all have been written."""
    flags = []
    for info in FORMATS.values():
        try:
            info.load().check()
        except MissingPackageError:
            continue
        if info.name != "litert":  # installs its converter
            flags.append(f"--{info.name}")
    made = in_trained("export", *flags, "--int8", "-o", tmp_path / "net", "--json")
    assert made.json["failed"] == {} or "ExecuTorch does not run it" in str(made.json["failed"])
    found = in_trained("eval", tmp_path / "net", "--images", "300", "--json")
    assert found.code == 0, found.stderr
    rows = {Path(row["path"]).name: row for row in found.json["files"]}
    files = {k: v for k, v in made.json["files"].items() if v["runtime"]}
    assert set(files) <= set(rows)
    for name, facts in files.items():
        assert rows[name]["size_bytes"] <= facts["bytes"]
        assert rows[name]["top1"] == pytest.approx(rows["model.onnx"]["top1"], abs=6)
