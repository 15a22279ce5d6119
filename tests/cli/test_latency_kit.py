"""`supernet latency kit`, `build` and `measure`: their options, results and refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import click
import pytest

from supernet.cli.latency import build, kit, measure
from supernet.latency import LatencyTable
from tests.cli.conftest import Command

FLAGS = {
    kit: {"--space", "--resolutions", "--output", "--fit-networks", "--check-networks"},
    build: {"--name", "--output"},
    measure: {
        *("--space", "--resolutions", "--backend", "--precision", "--threads", "--batch"),
        *("--provider", "--name", "--quick", "--fresh", "--output"),
        *("--fit-networks", "--check-networks"),
    },
}
FEW = ("--fit-networks", 4, "--check-networks", 3)


@pytest.mark.parametrize("module", FLAGS, ids=lambda module: module.__name__.split(".")[-1])
def test_the_options_are_those_that_are_documented(module: ModuleType) -> None:
    command: click.Command = module.command
    found = {max(p.opts, key=len) for p in command.params if isinstance(p, click.Option)}
    assert found == {*FLAGS[module], "--json", "--debug"}


def run_kit(folder: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "kit.pyz", "--quick", *arguments],
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_kit_run_build_and_the_target_is_there(supernet: Command, tiny_yaml: Path) -> None:
    made = supernet("latency", "kit", "--space", "tiny.yaml", *FEW, "--json")
    assert made.code == 0, made.stderr
    assert made.json["resolutions"] == [16]
    assert made.json["networks"] == 7
    run_kit(tiny_yaml, "-o", "pi4.json")
    built = supernet("latency", "build", "pi4.json", "--json")
    assert built.code == 0, built.stderr
    assert built.json["target"] == "pi4"
    assert built.json["rows"] == made.json["operators"]
    assert built.json["held_out"] == 3
    assert "supernet search --target pi4" in built.stdout
    assert "mean error (MAPE)" in built.stdout
    listed = supernet("targets", "--json").json["targets"]
    assert "pi4" in {target["name"] for target in listed}
    assert supernet("latency", "build", "pi4.json").code == 0  # again, of the same device
    text = (tiny_yaml / "pi4.json").read_text()
    processor = json.loads(text)["device"]["processor"]
    (tiny_yaml / "other").mkdir()
    (tiny_yaml / "other" / "pi4.json").write_text(text.replace(processor, "Cortex-A999"))
    other = supernet("latency", "build", "other/pi4.json")
    assert other.code == 2
    assert f"'pi4' is of {processor} already, these results are of Cortex-A999" in other.stderr
    assert supernet("latency", "build", "other/pi4.json", "--name", "pi4").code == 0


@pytest.mark.slow
def test_several_results_make_one_target(supernet: Command, tiny_yaml: Path) -> None:
    for name, seed_space in (("a", "tiny.yaml"), ("b", "demo")):
        made = supernet("latency", "kit", "--space", seed_space, *FEW)
        assert made.code == 0, made.stderr
        run_kit(tiny_yaml, "-o", f"{name}.json")
    built = supernet("latency", "build", "a.json", "b.json", "-o", "both.json", "--json")
    assert built.code == 0, built.stderr
    document = json.loads((tiny_yaml / "both.json").read_text())
    assert document["target"] == "both"
    assert document["held_out"]["space"] == "tiny, demo"
    assert len(document["rows"]) == built.json["rows"] > 121


@pytest.mark.parametrize(("sizes", "others"), [("16", ""), ("16,160,320", "160, 320")])
def test_sizes_that_a_space_has_not_are_told(
    supernet: Command, tiny_yaml: Path, sizes: str, others: str
) -> None:
    made = supernet("latency", "kit", "--space", "tiny.yaml", "--resolutions", sizes, *FEW)
    assert made.code == 0, made.stderr
    assert (tiny_yaml / "kit.pyz").is_file()
    assert made.stderr.startswith(
        f"note: space 'tiny' has no {others} px (it has 16)" * bool(others)
    )
    assert bool(made.stderr) == bool(others)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("kit", "--space", "tiny.yaml", "--resolutions", "7"), "from 8 to 4096, found [7]"),
        (("kit", "--space", "tiny.yaml", "--resolutions", "small"), "160,192,224"),
        (("kit", "--space", "tinny.yaml"), "tinny.yaml"),
        (("build", "missing.json"), "missing.json: no such file"),
        (("build", "tiny.yaml"), "expected format 'supernet.kit_result'"),
        (("build", "a.json", "--name", "this_machine"), "'this_machine' is kept for the machine"),
        (("build", "this_machine.json"), "give another with --name"),
        (("measure", "--space", "tiny.yaml", "--precision", "int3"), "measures fp32, int8"),
        (
            ("measure", "--space", "tiny.yaml", "--name", "this_machine", "--precision", "int8"),
            "leave out --name: the target is then this_machine_int8",
        ),
        (
            ("measure", "--space", "tiny.yaml", "--name", "this_machine_int8", "--batch", "8"),
            "is this machine in ONNX Runtime, int8, one thread, batch 1; asked for was onnxruntime,"
            " fp32, 1, 8, cpu",
        ),
        (
            ("measure", "--space", "tiny.yaml", "--name", "n" * 101, "-o", "a.json"),
            "target: must be 1 to 100 printed characters, found 'nnn",
        ),
        (("build", "missing.json", "--name", "a\tb", "-o", "a.json"), r"found 'a\tb'"),
        (
            ("fit", "a.csv", "--space", "demo", "--column", "ms", "-o", f"{'n' * 101}.json"),
            "target: must be 1 to 100 printed characters, found 'nnn",
        ),
        (
            ("measure", "--space", "tiny.yaml", "--name", "pi4.json"),
            "'pi4.json' is that of a file, not of a target (give --name pi4)",
        ),
        (("measure", "--space", "tiny.yaml", "--backend", "tensorrt"), "no 'tensorrt' here"),
    ],
)
def test_wrong_input_is_one_line(supernet: Command, arguments: tuple[str, ...], text: str) -> None:
    result = supernet("latency", *arguments)
    assert result.code == 2
    assert text in result.stderr
    assert result.stderr.count("\n") <= 4


def test_a_name_that_is_no_file_name_is_refused(supernet: Command, tiny_yaml: Path) -> None:
    assert supernet("latency", "kit", "--space", "tiny.yaml", *FEW).code == 0
    run_kit(tiny_yaml, "-o", "pi4.json")
    refused = supernet("latency", "build", "pi4.json", "--name", "../pi4")
    assert refused.code == 2
    assert "is not made of letters" in refused.stderr
    twice = supernet("latency", "build", "pi4.json", "./pi4.json")
    assert (twice.code, twice.stderr.count("\n")) == (2, 1)
    assert "pi4.json and pi4.json are the same run" in twice.stderr


@pytest.mark.parametrize(("threads", "words"), [(1, "1 thread,"), (4, "4 threads,")])
def test_the_settings_are_told_in_words(
    capsys: pytest.CaptureFixture[str], threads: int, words: str
) -> None:
    build.show(LatencyTable(target="a", device={}, threads=threads, rows={}), Path("a.json"), False)
    assert words in capsys.readouterr().out


def test_a_missing_runtime_exits_with_3(supernet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = supernet("latency", "measure", "--space", "tiny.yaml", "--backend", "openvino")
    assert result.code == 3
    assert "pip install openvino" in result.stderr


def test_measure_makes_a_target_of_this_machine(supernet: Command, tiny_yaml: Path) -> None:
    arguments = ("latency", "measure", "--space", "tiny.yaml", "--quick", *FEW, "--json")
    first = supernet(*arguments)
    assert first.code == 0, first.stderr
    assert first.json["target"] == "this_machine"
    int8 = supernet(*arguments, "--precision", "int8")
    assert int8.json["target"] == "this_machine_int8"


def test_measure_goes_on_after_kill_9(supernet: Command, tiny_yaml: Path) -> None:
    command = [sys.executable, "-m", "supernet", "latency", "measure", "--space", "tiny.yaml"]
    command += ["--name", "mine", *map(str, FEW)]
    tables = tiny_yaml / "home" / "latency_tables"
    process = subprocess.Popen(command, cwd=tiny_yaml, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (parts := list(tables.glob(".mine.*.part"))) or (
            parts[0].read_bytes().count(b"\n") < 8
        ):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert not (tables / "mine.json").exists()
    result = supernet("latency", "measure", "--space", "tiny.yaml", "--name", "mine", *FEW)
    assert result.code == 0, result.stderr
    assert "continued after" in result.stderr
    assert (tables / "mine.json").exists()
    assert list(tables.glob(".mine.*.part")) == []
