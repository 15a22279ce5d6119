"""Exported folders run in the oldest ONNX Runtime that they are written for, where it installs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Result

pytestmark = [pytest.mark.cli, pytest.mark.slow, pytest.mark.timeout(1800)]

OLDEST = "1.14.0"
"""The first with opset 18, see `supernet.export.onnx_versions`."""
PYTHONS = ("python3.8", "python3.9", "python3.10")
"""For which it was made, and of which ``predict.py`` is."""


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with that version; skips where there is none, or the index does not have it."""
    folder = tmp_path_factory.mktemp("oldest")
    for name in filter(shutil.which, PYTHONS):
        made = _run(name, "-m", "venv", folder / name)
        if made.returncode:  # a name that starts nothing
            continue
        python = folder / name / "bin" / "python"
        wanted = (f"onnxruntime=={OLDEST}", "numpy", "pillow")
        done = _run(python, "-m", "pip", "install", "-q", "--only-binary", ":all:", *wanted)
        if done.returncode:
            pytest.skip(f"onnxruntime {OLDEST} cannot be installed: {done.stderr[-200:]}")
        return python
    pytest.skip(f"none of {', '.join(PYTHONS)} is here")


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=1200)


def test_an_exported_folder_runs_in_it(oldest: Path, exported: tuple[Path, Result]) -> None:
    told = _run(oldest, "-c", "import onnxruntime; print(onnxruntime.__version__)")
    assert told.stdout.strip() == OLDEST
    folder, _ = exported
    done = _run(oldest, folder / "predict.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("model.onnx", "model_int8.onnx"):
        assert f"{name} " in done.stdout
