"""Train, search and export one after another, on real images, without any path."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file

from supernet.data import load_fashion_mnist
from supernet.space import SubnetFile

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


def test_train_search_and_export_follow_each_other_without_paths(
    in_trained: Command, trained: Path
):
    exported = in_trained("export", "subnet.json", "--onnx", "--json")
    assert exported.code == 0, exported.stderr
    assert exported.json["max_abs_diff"] <= 1e-4
    assert exported.json["top1"] == exported.json["torch_top1"]
    assert exported.json["images"] == 2000
    assert 0 < exported.json["latency_ms"] < 100
    run = next((trained / "runs").iterdir())
    folder = run / "export" / "subnet"
    assert Path(exported.json["folder"]).resolve() == folder
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "model.onnx",
        "subnet.json",
        "README.md",
        "labels.txt",
        "pictures.py",
        "predict.py",
        "samples",
    }


def test_the_run_folder_holds_what_the_design_says(trained: Path):
    run = next((trained / "runs").iterdir())
    for name in (
        "config.yaml",
        "space.yaml",
        "metrics.jsonl",
        "evaluations.sqlite",
        "report.html",
        "predictor/predictor.json",
        "search/this_machine/subnet.json",
        "search/this_machine/front.csv",
        "search/this_machine/result.json",
        "search/this_machine/scored.npz",
    ):
        assert (run / name).is_file(), name
    assert len(list((run / "checkpoints").glob("step-*/supernet.safetensors"))) == 2


def test_the_exported_file_alone_classifies_a_real_image_as_its_card_says(
    in_trained: Command, tmp_path: Path
):
    exported = in_trained("export", "--onnx", "-o", tmp_path / "net", "--json")
    model = onnx.load(tmp_path / "net" / "model.onnx")
    facts = {item.key: json.loads(item.value) for item in model.metadata_props}
    assert len(facts["classes"]) == 10
    pixels = load_fashion_mnist().test.pixels(slice(0, 200)).astype(np.float32) / 255
    framed = np.pad(pixels, ((0, 0), (2, 2), (2, 2), (0, 0))).transpose(0, 3, 1, 2)
    # 16 px network: the stored evaluation view halves the 32 px frame; shapes suffice here
    images = ((framed[:, :, ::2, ::2] - facts["mean"][0]) / facts["std"][0]).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "net" / "model.onnx")
    logits = [session.run(None, {"images": image[None]})[0] for image in images]
    assert np.isfinite(np.concatenate(logits)).all()
    card = (tmp_path / "net" / "README.md").read_text()
    assert f"{exported.json['top1']:.2f} % of 2000" in card
    assert not [n for n in model.graph.node if n.op_type == "BatchNormalization"]


def test_an_export_that_disagrees_with_torch_is_not_left_behind(
    in_trained: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("supernet.export.formats.onnx.Onnx.tolerance", -1.0)
    failed = in_trained("export", "--onnx", "-o", tmp_path / "net")
    assert failed.code == 1
    assert "differ by" in failed.stderr.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_dynamic_batch_is_exported_when_asked_for(in_trained: Command, tmp_path: Path):
    exported = in_trained("export", "--onnx", "--dynamic-batch", "-o", tmp_path / "many")
    assert exported.code == 0, exported.stderr
    session = onnxruntime.InferenceSession(tmp_path / "many" / "model.onnx")
    found = session.run(None, {"images": np.zeros((3, 1, 16, 16), np.float32)})[0]
    assert found.shape == (3, 10)


def test_the_front_ascends_in_latency_and_accuracy(trained: Path):
    path = next((trained / "runs").glob("*/search/this_machine/front.csv"))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for name in ("latency@this_machine", "top1"):
        values = [float(row[name]) for row in rows]
        assert values == sorted(values)
    assert len(rows) >= 1


def test_the_subnet_file_points_at_its_weights(trained: Path):
    path = next((trained / "runs").glob("*/search/this_machine/subnet.json"))
    file = SubnetFile.load(path)
    assert file.checkpoint is not None
    assert (path.parent / file.checkpoint["path"]).is_file()
    low, ms, high = (file.predicted[f"latency_{x}ms"] for x in ("low_", "", "high_"))
    assert low <= ms <= high
    assert file.predicted["target"] == "this_machine"


def test_a_second_search_measures_nothing_again(in_trained: Command, trained: Path):
    table = trained / "home" / "latency_tables" / "this_machine.json"
    before = table.stat().st_mtime_ns
    again = in_trained("search", "--pairs", 12, "--budget", 2000, "--confirm", 0, "--json")
    assert again.code == 0
    assert table.stat().st_mtime_ns == before
    assert "timing" not in again.stderr
    assert "evaluating" not in again.stderr


def test_an_impossible_limit_is_answered_with_the_fastest_subnet(in_trained: Command):
    found = in_trained("search", "--max-latency-ms", "0.000001", "--json")
    assert found.code == 4
    assert "has latency@this_machine within 1e-06 ms; the least is" in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    limit = found.json["error"]["hint"].removeprefix("ask for at least ").removesuffix(" ms")
    options = ("--pairs", 12, "--budget", 1000)
    assert in_trained("search", "--max-latency-ms", limit, *options).code == 0


def test_own_images_in_class_folders_are_trained_on(supernet: Command, pictures: str):
    trained = supernet(
        "train",
        "--data",
        pictures,
        "--space",
        "tiny.yaml",
        "--recipe",
        "recipe.yaml",
        "--epochs",
        5,
        "--run",
        "mine",
        "--json",
    )
    assert trained.code == 0, trained.stderr
    search = supernet("search", "--run", "mine", "--pairs", 12, "--budget", 1000, "--confirm", 0)
    assert search.code == 0, search.stderr
    exported = supernet("export", "subnet.json", "--onnx", "--run", "mine", "--json")
    assert exported.code == 0, exported.stderr
    assert exported.json["images"] == 12


def _start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "supernet", *arguments],
        cwd=folder,
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SUPERNET_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"},
    )


def _ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit code and last line on stderr, once it ends."""
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr.strip().splitlines()[-1]


