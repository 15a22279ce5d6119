"""The script in an exported folder sees pictures as evaluation does."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from supernet.export.handover import (
    _predict_script,
    write_adaptive_script,
    write_predict_script,
)

from supernet.data import eval_view
from supernet.data.decoding import Square
from supernet.data.folder import photograph_views
from supernet.reading import Fit, Reading

SIZE = 32


def prepared(image: Image.Image, **facts: Any) -> Any:
    """The pixels that the network would be given, ``(size, size, 3)``."""
    classifier = object.__new__(_predict_script().Classifier)
    classifier.facts = {"fit": "crop", "frame": 0.875, "levels": {}, "pixels": True} | facts
    classifier.input = SimpleNamespace(shape=[1, 3, SIZE, SIZE])
    return classifier.prepare(image)[0].transpose(1, 2, 0).astype(float)


def smooth(width: int, height: int) -> Any:
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 2, height))
    return np.stack([np.sin(x + y), np.cos(2 * x - y), np.sin(x * y)], axis=-1) / 2 + 0.5


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256)])
def test_it_is_what_evaluation_sees(tmp_path: Path, fit: Fit, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.round(smooth(*size) * 255).astype(np.uint8)).save(path)
    views = photograph_views(Reading(fit=fit))
    stored = torch.from_numpy(Square(side=74, fit=fit).decoded(path).pixels.copy())
    seen = eval_view(stored[None], SIZE, views)[0]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (views.mean, views.std))
    expected = ((seen * std + mean) * 255).permute(1, 2, 0).numpy()
    with Image.open(path) as image:
        found = prepared(image, fit=fit, frame=views.frame)
    assert np.abs(found - expected).mean() < 0.7
    assert np.abs(found - expected).max() < (30 if fit == "pad" else 3)  # the edge of the black


def test_deep_pictures_are_scaled_as_in_training(tmp_path: Path) -> None:
    values = smooth(80, 60)[..., 0]
    Image.fromarray(np.round(values * 255).astype(np.uint8)).save(tmp_path / "plain.png")
    Image.fromarray(np.round(values * 1000).astype(np.uint16)).save(tmp_path / "deep.png")
    with Image.open(tmp_path / "plain.png") as plain, Image.open(tmp_path / "deep.png") as deep:
        expected, found = prepared(plain), prepared(deep, levels={"integer": [0, 4095]})
    assert np.abs(found - expected * 1000 / 4095).max() <= 1.5  # rounded twice


def test_what_it_needs_lies_beside_it(tmp_path: Path) -> None:
    write_predict_script(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"pictures.py", "predict.py"}
    assert "supernet" not in (tmp_path / "pictures.py").read_text()


def test_what_cannot_be_told_of_a_picture_is_one_line_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, paths = _predict_script(), [tmp_path / name for name in ("a.png", "b.png")]
    for number, path in enumerate(paths):
        Image.new("L", (40 + number, 40)).save(path)

    def told(image: Image.Image) -> str:
        if image.width == 40:
            raise ValueError("conversion from LAB to RGB not supported")
        return "a bag"

    assert [script.tell(path, told) for path in paths] == [1, 0]
    found = capsys.readouterr()
    assert found.out == f"{paths[1]}: a bag\n"
    assert found.err == (
        f"error: {paths[0]}: cannot be classified: conversion from LAB to RGB not supported\n"
    )


def test_a_terminal_obeys_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, path = _predict_script(), tmp_path / "a\x1b[31m.png"
    Image.new("L", (40, 40)).save(path)
    best = [("a \x1b[2Jbag\r", 0.5), ("日本", 0.25)]
    assert script.tell(path, lambda _: script.in_words(best)) == 0
    out = capsys.readouterr().out
    assert out.endswith("a\\x1b[31m.png: a \\x1b[2Jbag\\r 50.0 %, 日本 25.0 %\n")


def test_a_frame_takes_some_time(tmp_path: Path) -> None:
    write_predict_script(tmp_path)
    script = write_adaptive_script(tmp_path)
    (tmp_path / "bundle.json").write_text('{"levels": []}')
    for wrong in ("nan", "-1", "0"):
        done = subprocess.run(
            [sys.executable, script, "a.png", f"--ms={wrong}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.endswith(f"--ms: must be milliseconds above 0, found {wrong}\n")


def test_what_is_no_picture_is_one_line_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, good, text = _predict_script(), tmp_path / "good.png", tmp_path / "text.png"
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(good)
    text.write_text("no picture")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:60])

    def size_of(image: Image.Image) -> str:
        return f"{image.convert('L').size}"

    paths = [tmp_path / "nothere.png", tmp_path, text, cut, good]
    assert [script.tell(path, size_of) for path in paths] == [1, 1, 1, 1, 0]
    told = capsys.readouterr()
    assert told.out == f"{good}: (40, 40)\n"
    missing, folder, *others = told.err.splitlines()
    assert missing == f"error: {paths[0]}: No such file or directory"
    assert folder == f"error: {tmp_path}: Is a directory"
    assert others == [f"error: {path}: not a picture that can be read" for path in (text, cut)]
