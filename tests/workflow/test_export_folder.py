"""A folder that is written while processes are killed, and holds files of the user's."""

import os
from pathlib import Path

import pytest
from supernet.export import Exporter
from supernet.export.contract import Precision

from supernet.errors import ConfigError, ExportError
from supernet.workflow.export_folder import SUBNET_FILE, check_folder, staged
from supernet.workflow.exported import ExportRequest


class Killed(BaseException):
    """Nothing that code here would catch."""


@pytest.mark.parametrize("number", range(4))
def test_a_folder_that_is_half_moved_is_known_for_an_export(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its document is of the files that are there."""
    folder, plain, moved = tmp_path / "net", Path.replace, list[str]()

    def replace(self: Path, target: Path) -> Path:
        if self.parent.name.startswith(".net."):
            if len(moved) == number + 1:
                raise Killed
            moved.append(self.name)
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", replace)

    def export() -> None:
        with staged(folder) as stage:
            for name in ("a.onnx", "b.onnx", "c.txt", SUBNET_FILE, "d.onnx"):
                (stage / name).write_text("new")

    with pytest.raises(Killed):
        export()
    assert moved[0] == SUBNET_FILE
    check_folder(folder)


def test_what_a_killed_process_left_is_removed_days_later(tmp_path: Path) -> None:
    old, young, others = (
        tmp_path / name
        for name in (".net.abcd_123.export", ".net.abcd_124.export", ".net.settings")
    )
    for path in (old, young, others):
        (path / "sub").mkdir(parents=True)
        os.utime(path, (0, 0) if path is not young else None)
    with staged(tmp_path / "net") as stage:
        (stage / SUBNET_FILE).write_text("new")
    assert not old.exists()
    assert young.is_dir()
    assert others.is_dir()


def test_code_of_the_users_is_not_replaced_by_ours(tmp_path: Path) -> None:
    (tmp_path / SUBNET_FILE).write_text("{}")
    (tmp_path / "model.py").write_text("my_own = 1\n")
    onnx, plain = (
        [made for made, _ in asked("torch-export", name)] for name in ("onnx", "pytorch")
    )
    check_folder(tmp_path, exporters=onnx)
    with pytest.raises(ExportError, match=r"model\.py: is there already"):
        check_folder(tmp_path, exporters=plain)


def test_an_opset_that_no_file_has_is_refused() -> None:
    assert asked("pytorch", "onnx", opset=20)
    with pytest.raises(ConfigError, match="opset: is of ONNX files, found pytorch, torch-export"):
        asked("pytorch", "torch-export", opset=20)


def test_bits_of_weights_that_no_file_has_are_refused() -> None:
    for wrong in ({"formats": ("onnx",)}, {"formats": ("litert",), "int8": True}):
        with pytest.raises(ConfigError, match="weights-bits: is of ONNX files in int8"):
            ExportRequest(weights_bits=7, **wrong).exporters()
    with pytest.raises(ConfigError, match="weights-bits: must be 7 or 8, found 4"):
        ExportRequest(weights_bits=4, int8=True).exporters()


def asked(*formats: str, opset: int = 0) -> list[tuple[Exporter, Precision]]:
    return ExportRequest(formats=formats, opset=opset).exporters()
