"""Converters of others die and hang in a process of their own, which is told in a few lines."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from supernet.export import apart
from supernet.export.apart import call_apart
from supernet.export.contract import Source
from supernet.export.environment import Environment
from supernet.export.formats import litert, ncnn
from supernet.export.registry import FORMATS, exporter
from torch import Tensor, nn

from supernet.errors import ExportError, MissingPackageError, StorageError

DIES = {
    "exits": ("os._exit(3)", "failed with status 3"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
    "hangs": ("time.sleep(600)", "was ended after 30 s"),
}
"""What a converter does after its last line, and how that is told."""
LINES = "import os, signal, sys, time\nprint('pass 3 of 5')\nsys.stdout.flush()\n"
OURS = {"pytorch"}  # no converter writes these

Break = Callable[[pytest.MonkeyPatch, Path, str], None]


def shadowed(package: str) -> Break:
    """Another package of this name lies before it."""

    def break_it(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(LINES + code)
        patch.syspath_prepend(str(folder))

    return break_it


def script(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """In place of what runs litert-torch in its environment, and of that environment."""
    (folder / "convert.py").write_text(LINES + code)
    patch.setattr(litert, "_CONVERTER", folder / "convert.py")
    patch.setattr(Environment, "python", lambda *_: Path(sys.executable))


def program(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """In place of pnnx."""
    pnnx = pytest.importorskip("pnnx")
    path = folder / "pnnx"
    path.write_text(f"#!{sys.executable}\n{LINES}{code}")
    path.chmod(0o755)
    patch.setattr(pnnx, "EXEC_PATH", str(path))


def unbroken(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """What is torch's own dies of the network."""
    del patch, folder, code


BROKEN: dict[str, Break] = {
    "onnx": unbroken,
    "torch-export": unbroken,
    "openvino": shadowed("openvino"),
    "executorch": shadowed("executorch"),
    "coreml": shadowed("coremltools"),
    "ncnn": program,
    "litert": script,
}


class Dying(nn.Module):
    """Ends the process that computes it."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code, self.conv = code, nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        exec(LINES + self.code, {})
        out: Tensor = self.conv(x).mean((2, 3))
        return out


def source(network: nn.Module) -> Source:
    return Source(network=network.eval(), in_channels=1, resolution=8)


def cases() -> Iterator[object]:
    quick = {("torch-export", "crashes"), ("openvino", "exits"), ("ncnn", "crashes")}
    for name in FORMATS:
        for how in DIES:
            marks = [] if (name, how) in quick else [pytest.mark.slow]
            if name not in OURS:
                yield pytest.param(name, how, id=f"{name}-{how}", marks=marks)


@pytest.mark.parametrize(("name", "how"), list(cases()))
def test_a_converter_that_dies_or_hangs(
    name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        made = exporter(name)
    except MissingPackageError as error:
        pytest.skip(str(error))
    code, told = DIES[how]
    tools, folder = tmp_path / "tools", tmp_path / "export"
    tools.mkdir()
    folder.mkdir()
    for module in (apart, litert, ncnn) if how == "hangs" else ():
        monkeypatch.setattr(module, "_LIMIT_S", 30)
    BROKEN[name](monkeypatch, tools, code)
    dies = BROKEN[name] is unbroken
    network = Dying(code) if dies else nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(2), Mean())
    path = folder / f"network{made.suffix}"
    path.write_bytes(b"of an earlier export")
    with pytest.raises(ExportError) as caught:
        made.write(source(network), path)
    first, *rest = str(caught.value).splitlines()
    assert first == f"{made.title}: the converter {told}; its last lines:"
    assert "pass 3 of 5" in rest
    assert "leave this format out" in caught.value.hint
    assert [file.name for file in folder.iterdir()] == [path.name]
    assert path.read_bytes() == b"of an earlier export"


def test_every_format_with_a_converter_is_broken_above() -> None:
    assert set(BROKEN) | OURS == set(FORMATS)


class Mean(nn.Module):
    """Of pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)


def told(word: str) -> tuple[int, str]:
    return os.getpid(), word


def inner(word: str) -> tuple[tuple[int, str], tuple[int, str]]:
    return told(word), call_apart("Format", told, word)


def refused(kind: str) -> None:
    if kind == "ours":
        raise ExportError("Format: no", hint="take another")
    if kind == "system":
        raise OSError(28, "No space left on device", "model.bin")
    raise ValueError("what nobody thought of")


def test_what_it_gives_comes_back_from_another_process() -> None:
    process, word = call_apart("Format", told, "a word")
    assert word == "a word"
    assert process != os.getpid()


def test_within_one_there_is_no_other() -> None:
    (outer, _), (innermost, word) = call_apart("Format", inner, "a word")
    assert outer == innermost != os.getpid()
    assert word == "a word"


def test_what_another_process_could_not_be_told_is_called_here() -> None:
    def local(word: str) -> tuple[int, str]:
        return told(word)

    assert call_apart("Format", local, "a word") == (os.getpid(), "a word")


def test_errors_for_the_user_come_back_as_they_are() -> None:
    with pytest.raises(ExportError, match="Format: no") as caught:
        call_apart("Format", refused, "ours")
    assert caught.value.hint == "take another"
    with pytest.raises(OSError, match="No space left on device") as system:
        call_apart("Format", refused, "system")
    assert (system.value.errno, system.value.filename) == (28, "model.bin")
    assert not isinstance(system.value, StorageError)


def test_other_errors_are_told_by_their_last_lines() -> None:
    with pytest.raises(ExportError, match=r"(?s)status 1; .*ValueError: what nobody thought of"):
        call_apart("Format", refused, "other")


SCRIPT = """
import torch
from pathlib import Path
from supernet.export import Source, exporter

class Own(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3))

source = Source(network=Own().eval(), in_channels=3, resolution=8)
exporter("torch-export").write(source, Path("own.pt2"))
plain = Source(network=torch.nn.Flatten().eval(), in_channels=3, resolution=8)
exporter("torch-export").write(plain, Path("plain.pt2"))
print("once")
"""


@pytest.mark.slow  # two interpreters load torch
def test_a_script_is_not_executed_again(tmp_path: Path) -> None:
    """It has no guard, and a network of its own."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n"
    assert {file.name for file in tmp_path.glob("*.pt2")} == {"own.pt2", "plain.pt2"}
