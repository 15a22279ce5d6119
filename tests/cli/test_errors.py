"""Bad input: one line with the way out, an exit code, and nothing half-written."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supernet.cli import options

Command = Callable[..., Any]

LATER = ("--recipe", "progressive_shrinking", "--phases", "kernel")
TWICE = ("--subnet", "a.json", "--subnet", "b.json")

pytestmark = pytest.mark.cli


def _one_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["trian"], 2, "no command 'trian'; did you mean 'train'?"),
        (["train", "--epoch", "3"], 2, "--epochs"),
        (["train", "--data", "nowhere"], 2, "nowhere: no such folder"),
        (["train", "--minutes", "nan"], 2, "'--minutes': 'nan' is not a finite number"),
        (["train", "--epochs", "NaN"], 2, "'--epochs': 'NaN' is not a finite number"),
        (["search", "--budget-seconds", "inf"], 2, "'inf' is not a finite number"),
        (["eval", "a.onnx", "--mean", "nan"], 2, "'nan' is not a list of numbers such as"),
        (["train", "--space", "nowhere"], 2, "unknown space 'nowhere'"),
        (["train", "--recipe", "dmeo"], 2, "did you mean 'demo'?"),
        (["train", "--space", "missing.yaml"], 2, "missing.yaml: no such file"),
        (["train", "--device", "cuda:99"], 2, "device 'cuda:99' is not there"),
        (["recipes", "demo"], 2, "to show a recipe: supernet recipes show demo"),
        (["recipes", "show", "dmo"], 2, "did you mean 'demo'"),
        (
            ["plan", "--recipe", "from_pretrained", "--epochs", "1"],
            2,
            "give --init efficientnet_lite0, torchvision:NAME",
        ),
        (
            ["train", "--recipe", "from_pretrained"],
            2,
            "give --init efficientnet_lite0, torchvision:NAME",
        ),
        (["train", "--batch-size", "20000"], 2, "batch_size: 20000 is more than the 10000"),
        (
            ["train", "--batch-size", "20000", "--init", "torchvision:resnet18"],
            2,
            "give a smaller --batch-size",
        ),
        (["train", "--phases", "depht"], 2, "no phase 'depht'; did you mean 'depth'?"),
        (
            ["train", *LATER],
            2,
            "trained weights (--init names them: a run folder or a weights file)",
        ),
        (["train", "--init", "nowhere.pth"], 2, "nowhere.pth"),
        (["train", "--resume", "--epochs", "2"], 2, "--epochs cannot be given with --resume"),
        (["train", "--resume", "--augment", "auto"], 2, "--augment cannot be given with --resume"),
        (["train", "--augment", "trivail"], 2, "'trivail' is not one of"),
        (["train", "--resume"], 2, "no run below"),
        (["search"], 2, "no run below"),
        (["search", "--run", "nowhere"], 2, "nowhere: not a run"),
        (["export", "--onnx"], 2, "no run below"),
        (["export", "subnet.json"], 2, "no format was asked for"),
        (["spaces", "demo"], 2, "no command 'demo'; to show a space: supernet spaces show demo"),
        (["spaces", "show"], 2, "Missing argument 'NAME'"),
        (["spaces", "show", "dem"], 2, "did you mean 'demo'?"),
        (["search", "--max-macs", "1", "--max-macs", "2"], 2, "--max-macs may be given once"),
        (["search", "--max-latency-ms", "a=1", "--max-latency-ms", "a=2"], 2, "a is given twice"),
        (["search", "--max-peak-memory", "4MX"], 2, "units: b, kb, mb, gb, kib, mib, gib"),
        (["search", "--max-file-size", "int4=4MB"], 2, "must be fp32 or int8"),
        (["search", "--max-file-size=1MB", "--max-file-size=fp32=2MB"], 2, "given twice"),
        (["search", "--max-params", "many"], 2, "'many' is not a number with a unit such as 300M"),
        (["search", "--fix", "resolution"], 2, "must be like resolution=192,224"),
        (["search", "--space", "demo"], 2, "a search without a run needs an accuracy predictor"),
        (["search", "--space", "demo", "--run", "x"], 2, "leave out one of --space and --run"),
        (["search", "--algorithm", "nsga"], 2, "unknown algorithm 'nsga'; did you mean 'nsga2'?"),
        (["latency", "predict", "a.json"], 2, "Missing option '--target'"),
        (["latency", "show", "mobile_cpu", *TWICE], 2, "--subnet may be given once, found ['a.js"),
        (
            ["import", "ofa", "--checkpoint=a", "--checkpoint=b"],
            2,
            "--checkpoint may be given once",
        ),
    ],
)
def test_what_is_missing_or_misspelt_is_named(supernet: Command, arguments, code, text):
    result = supernet(*arguments)
    assert result.code == code
    assert text in _one_line(result.stderr)
    assert not Path("runs").exists()


def test_no_option_takes_what_is_no_number():
    folder = Path(options.__file__).parent
    own = [path for path in folder.rglob("*.py") if path.name != "options.py"]
    assert not [path.name for path in own if "click.FloatRange" in path.read_text()]
    assert not [path.name for path in own if "type=float" in path.read_text()]


def test_what_may_be_given_once_may_come_from_the_environment(
    supernet: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SUPERNET_LATENCY_PREDICT_TARGET", "my own.json")
    result = supernet("latency", "predict", "a.json")
    assert "my own.json: no such file" in _one_line(result.stderr)
    result = supernet("latency", "predict", "a.json", "--target", "pixel9")
    assert "unknown target 'pixel9'" in _one_line(result.stderr)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["train", "--data", "nowhere", "--json"], 2, False),
        (["train", "--epoch", "3"], 2, False),
        (["latency", "measure", "--space", "demo", "--backend", "openvino"], 3, True),
    ],
)
def test_of_several_processes_the_first_tells_of_wrong_input(
    supernet: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, told: bool
):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setenv("LOCAL_RANK", "1")
    other = supernet(*arguments)
    assert (other.code, bool(other.stderr), bool(other.stdout)) == (code, told, False)
    monkeypatch.setenv("LOCAL_RANK", "0")
    first = supernet(*arguments)
    assert first.code == code
    _one_line(first.stderr)


def test_errors_are_json_too_when_asked_for(supernet: Command):
    result = supernet("train", "--data", "nowhere", "--json")
    assert result.json["error"]["code"] == 2
    assert "nowhere" in result.json["error"]["message"]


def test_debug_shows_the_traceback(supernet: Command, capfd: pytest.CaptureFixture[str]):
    result = supernet("train", "--data", "nowhere", "--debug")
    assert "Traceback" in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")


def test_an_unknown_target_names_the_known_ones(in_trained: Command):
    result = in_trained("search", "--target", "pixel9")
    assert result.code == 2
    assert "unknown target 'pixel9'" in _one_line(result.stderr)
    assert "this_machine" in result.stderr


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_limit_is_refused(in_trained: Command, limit: str):
    result = in_trained("search", "--max-latency-ms", limit)
    assert result.code == 2
    assert "must be milliseconds above 0" in _one_line(result.stderr)


def test_a_run_is_never_written_over(in_trained: Command, trained: Path):
    run = next((trained / "runs").iterdir())
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    result = in_trained("train", "--run", run)
    assert result.code == 2
    assert "holds a run already" in _one_line(result.stderr)
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def _found(trained: Path) -> Path:
    return next((trained / "runs").glob("*/search/this_machine/subnet.json"))


def test_a_subnet_of_another_space_is_refused(in_trained: Command, trained: Path, tmp_path: Path):
    document = json.loads(_found(trained).read_text())
    document["space"] = {"name": "other", "hash": "0" * 12}
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    result = in_trained("export", path, "--onnx")
    assert result.code == 2
    assert "of space 'other' (000000000000), not of 'tiny'" in _one_line(result.stderr)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda d: d["stages"][0]["blocks"][0].update(kernel=9), "kernel: must be one of 3, 5"),
        (lambda d: d["operators"][0].update(out_channels=24), "macs or params does not fit"),
        (lambda d: d["operators"][0].update(kernel=10**30), "kernel"),
        (lambda d: d.update(version=2), "version 2 is newer than 1"),
        (lambda d: d.update(format="supernet.run"), "expected format 'supernet.subnet'"),
        (lambda d: d.update(resolutoin=3), "did you mean 'resolution'?"),
        (lambda d: d.pop("operators"), "operators: missing"),
        (lambda d: d["operators"].pop(), "macs or params does not fit"),
    ],
)
def test_an_edited_subnet_file_is_refused(
    in_trained: Command, trained: Path, tmp_path: Path, edit, text: str
):
    document = json.loads(_found(trained).read_text())
    edit(document)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(document))
    result = in_trained("export", path, "--onnx", "-o", tmp_path / "out")
    assert result.code == 2
    assert text in _one_line(result.stderr)
    assert not (tmp_path / "out").exists()


def test_damaged_weights_are_named(in_trained: Command, trained: Path, tmp_path: Path):
    run = next((trained / "runs").iterdir())
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    weights = max(copy.glob("checkpoints/step-*"), key=lambda p: int(p.name[5:]))
    path = weights / "supernet.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    result = in_trained("export", "--onnx", "--run", copy)
    assert result.code == 2
    assert "supernet.safetensors: cannot be read" in _one_line(result.stderr)


def test_a_broken_image_is_named_and_no_run_is_made(supernet: Command, tmp_path: Path):
    from PIL import Image

    for split in ("train", "val"):
        for name in ("a", "b"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (20, 20)).save(folder / f"{number}.png")
    broken = tmp_path / "photos/train/b/1.png"
    broken.write_bytes(broken.read_bytes()[:40])
    result = supernet("train", "--data", "photos", "--space", "tiny.yaml")
    assert result.code == 2
    last = result.stderr.strip().splitlines()[-1]
    assert "1 of 12 images cannot be decoded" in last
    assert "train/b/1.png" in last
    assert not Path("runs").exists()
