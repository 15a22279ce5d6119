"""Processes that are copies of one that has loaded PyTorch, or new ones."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supernet.children import Child

NO_CUDA = """
import torch

def refuse(*_, **__):
    raise SystemExit("asked for CUDA, whose state no copy could use")

for name in ("is_available", "device_count", "init", "_lazy_init"):
    setattr(torch.cuda, name, refuse)
torch._C._cuda_getDeviceCount = refuse
import torchvision, supernet.evaluate.engines, supernet.tune.executors
"""

ASK = """
import os, sys
from supernet.children import Child

def tell(pipe):
    import torch
    pipe.send((hasattr(torch, "nn"), os.environ.get("PYTHONSAFEPATH")))

if __name__ == "__main__":
    child = Child(tell)
    print(*child.pipe.recv())
    child.end()
"""


def tell(pipe: Any) -> None:
    pipe.send((os.environ.get("SUPERNET_TEST"), str(Path.cwd()), "torch" in sys.modules))


def told(*, anew: bool) -> Any:
    child = Child(tell, anew=anew)
    try:
        assert child.pipe.poll(60)
        return child.pipe.recv()
    finally:
        child.end()


@pytest.mark.parametrize("anew", [False, True])
def test_it_stands_where_this_process_stands_now(
    anew: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for value in ("first", "second"):  # the template of copies has seen the first, if any
        monkeypatch.setenv("SUPERNET_TEST", value)
        (tmp_path / value).mkdir()
        monkeypatch.chdir(tmp_path / value)
        assert told(anew=anew)[:2] == (value, str(tmp_path / value))


def test_a_new_one_has_loaded_nothing() -> None:
    assert not told(anew=True)[2]
    if sys.platform == "linux":
        assert told(anew=False)[2]


def test_modules_are_not_taken_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ValueError('not the one that was meant')")
    (tmp_path / "queue.py").write_text("raise ValueError('not the one that was meant')")
    assert asked(tmp_path) == ["True", "None"]


def asked(folder: Path, **environment: str) -> list[str]:
    """What a copy says that a script in a folder starts."""
    (folder / "ask.py").write_text(ASK)
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-P", "ask.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_folder_of_temporary_files_with_a_long_path_will_do(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    assert asked(tmp_path, TMPDIR=str(deep)) == ["True", "None"]


def test_what_copies_have_loaded_asks_for_no_cuda() -> None:
    subprocess.run([sys.executable, "-c", NO_CUDA], check=True, capture_output=True)
