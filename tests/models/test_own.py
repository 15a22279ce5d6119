"""Networks that functions of one's own files give."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from supernet.errors import ConfigError, FileFormatError
from supernet.models.sources import absolute_network, is_network, normalisation_of, open_network

_BUILD = """
    from torch import nn

    def build():
        pool = nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(nn.Conv2d(3, 4, 1), pool, nn.Flatten(), nn.Linear(4, 2))
"""


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    """The source that names `build` of a file."""
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return f"{path}:build"


def test_the_function_gives_the_network(tmp_path: Path) -> None:
    source = written(tmp_path, _BUILD)
    network = open_network(source, num_classes=2)
    assert isinstance(network, nn.Sequential)
    assert not network.training
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    with pytest.raises(ConfigError, match="expected a network of 5 classes, got 2"):
        open_network(source, num_classes=5)


def test_modules_beside_the_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "layers_beside.py").write_text("WIDTH = 3\n", encoding="utf-8")
    text = """
        from torch import nn

        def build():
            from layers_beside import WIDTH
            return nn.Linear(WIDTH, 2)
    """
    before = list(sys.path)
    network = open_network(written(tmp_path, text))
    assert isinstance(network, nn.Linear)
    assert network.in_features == 3
    assert sys.path == before


@pytest.mark.parametrize("late", [False, True])
def test_modules_of_one_name_in_two_folders_are_two(tmp_path: Path, late: bool) -> None:
    line, place = "from helper_beside.widths import WIDTH", "def build():"
    head, body = ("", f"\n    {line}") if late else (f"{line}\n", "")
    text = f"from torch import nn\n{head}{place}{body}\n    return nn.Linear(WIDTH, 2)\n"
    sources = []
    for width in (3, 5, 7):
        folder = tmp_path / str(width)
        (folder / "helper_beside").mkdir(parents=True)
        (folder / "helper_beside" / "__init__.py").touch()
        (folder / "helper_beside" / "widths.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
        sources.append(written(folder, text))
    for source, width in [*zip(sources, (3, 5, 7)), (sources[0], 3)]:
        network = open_network(source)
        assert isinstance(network, nn.Linear)
        assert network.in_features == width


def test_the_file_may_hold_dataclasses_and_be_called_as_a_package_is(tmp_path: Path) -> None:
    text = """
        from __future__ import annotations
        from dataclasses import dataclass
        from torch import nn

        @dataclass
        class Sizes:
            width: int = 3

        def build():
            return nn.Linear(Sizes().width, 2)
    """
    network = open_network(written(tmp_path, text, "torch.py"))
    assert isinstance(network, nn.Linear)
    assert network.in_features == 3
    assert sys.modules["torch"] is torch


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("MEAN, STD = (0.5, 0.4, 0.3), [0.2, 0.2, 1]", ((0.5, 0.4, 0.3), (0.2, 0.2, 1.0))),
        ("MEAN, STD = [0.5], [0.25]", ((0.5,), (0.25,))),
        ("", ((), ())),
    ],
)
def test_the_file_says_how_images_are_normalised(
    tmp_path: Path, lines: str, expected: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    source = written(tmp_path, f"{lines}\n{dedent(_BUILD)}")
    assert normalisation_of(source) == expected


@pytest.mark.parametrize(
    "lines",
    [
        "MEAN = (0.5,)",
        "MEAN, STD = (0.5, 0.5), (0.2, 0.2)",
        "MEAN, STD = (0.5, 0.5), (0.2,)",
        "MEAN, STD = (0.5,), (0.0,)",
        "MEAN, STD = (float('nan'),), (1.0,)",
        "MEAN, STD = 'abc', 'abc'",
        "MEAN, STD = (), ()",
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, lines: str) -> None:
    source = written(tmp_path, f"{lines}\n{dedent(_BUILD)}")
    with pytest.raises(ConfigError, match="MEAN and STD must have one number each"):
        normalisation_of(source)


def test_numbers_of_another_scale_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path, f"MEAN, STD = (123.7,), (58.4,)\n{dedent(_BUILD)}")
    with pytest.raises(ConfigError, match="are of pixel values from 0 to 1, found"):
        normalisation_of(source)


def test_a_changed_file_is_run_anew(tmp_path: Path) -> None:
    source = written(tmp_path, f"MEAN, STD = (0.5,), (0.5,)\n{dedent(_BUILD)}")
    assert normalisation_of(source) == ((0.5,), (0.5,))
    written(tmp_path, f"MEAN, STD = (0.25,), (0.5,)\n{dedent(_BUILD)}")
    assert normalisation_of(source) == ((0.25,), (0.5,))


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("import no_such_module", FileFormatError, "does not run: No module named"),
        ("raise SystemExit(3)", FileFormatError, "does not run: 3"),
        ("def build(:", FileFormatError, "does not run: invalid syntax"),
        ("def build(size): ...", FileFormatError, "does not run: build.. missing 1 required"),
        ("def other(): ...", ConfigError, "no function 'build' in it; known: other"),
        ("build = 3", ConfigError, "no function 'build' in it; known: none"),
        ("def build(): return 3", ConfigError, r"build\(\) gives int, not a network"),
    ],
)
def test_a_file_that_gives_no_network_is_told(
    tmp_path: Path, text: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        open_network(written(tmp_path, text))


def test_what_names_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_network("mine.py:build")
    assert is_network("torchvision:resnet18=mine.py")
    for other in ("mine.py", "mine.py:", "mine.py:1build", "run:mine.py", "weights.safetensors"):
        assert not is_network(other), other
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileFormatError, match=r"mine\.py: no such file"):
        absolute_network("mine.py:build")
    written(tmp_path, _BUILD)
    assert absolute_network("mine.py:build") == f"{tmp_path / 'mine.py'}:build"
    assert absolute_network("timm:resnet18") == "timm:resnet18"
    assert absolute_network("timm:resnet18=a.pth") == f"timm:resnet18={tmp_path / 'a.pth'}"
