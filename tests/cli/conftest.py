"""Running commands in this process, in a folder of their own."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from supernet.cli.main import main
from supernet.runs import Run, find_run

SPACE = """
format: supernet.space
version: 1
name: tiny
resolutions: [16]
stem: {width: 8, stride: 2}
stages:
  - width: [8, 16]
    depth: [1, 2]
    kernel: [3, 5]
    expand: [1.5, 2]
    stride: 2
    se: 0.25
    shortcut: none
head: {width: 16}
"""

RECIPE = """
format: supernet.recipe
version: 1
name: tiny
batch_size: 64
phases:
  - {name: largest, epochs: 0.2, lr: 0.2}
  - name: rest
    epochs: 0.2
    lr: 0.2
    elastic: {kernel: 0, depth: 0, expand: 0, width: 0}
    distill: 0.5
"""


@dataclass(frozen=True)
class Result:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout."""
        document: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return document


Command = Callable[..., Result]


def run_command(*arguments: object) -> Result:
    """Run `supernet` with these arguments in this process."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def tiny_yaml(tmp_path: Path) -> Path:
    """A folder with ``tiny.yaml`` and ``recipe.yaml`` of a training of a second."""
    (tmp_path / "tiny.yaml").write_text(SPACE)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def supernet(tiny_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in an empty working directory with a home of its own."""
    monkeypatch.setenv("SUPERNET_HOME", str(tiny_yaml / "home"))
    monkeypatch.chdir(tiny_yaml)
    return run_command


def write_pictures(folder: Path, drawn: Callable[[int], np.ndarray]) -> None:
    """Two classes, 40 pictures each to train on and 6 to test; `drawn` gives the pixels of one."""
    for split, count in (("train", 40), ("val", 6)):
        for index, name in enumerate(("dark", "light")):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = drawn(index).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")


@pytest.fixture
def pictures(tiny_yaml: Path) -> str:
    """A folder of dark and light pictures of 24 x 30 pixels."""
    rng = np.random.default_rng(0)
    write_pictures(
        tiny_yaml / "pictures", lambda index: rng.integers(0, 100, (24, 30, 3)) + 120 * index
    )
    return "pictures"


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which a tiny supernet was trained, no more; to be read only."""
    folder = tmp_path_factory.mktemp("untouched")
    (folder / "tiny.yaml").write_text(SPACE)
    (folder / "recipe.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SUPERNET_HOME", str(folder / "home"))
        train = run_command("train", "--space", "tiny.yaml", "--recipe", "recipe.yaml")
        assert train.code == 0, train.stderr
    return folder


@pytest.fixture
def run(supernet: Command, tiny_yaml: Path, untouched: Path) -> Run:
    """A tiny supernet of a test's own, which was trained and not searched."""
    del supernet  # it is there that the run is the newest
    shutil.copytree(untouched, tiny_yaml, copy_function=shutil.copy2, dirs_exist_ok=True)
    return Run(find_run(None).folder.resolve())


@pytest.fixture(scope="session")
def trained_once(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which a tiny supernet was trained and searched; to be read only."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(untouched, folder, copy_function=shutil.copy2, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SUPERNET_HOME", str(folder / "home"))
        search = run_command("search", "--pairs", 12, "--budget", 2000, "--confirm", 0)
        assert search.code == 0, search.stderr
    return folder


@pytest.fixture(scope="module")
def trained(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it for the tests of one file: what they add is not seen by those of another."""
    return shutil.copytree(
        trained_once, tmp_path_factory.mktemp("trained") / "copy", copy_function=shutil.copy2
    )


@pytest.fixture
def in_trained(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in the working directory of `trained`."""
    monkeypatch.setenv("SUPERNET_HOME", str(trained / "home"))
    monkeypatch.chdir(trained)
    return run_command


@pytest.fixture(scope="session")
def exported(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with the found subnet in fp32 and int8, from pixels to probabilities."""
    folder = tmp_path_factory.mktemp("export") / "net"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained_once)
        patch.setenv("SUPERNET_HOME", str(trained_once / "home"))
        found = run_command(
            "export", "--onnx", "--int8", "--pixels", "--probabilities", "-o", folder, "--json"
        )
    assert found.code == 0, found.stderr
    return folder, found