def _wait_for(pattern: str, folder: Path, process: "subprocess.Popen[str]") -> None:
    for _ in range(6000):
        if list(folder.glob(pattern)):
            return
        assert process.poll() is None
        time.sleep(0.01)
    raise AssertionError(f"no {pattern}")


@pytest.mark.parametrize(
    "blow", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_killed_training_resumes_to_the_same_weights(tiny_yaml: Path, blow: signal.Signals):
    recipe = tiny_yaml / "recipe.yaml"
    varied = "augment: {erasing: 0.3, mixup: 0.2, cutmix: 1.0}\n"
    recipe.write_text(varied + recipe.read_text().replace("epochs: 0.2", "epochs: 0.12"))
    options = ["--space", "tiny.yaml", "--recipe", "recipe.yaml", "--augment", "trivial"]
    assert _ended(_start(tiny_yaml, "train", *options, "--run", "whole"))[0] == 0
    killed = _start(tiny_yaml, "train", *options, "--run", "killed")
    try:
        _wait_for("killed/checkpoints/step-*", tiny_yaml, killed)
    finally:
        killed.send_signal(blow)
    code, last_line = _ended(killed)
    assert code == (-signal.SIGKILL if blow == signal.SIGKILL else 130)
    assert blow == signal.SIGKILL or last_line.startswith("error: interrupted")
    last = Path("checkpoints/step-38/supernet.safetensors")
    assert (tiny_yaml / "whole" / last).exists()
    assert not (tiny_yaml / "killed" / last).exists()
    assert _ended(_start(tiny_yaml, "train", "--resume", "--run", "killed"))[0] == 0
    first, second = (load_file(tiny_yaml / run / last) for run in ("whole", "killed"))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def test_the_run_example_of_the_readme_works(in_trained: Command):
    readme = Path(__file__).parents[2] / "README.md"
    code = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout) <= 100


def test_a_second_training_starts_from_the_first_with_another_recipe(
    in_trained: Command, trained: Path
):
    first = next((trained / "runs").iterdir())
    second = in_trained(
        "train",
        *("--space", first / "space.yaml", "--recipe", "sandwich", "--epochs", 0.1),
        *("--batch-size", 64, "--precision", "bf16", "--augment", "rand", "--init", first),
        *("--run", "second", "--json"),
    )
    assert second.code == 0, second.stderr
    config = (trained / "second" / "config.yaml").read_text()
    assert f"init: {first}" in config
    assert "precision: bf16" in config
    assert "auto: rand" in config
    assert "saturation: 0.5" in config  # the recipe's own stays
    (phase,) = second.json["phases"]
    assert phase["phase"] == "sandwich"
    assert phase["lr"] < 0.8 * 64 / 2048  # scaled with the batch size


def test_a_training_whose_images_have_changed_does_not_go_on(in_trained: Command, trained: Path):
    run = next((trained / "runs").iterdir())
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("images: 10000", "images: 9999"))
    resumed = in_trained("train", "--resume", "--run", run)
    assert resumed.code == 2
    assert "has 10000 training images, the run was started with 9999" in resumed.stderr
