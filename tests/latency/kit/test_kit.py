"""A real kit in a process of its own: it measures, is killed, goes on, and says what it lacks."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from supernet.errors import FileFormatError, StorageError
from supernet.latency import make_plan, read_result, table_of, write_kit
from supernet.latency.kit.main import _write
from supernet.space import Head, Space, Stage, Stem

FEW = Space(
    name="few",
    resolutions=(8, 16),
    stem=Stem(width=(8,)),
    stages=(Stage(width=(8, 16), depth=(1,), kernel=(3, 5), expand=(2.0,), se=(0.5,)),),
    head=Head(),
    num_classes=2,
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kit") / "kit.pyz"
    write_kit(make_plan(FEW, fit=5, hold_out=3), path)
    return path


def environment() -> dict[str, str]:
    """Without whatever would let the process find the library itself."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return kept | ONE_THREAD


def run(kit: Path, *arguments: object, python: tuple[str, ...] = ()) -> Any:
    command = [sys.executable, *python, str(kit), *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=kit.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@contextmanager
def started(kit: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A kit that is surely gone when the block ends."""
    process = subprocess.Popen(
        [sys.executable, str(kit), *map(str, arguments)],
        cwd=kit.parent,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_lines(path: Path, count: int) -> None:
    """Until a journal holds so many lines."""
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, "the kit wrote nothing"
        time.sleep(0.002)


def test_a_kit_is_one_small_file_that_imports_only_itself(kit: Path) -> None:
    assert kit.stat().st_size < 60_000
    assert kit.stat().st_mode & 0o111
    code = (
        "import runpy, sys; sys.argv = ['kit', '--check']\n"
        f"try: runpy.run_path({str(kit)!r}, run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'onnx', 'msgspec', 'click', 'rich'} & set(sys.modules)\n"
        "import supernet; print(sorted(heavy), supernet.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[0] == f"[] {kit}/supernet/__init__.py", done.stderr


def test_a_kit_measures_and_its_result_becomes_a_table(kit: Path) -> None:
    done = run(kit, "-o", "a.json", "--quick")
    assert done.returncode == 0, done.stderr
    assert "supernet latency build a.json" in done.stderr
    assert not (kit.parent / "a.json.part").exists()
    result = read_result(kit.parent / "a.json")
    assert len(result.timings) == len(result.operators) + 8
    table = table_of([result], "board")
    assert table.missing(FEW) == []
    assert (table.correction.networks, table.held_out.networks) == (5, 3)
    assert {"python", "cores", "memory_mib"} <= set(result.conditions)
    assert table.predictor(FEW) is not None


def test_an_int8_kit_says_so(kit: Path) -> None:
    assert run(kit, "-o", "i.json", "--quick", "--precision", "int8").returncode == 0
    assert table_of([read_result(kit.parent / "i.json")], "i").precision == "int8"


def test_a_killed_run_goes_on_where_it_stopped(kit: Path) -> None:
    part = kit.parent / "k.json.part"
    with started(kit, "-o", "k.json") as process:
        wait_for_lines(part, 10)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = part.read_bytes().count(b"\n") - 1
    with pytest.raises(FileFormatError, match=r"was interrupted, .* models were visited") as caught:
        read_result(kit.parent / "k.json")
    assert "python3 kit.pyz -o k.json" in caught.value.hint
    with part.open("ab") as file:
        file.write(b'["o1", 0.5, 0.')  # the last line was cut off
    done = run(kit, "-o", "k.json")
    assert done.returncode == 0, done.stderr
    assert "dropped 14 damaged bytes" in done.stderr
    assert f"going on after {before} visits" in done.stderr
    # a busy machine may have told of its own slowness too
    assert f"continued after {before} visits" in read_result(kit.parent / "k.json").events


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(kit: Path, number: signal.Signals) -> None:
    output = kit.parent / f"{number.name}.json"
    with started(kit, "-o", output.name) as process:
        wait_for_lines(output.with_name(output.name + ".part"), 5)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "give the same command again to go on" in told
    assert "Traceback" not in told
    assert not output.exists()


@pytest.mark.parametrize("package", ["numpy", "onnxruntime"])
def test_a_missing_package_is_one_line_with_the_way_out(
    kit: Path, tmp_path: Path, package: str
) -> None:
    (tmp_path / f"{package}.py").write_text(
        f"raise ModuleNotFoundError('No module named {package}', name='{package}')"
    )
    code = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['kit']; "
    code += f"runpy.run_path({str(kit)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert f"python3 -m pip install {package}" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--backend", "torch"], 2, "known: onnxruntime, openvino"),
        (["--threads", "0"], 2, "--threads: must be from 1 to 1024, found 0"),
        (["--batch", "-4"], 2, "--batch: must be from 1 to 4096, found -4"),
        (["--batch", "1000000"], 2, "--batch: must be from 1 to 4096, found 1000000"),
        (["--patience", "nan"], 2, "--patience: must be from 0 to 86400, found nan"),
        (["--patience", "-5"], 2, "--patience: must be from 0 to 86400, found -5.0"),
        (["--patience", "inf"], 2, "--patience: must be from 0 to 86400, found inf"),
        (["--provider", "cuda"], 3, "has no CUDAExecutionProvider"),
        (["--precision", "int4"], 2, "invalid choice"),
        (["--thread", "1"], 2, "unrecognized arguments"),
        (["-o", "missing/a.json"], 0, "wrote"),
    ],
)
def test_wrong_options_are_named(kit: Path, arguments: list[str], code: int, text: str) -> None:
    done = run(kit, *arguments, "--quick")
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[", "kit.pyz, plan.json: Expecting value"),
        (b"null", "kit.pyz, plan.json: plan: expected a mapping, found None"),
        (b'{"format": "supernet.kit_plan", "version": 1}', "plan.json: plan.operators: missing"),
    ],
)
def test_a_kit_with_a_damaged_plan_names_it(
    kit: Path, tmp_path: Path, text: bytes, told: str
) -> None:
    with zipfile.ZipFile(kit) as old, zipfile.ZipFile(tmp_path / "kit.pyz", "w") as new:
        for name in old.namelist():
            new.writestr(name, text if name.endswith("plan.json") else old.read(name))
    done = run(tmp_path / "kit.pyz", "--check")
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "make the kit again" in done.stderr


def test_a_finished_result_is_not_overwritten(kit: Path) -> None:
    (kit.parent / "there.json").write_text("{}")
    done = run(kit, "-o", "there.json")
    assert done.returncode == 2
    assert "there already" in done.stderr
    assert (kit.parent / "there.json").read_text() == "{}"


def test_a_result_that_cannot_be_written_says_that_the_measurements_are_kept(
    tmp_path: Path,
) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*pi4\.json: No such file") as caught:
        _write(tmp_path / "gone" / "pi4.json", {})
    assert "what was measured is kept" in caught.value.hint


def test_a_journal_is_not_continued_under_other_settings(kit: Path) -> None:
    part = kit.parent / "o.json.part"
    with started(kit, "-o", "o.json") as process:
        wait_for_lines(part, 5)
        process.kill()
    done = run(kit, "-o", "o.json", "--precision", "int8", "--quick")
    assert done.returncode == 2
    assert "was begun with settings" in done.stderr
    assert "--fresh" in done.stderr
    assert run(kit, "-o", "o.json", "--precision", "int8", "--quick", "--fresh").returncode == 0


def test_equal_plans_make_equal_kits(kit: Path, tmp_path: Path) -> None:
    write_kit(make_plan(FEW, fit=5, hold_out=3), tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == kit.read_bytes()


def test_the_oldest_python_runs_it_if_it_is_here(kit: Path) -> None:
    """Whether any Python 3.8 with NumPy and onnxruntime is on the PATH differs by machine."""
    found = subprocess.run(
        ["python3.8", "-c", "import numpy, onnxruntime"], capture_output=True, check=False
    ) if _on_path("python3.8") else None  # fmt: skip
    if found is None or found.returncode:
        pytest.skip("no python3.8 with numpy and onnxruntime")
    done = subprocess.run(
        ["python3.8", str(kit), "-o", "old.json", "--quick"],
        cwd=kit.parent, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((kit.parent / "old.json").read_text())["format"] == "supernet.kit_result"


def _on_path(name: str) -> bool:
    return any(Path(folder, name).exists() for folder in os.get_exec_path())
